import { createHash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { mkdir, readFile, rename, rm, stat, truncate } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Dispatcher } from 'undici';
import { FcddError } from '../errors.js';
import { diskError, writeFileAtomic } from '../files.js';
import { packageVersion } from '../training/versions.js';
import { cacheFolder } from './cache.js';
import { type ImportHooks, type ImportOptions, type ImportResult, importWeights } from './import.js';
import { fileHash } from './read.js';

/**
 * Downloads weights over HTTP(S): goes on where a broken connection or a stopped command left off, compares the
 * SHA-256, and takes HTTP_PROXY, HTTPS_PROXY and NO_PROXY from the environment.
 */

/** Torchvision's ImageNet weights (IMAGENET1K_V1) as timm publishes them, 531 MB with batch normalisation. */
const published: Record<string, { url: string; as: string }> = {
  vgg11_bn: {
    url: 'https://huggingface.co/timm/vgg11_bn.tv_in1k/resolve/main/model.safetensors',
    as: 'vgg11',
  },
};

export interface PullOptions extends Omit<ImportOptions, 'recoverBn'> {
  /** Default: $FCDD_WEIGHTS_URL, or where the weights are published. */
  url?: string;
  /** Expected SHA-256 of the file; default: the one that the server names (Hugging Face does), if any. */
  sha256?: string;
  signal?: AbortSignal;
}

export interface PullHooks extends ImportHooks {
  onProgress?: (done: number, total: number | null) => void;
  /** Milliseconds before the second attempt, doubled for each further one; default 1000. */
  retryDelay?: number;
}

export interface PullResult extends ImportResult {
  url: string;
  /** Of the file, and whether it could be compared with an expected one. */
  sha256: string;
  checked: boolean;
}

/**
 * Downloads and imports weights.
 * @param what vgg11_bn
 * @throws FcddError FCDD_NETWORK, FCDD_BAD_DATA for a wrong checksum, and those of importWeights
 */
export async function pullWeights(
  what: string,
  options: PullOptions = {},
  hooks: PullHooks = {},
): Promise<PullResult> {
  const known = published[what];
  if (!known) {
    throw new FcddError('FCDD_INVALID_ARGUMENT', `there are no published weights "${what}"`, {
      hint: `choose one of ${Object.keys(published).join(', ')}; other files: fcdd-native weights import FILE`,
    });
  }
  const { url: given, sha256, signal, ...rest } = options;
  const url = parseUrl(given ?? (process.env.FCDD_WEIGHTS_URL || known.url));
  if (sha256 !== undefined && !/^[0-9a-f]{64}$/i.test(sha256))
    throw new FcddError('FCDD_INVALID_ARGUMENT', `"${sha256}" is not a SHA-256: 64 hexadecimal digits`);
  const folder = join(
    cacheFolder(),
    'downloads',
    createHash('sha256').update(url.href).digest('hex').slice(0, 16),
  );
  const target = join(folder, basename(url.pathname) || 'weights');
  const download = new Download(url, target, sha256?.toLowerCase(), signal, hooks);
  const done = await download.run();
  const result = await importWeights(target, { as: known.as, ...rest }, hooks);
  await rm(folder, { recursive: true, force: true });
  return { ...result, url: url.href, ...done };
}

function parseUrl(text: string): URL {
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
  etag: string | null;
  linkedSha256: string | null;
}

const attempts = 5;
const mostRedirects = 10;
const [headersTimeout, bodyTimeout] = [30_000, 60_000];

class Download {
  readonly #url: URL;
  readonly #target: string;
  readonly #expected: string | undefined;
  readonly #signal: AbortSignal | undefined;
  readonly #hooks: PullHooks;
  #part: Part = { etag: null, linkedSha256: null };

  constructor(
    url: URL,
    target: string,
    expected: string | undefined,
    signal: AbortSignal | undefined,
    hooks: PullHooks,
  ) {
    this.#url = url;
    this.#target = target;
    this.#expected = expected;
    this.#signal = signal;
    this.#hooks = hooks;
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
    let delay = this.#hooks.retryDelay ?? 1000;
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
            hint: 'the same command goes on where this one stopped; HTTPS_PROXY names a proxy, --url another address',
            cause: error,
          });
        }
        this.#hooks.onNote?.(`the connection broke (${reason}): attempt ${attempt + 1} of ${attempts}`);
        await sleep(delay);
        delay *= 2;
      }
    }
  }

  /** One request for what is missing. Errors that are not FcddError are worth another attempt. */
  async #attempt(agent: Dispatcher): Promise<void> {
    let have = await fileSize(this.#partPath);
    const resumes = have > 0 && this.#part.etag !== null;
    const headers: Record<string, string> = { 'user-agent': `fcdd-native/${packageVersion}` };
    if (resumes) Object.assign(headers, { range: `bytes=${have}-`, 'if-range': this.#part.etag! });
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
        hint: 'is the address right? --url or FCDD_WEIGHTS_URL names another one',
      });
    }
    if (statusCode === 200) have = 0;
    const etag = header(response, 'etag');
    this.#part = { ...this.#part, etag: etag?.startsWith('W/') ? null : (etag ?? null) };
    if (have === 0) await writeFileAtomic(`${this.#partPath}.json`, JSON.stringify(this.#part));
    const length = header(response, 'content-length');
    const total = length === undefined ? null : have + Number(length);
    await this.#receive(body, have, total);
  }

  async #receive(body: Dispatcher.ResponseData['body'], have: number, total: number | null): Promise<void> {
    let done = have;
    const hooks = this.#hooks;
    const out = createWriteStream(this.#partPath, { flags: have > 0 ? 'a' : 'w' });
    const disk = new Promise<never>((_, reject) =>
      out.on('error', (cause) => reject(diskError(this.#partPath, cause))),
    );
    const counted = async function* (): AsyncGenerator<Buffer> {
      for await (const chunk of body as AsyncIterable<Buffer>) {
        done += chunk.length;
        hooks.onProgress?.(done, total);
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
    const none: Part = { etag: null, linkedSha256: null };
    try {
      const stored = JSON.parse(await readFile(`${this.#partPath}.json`, 'utf8')) as Partial<Part>;
      return { etag: stored.etag ?? null, linkedSha256: stored.linkedSha256 ?? null };
    } catch {
      return none;
    }
  }

  async #finish(): Promise<{ sha256: string; checked: boolean }> {
    const sha256 = await fileHash(this.#partPath);
    const expected = this.#expected ?? this.#part.linkedSha256;
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
