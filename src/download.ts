import { createWriteStream } from 'node:fs';
import { mkdir, readFile, rename, rm, stat, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Dispatcher } from 'undici';
import { FcddError } from './errors.js';
import { diskError, fileHash, writeFileAtomic } from './files.js';
import { packageVersion } from './training/versions.js';

/**
 * Downloads over HTTP(S): goes on where a broken connection or a stopped command left off (Range, if the server says
 * that the file is still the same), compares the SHA-256, and takes HTTP_PROXY, HTTPS_PROXY and NO_PROXY from the
 * environment.
 */

export interface DownloadOptions {
  /** Expected SHA-256 of the file; default: the one that the server names (Hugging Face does), if any. */
  sha256?: string | undefined;
  signal?: AbortSignal | undefined;
  /** What else a user can do when it fails, to follow "or". */
  otherwise: string;
  /** Milliseconds before the second attempt, doubled for each further one; default 1000. */
  retryDelay?: number | undefined;
  onProgress?: ((done: number, total: number | null) => void) | undefined;
  onNote?: ((text: string) => void) | undefined;
}

/**
 * @param target path of the file, which is there only once it is whole and compared
 * @returns its SHA-256, and whether it could be compared with an expected one
 * @throws FcddError FCDD_NETWORK, FCDD_BAD_DATA for a wrong checksum, FCDD_DISK, FCDD_ABORTED
 */
export function downloadFile(
  url: URL,
  target: string,
  options: DownloadOptions,
): Promise<{ sha256: string; checked: boolean }> {
  return new Download(url, target, options).run();
}

/** @throws FcddError FCDD_INVALID_ARGUMENT */
export function parseUrl(text: string): URL {
  try {
    const url = new URL(text);
    if (url.protocol === 'http:' || url.protocol === 'https:') return url;
  } catch {}
  throw new FcddError('FCDD_INVALID_ARGUMENT', `"${text}" is not an http or https address`);
}

// undici is loaded when something is fetched: it would slow every command down.
async function proxyAgent(): Promise<Dispatcher> {
  const { EnvHttpProxyAgent } = await import('undici');
  try {
    return new EnvHttpProxyAgent();
  } catch (cause) {
    throw new FcddError('FCDD_INVALID_ARGUMENT', `the proxy is not an address: ${(cause as Error).message}`, {
      hint: 'HTTP_PROXY and HTTPS_PROXY look like http://proxy:3128',
      cause,
    });
  }
}

/** What is known of the file that a part belongs to: another file on the server starts from zero. */
interface Part {
  /** ETag or date that If-Range takes. */
  validator: string | null;
  linkedSha256: string | null;
}

const attempts = 5;
const mostRedirects = 10;
const [headersTimeout, bodyTimeout] = [30_000, 60_000];

class Download {
  readonly #url: URL;
  readonly #target: string;
  readonly #options: DownloadOptions;
  #part: Part = { validator: null, linkedSha256: null };

  constructor(url: URL, target: string, options: DownloadOptions) {
    this.#url = url;
    this.#target = target;
    this.#options = options;
  }

  get #signal(): AbortSignal | undefined {
    return this.#options.signal;
  }

  get #partPath(): string {
    return `${this.#target}.part`;
  }

  /** Leaves the whole, compared file at the target. */
  async run(): Promise<{ sha256: string; checked: boolean }> {
    const folder = join(this.#target, '..');
    await mkdir(folder, { recursive: true }).catch((cause) => {
      throw diskError(folder, cause);
    });
    this.#part = await this.#storedPart();
    const agent = await proxyAgent();
    try {
      await this.#attempts(agent);
    } finally {
      await agent.destroy();
    }
    return this.#finish();
  }

  async #attempts(agent: Dispatcher): Promise<void> {
    let delay = this.#options.retryDelay ?? 1000;
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#attempt(agent);
      } catch (error) {
        if (this.#signal?.aborted) {
          throw new FcddError('FCDD_ABORTED', 'the download was stopped', {
            hint: 'the same command goes on with it',
          });
        }
        if (error instanceof FcddError) throw error;
        const reason = error instanceof Error ? reasonOf(error) : String(error);
        if (attempt === attempts) {
          throw new FcddError('FCDD_NETWORK', `${this.#url.href} could not be downloaded: ${reason}`, {
            hint: `the same command goes on where this one stopped; HTTPS_PROXY names a proxy; or ${this.#options.otherwise}`,
            cause: error,
          });
        }
        this.#options.onNote?.(`the connection broke (${reason}): attempt ${attempt + 1} of ${attempts}`);
        await sleep(delay);
        delay *= 2;
      }
    }
  }

  /** One request for what is missing. Errors that are not FcddError are worth another attempt. */
  async #attempt(agent: Dispatcher): Promise<void> {
    let have = await fileSize(this.#partPath);
    const resumes = have > 0 && this.#part.validator !== null;
    const headers: Record<string, string> = {
      'user-agent': `fcdd-native/${packageVersion}`,
      'accept-encoding': 'identity', // compressed on the way, a byte range would mean something else
    };
    if (resumes) Object.assign(headers, { range: `bytes=${have}-`, 'if-range': this.#part.validator! });
    const response = await this.#request(agent, headers);
    const { statusCode, body } = response;
    if (statusCode === 416 && resumes) {
      // Nothing is missing, or the part is none of this file: the checksum tells.
      await body.dump();
      if (Number(/\/(\d+)$/.exec(header(response, 'content-range') ?? '')?.[1]) === have) return;
      await truncate(this.#partPath, 0);
      throw new Error('the part does not fit the file');
    }
    if (statusCode !== 200 && statusCode !== 206) {
      await body.dump();
      if (statusCode >= 500 || statusCode === 429 || statusCode === 408)
        throw new Error(`status ${statusCode}`);
      throw new FcddError('FCDD_NETWORK', `${this.#url.href} answers with status ${statusCode}`, {
        hint: `is the address right? Or ${this.#options.otherwise}`,
      });
    }
    if (statusCode === 200) have = 0;
    const validator = header(response, 'etag') ?? header(response, 'last-modified') ?? null;
    this.#part = { ...this.#part, validator: validator?.startsWith('W/') ? null : validator };
    if (have === 0) await writeFileAtomic(`${this.#partPath}.json`, JSON.stringify(this.#part));
    const length = header(response, 'content-length');
    const total = length === undefined ? null : have + Number(length);
    await this.#receive(body, have, total);
  }

  async #receive(body: Dispatcher.ResponseData['body'], have: number, total: number | null): Promise<void> {
    let done = have;
    const { onProgress } = this.#options;
    const out = createWriteStream(this.#partPath, { flags: have > 0 ? 'a' : 'w' });
    const disk = new Promise<never>((_, reject) =>
      out.on('error', (cause) => reject(diskError(this.#partPath, cause))),
    );
    const counted = async function* (): AsyncGenerator<Buffer> {
      for await (const chunk of body as AsyncIterable<Buffer>) {
        done += chunk.length;
        onProgress?.(done, total);
        yield chunk;
      }
    };
    await Promise.race([pipeline(counted, out, this.#signal ? { signal: this.#signal } : {}), disk]);
    if (total !== null && done < total) throw new Error(`it ended after ${done} of ${total} bytes`);
  }

  /** Follows redirects itself: the first answer may name the checksum of what the last one sends. */
  async #request(agent: Dispatcher, headers: Record<string, string>): Promise<Dispatcher.ResponseData> {
    const { request } = await import('undici');
    let url = this.#url;
    for (let redirects = 0; redirects <= mostRedirects; redirects++) {
      const response = await request(url, {
        dispatcher: agent,
        headers,
        headersTimeout,
        bodyTimeout,
        ...(this.#signal ? { signal: this.#signal } : {}),
      });
      const linked = /^"?([0-9a-f]{64})"?$/i.exec(header(response, 'x-linked-etag') ?? '')?.[1];
      if (linked) this.#part.linkedSha256 = linked.toLowerCase();
      const location = header(response, 'location');
      if (response.statusCode < 300 || response.statusCode >= 400 || location === undefined) return response;
      await response.body.dump();
      url = parseUrl(new URL(location, url).href);
    }
    throw new FcddError('FCDD_NETWORK', `${this.#url.href} redirects more than ${mostRedirects} times`);
  }

  async #storedPart(): Promise<Part> {
    const none: Part = { validator: null, linkedSha256: null };
    try {
      const stored = JSON.parse(await readFile(`${this.#partPath}.json`, 'utf8')) as Partial<Part>;
      return { validator: stored.validator ?? null, linkedSha256: stored.linkedSha256 ?? null };
    } catch {
      return none;
    }
  }

  async #finish(): Promise<{ sha256: string; checked: boolean }> {
    const sha256 = await fileHash(this.#partPath);
    const expected = this.#options.sha256?.toLowerCase() ?? this.#part.linkedSha256;
    if (expected !== null && expected !== sha256) {
      await rm(this.#partPath, { force: true });
      throw new FcddError(
        'FCDD_BAD_DATA',
        `what ${this.#url.href} sent has the SHA-256 ${sha256}, expected ${expected}`,
        {
          hint: 'the file was deleted; run the command again, and if it happens again do not use that address',
        },
      );
    }
    await rename(this.#partPath, this.#target);
    await rm(`${this.#partPath}.json`, { force: true });
    return { sha256, checked: expected !== null };
  }
}

function header(response: Dispatcher.ResponseData, name: string): string | undefined {
  const value = response.headers[name];
  return Array.isArray(value) ? value[0] : value;
}

async function fileSize(path: string): Promise<number> {
  return (await stat(path).catch(() => undefined))?.size ?? 0;
}

/** What a person can use of an error of the network. */
function reasonOf(error: Error): string {
  const cause = error.cause instanceof Error ? error.cause : error;
  return cause.message || (cause as { code?: string }).code || cause.name;
}
