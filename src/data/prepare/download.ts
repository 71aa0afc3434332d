/**
 * Fetching a file over HTTP into a folder, going on where an earlier attempt was stopped. What is there
 * already is asked for with Range, and only goes on if the server says that the file is still the same
 * (If-Range with its ETag or date, kept beside the part).
 */
import { open, readFile, rename, stat, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { FcddError } from '../../errors.js';
import { diskError, writeFileAtomic } from '../../files.js';
import { makeFolder } from '../../training/run-folder.js';

export interface DownloadOptions {
  signal?: AbortSignal | undefined;
  onProgress?: ((done: number, total: number) => void) | undefined;
}

/**
 * @returns the path of the file. @throws FcddError FCDD_NOT_FOUND (server, network), FCDD_DISK, FCDD_ABORTED
 */
export async function download(url: string, folder: string, options: DownloadOptions = {}): Promise<string> {
  const name = decodeURIComponent(new URL(url).pathname.split('/').pop() ?? '').replace(/[^\w.+-]/g, '_');
  if (name === '' || name.startsWith('.')) {
    throw new FcddError('FCDD_INVALID_ARGUMENT', `from: ${url} names no file`);
  }
  await makeFolder(folder);
  const path = join(folder, name);
  if (await stat(path).catch(() => null)) return path;
  const part = `${path}.part`;
  const validator = await readFile(`${part}.etag`, 'utf8').catch(() => '');
  const have = validator ? ((await stat(part).catch(() => null))?.size ?? 0) : 0;
  const headers: Record<string, string> = have > 0 ? { range: `bytes=${have}-`, 'if-range': validator } : {};
  const response = await request(url, headers, options.signal);
  if (response.status === 416) {
    // Nothing is left to send, if the file is as long as what is here.
    if (!(response.headers.get('content-range') ?? '').endsWith(`/${have}`)) {
      await unlink(part);
      throw failed(url, options.signal, new Error('the file is not the one that was begun'));
    }
  } else {
    const from = response.status === 206 ? have : 0;
    const next = response.headers.get('etag') ?? response.headers.get('last-modified') ?? '';
    await writeFileAtomic(`${part}.etag`, next.startsWith('W/') ? '' : next);
    await store(response, part, from, url, options);
  }
  await rename(part, path).catch((cause) => {
    throw diskError(path, cause);
  });
  await unlink(`${part}.etag`).catch(() => {});
  return path;
}

async function request(
  url: string,
  headers: Record<string, string>,
  signal: AbortSignal | undefined,
): Promise<Response> {
  let response: Response;
  try {
    // Compressed on the way, a byte range would mean something else.
    response = await fetch(url, {
      headers: { 'accept-encoding': 'identity', ...headers },
      ...(signal ? { signal } : {}),
    });
  } catch (cause) {
    throw failed(url, signal, cause);
  }
  if (response.ok || (response.status === 416 && headers.range)) return response;
  await response.body?.cancel();
  throw new FcddError('FCDD_NOT_FOUND', `${url}: the server answers ${response.status}`, {
    hint: 'download the file with a browser, and give its path with --from',
  });
}

async function store(
  response: Response,
  part: string,
  from: number,
  url: string,
  { signal, onProgress }: DownloadOptions,
): Promise<void> {
  const length = Number(response.headers.get('content-length') ?? Number.NaN);
  const file = await open(part, from > 0 ? 'r+' : 'w').catch((cause) => {
    throw diskError(part, cause);
  });
  let at = from;
  try {
    for await (const bytes of response.body ?? []) {
      await file.write(bytes, 0, bytes.length, at).catch((cause) => {
        throw diskError(part, cause);
      });
      at += bytes.length;
      onProgress?.(at, Number.isNaN(length) ? 0 : from + length);
    }
    await file.truncate(at);
    await file.sync();
  } catch (cause) {
    throw cause instanceof FcddError ? cause : failed(url, signal, cause);
  } finally {
    await file.close();
  }
  if (!Number.isNaN(length) && at < from + length)
    throw failed(url, signal, new Error('the connection ended'));
}

function failed(url: string, signal: AbortSignal | undefined, cause: unknown): FcddError {
  if (signal?.aborted) return new FcddError('FCDD_ABORTED', 'stopped; the same command goes on from here');
  const { message, cause: inner } = cause as Error;
  const reason = inner instanceof Error ? `${message}: ${inner.message}` : message;
  return new FcddError('FCDD_NOT_FOUND', `${url} cannot be fetched: ${reason}`, {
    hint: 'run the same command again: it goes on where it was',
    cause,
  });
}
