/** Downloads from a local server that breaks connections, lies about checksums and sits behind a proxy. */
import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { writeSafetensors } from '../../src/models/index.js';
import { listWeights, type PullHooks, type PullOptions, pullWeights } from '../../src/weights/index.js';
import { temporaryFolder } from '../training/helpers.js';
import { formulaBackbone } from './helpers.js';

/** What timm publishes, for this: the features of vgg11_bn and things that are not kept. */
let file: Buffer;
let sha256: string;
let folder: string;
beforeAll(async () => {
  folder = await temporaryFolder();
  const path = join(folder, 'model.safetensors');
  const { tensors } = formulaBackbone('vgg11', 3);
  tensors.set('features.1.num_batches_tracked', { shape: [], data: BigInt64Array.of(0n) });
  tensors.set('head.fc.weight', { shape: [3, 4], data: new Float32Array(12) });
  await writeSafetensors(path, tensors, { format: 'pt' });
  file = await readFile(path);
  sha256 = createHash('sha256').update(file).digest('hex');
});

type Handler = (request: IncomingMessage, response: ServerResponse, count: number) => void;

const servers: Server[] = [];
afterEach(() => {
  vi.unstubAllEnvs();
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    server.close();
  }
});

async function listen(server: Server): Promise<string> {
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

async function serve(handler: Handler): Promise<{ url: string; requests: IncomingMessage[] }> {
  const requests: IncomingMessage[] = [];
  const server = createServer((request, response) => handler(request, response, requests.push(request)));
  return { url: `${await listen(server)}/timm/model.safetensors`, requests };
}

/** Answers with the file, or the range asked for when the tag is the right one; `until` breaks the connection. */
function send(request: IncomingMessage, response: ServerResponse, until?: number): void {
  const from = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? Number.NaN);
  const partial = from >= 0 && request.headers['if-range'] === '"tag"';
  const first = partial ? from : 0;
  response.writeHead(partial ? 206 : 200, {
    etag: '"tag"',
    'content-length': file.length - first,
    ...(partial ? { 'content-range': `bytes ${first}-${file.length - 1}/${file.length}` } : {}),
  });
  if (until === undefined) response.end(file.subarray(first));
  else response.write(file.subarray(first, until), () => setTimeout(() => response.destroy(), 50));
}

async function pull(url: string, options: PullOptions = {}, hooks: PullHooks = {}) {
  vi.stubEnv('FCDD_CACHE', await temporaryFolder());
  return pullWeights('vgg11_bn', { url, verify: false, ...options }, { retryDelay: 1, ...hooks });
}

describe('weights pull', () => {
  it('downloads, compares, imports and leaves nothing but the weights behind', async () => {
    const { url, requests } = await serve((request, response) => send(request, response));
    const progress = vi.fn();
    const result = await pull(url, { sha256 }, { onProgress: progress });
    expect(result).toMatchObject({ url, sha256, checked: true, existed: false });
    expect(result.weights).toMatchObject({ name: 'vgg11', architecture: 'vgg11', bn: 'live' });
    expect(result.weights.source).toEqual({ file: 'model.safetensors', sha256, format: 'safetensors' });
    expect(requests).toHaveLength(1);
    expect(progress).toHaveBeenLastCalledWith(file.length, file.length);
    expect(await readdir(join(process.env.FCDD_CACHE!, 'downloads'))).toEqual([]);
    expect((await listWeights()).weights).toHaveLength(1);
  });

  it('goes on where a connection broke', async () => {
    const { url, requests } = await serve((request, response, count) =>
      send(request, response, count < 3 ? count * 4_000_000 : undefined),
    );
    const notes: string[] = [];
    const result = await pull(url, { sha256 }, { onNote: (text) => notes.push(text) });
    expect(result.checked).toBe(true);
    expect(requests).toHaveLength(3);
    for (const { headers } of requests.slice(1))
      expect(Number(/\d+/.exec(headers.range!)![0])).toBeGreaterThan(0);
    expect(notes.filter((text) => /connection broke/.test(text))).toHaveLength(2);
  });

  it('gives up after five attempts, and the next command goes on', async () => {
    let broken = true;
    const { url, requests } = await serve((request, response, count) =>
      send(request, response, broken ? count * 1_000_000 : undefined),
    );
    vi.stubEnv('FCDD_CACHE', await temporaryFolder());
    const attempt = () => pullWeights('vgg11_bn', { url, verify: false }, { retryDelay: 1 });
    await expect(attempt()).rejects.toMatchObject({
      code: 'FCDD_NETWORK',
      hint: expect.stringMatching(/goes on/),
    });
    expect(requests).toHaveLength(5);
    broken = false;
    expect(await attempt()).toMatchObject({ sha256, checked: false });
    expect(Number(/\d+/.exec(requests[5]!.headers.range!)![0])).toBeGreaterThan(1_000_000);
  });

  it('starts over when the file changed on the server', async () => {
    const { url, requests } = await serve((request, response, count) => {
      if (count === 1) return send(request, response, 4_000_000);
      response.writeHead(200, { etag: '"other"', 'content-length': file.length });
      response.end(file);
    });
    expect(await pull(url, { sha256 })).toMatchObject({ checked: true });
    expect(requests[1]!.headers['if-range']).toBe('"tag"');
  });

  it('refuses what has another checksum, and deletes it', async () => {
    const { url } = await serve((request, response) => send(request, response));
    const wrong = pull(url, { sha256: 'a'.repeat(64) });
    await expect(wrong).rejects.toMatchObject({
      code: 'FCDD_BAD_DATA',
      message: expect.stringMatching(/aaaa/),
    });
    const left = await readdir(join(process.env.FCDD_CACHE!, 'downloads'), { recursive: true });
    expect(left.filter((name) => name.endsWith('.safetensors') || name.endsWith('.part'))).toEqual([]);
    expect((await listWeights()).weights).toEqual([]);
  });

  it('follows a redirect and takes the checksum that the first answer names, as Hugging Face does', async () => {
    const redirecting = (linked: string) =>
      serve((request, response) => {
        if (request.url !== '/cdn') {
          response.writeHead(302, { location: '/cdn', 'x-linked-etag': `"${linked}"` }).end();
        } else send(request, response);
      });
    expect(await pull((await redirecting(sha256)).url)).toMatchObject({ checked: true });
    await expect(pull((await redirecting('b'.repeat(64))).url)).rejects.toMatchObject({
      code: 'FCDD_BAD_DATA',
    });
  });

  it('goes through a proxy that the environment names', async () => {
    const { url, requests } = await serve((request, response) => send(request, response));
    const tunnels: string[] = [];
    const proxy = createServer();
    proxy.on('connect', (request, socket, head) => {
      tunnels.push(request.url!);
      // The name exists for the proxy alone.
      const upstream = connect(Number(new URL(url).port), '127.0.0.1', () => {
        socket.write('HTTP/1.1 200 Connection established\r\n\r\n');
        upstream.write(head);
        upstream.pipe(socket);
        socket.pipe(upstream);
      });
      for (const side of [upstream, socket]) side.on('error', () => {});
    });
    vi.stubEnv('HTTP_PROXY', await listen(proxy));
    vi.stubEnv('http_proxy', process.env.HTTP_PROXY);
    vi.stubEnv('NO_PROXY', '');
    vi.stubEnv('no_proxy', '');
    const behind = `http://weights.invalid:${new URL(url).port}/timm/model.safetensors`;
    expect(await pull(behind, { sha256 })).toMatchObject({ checked: true });
    expect(tunnels).toEqual([`weights.invalid:${new URL(url).port}`]);
    expect(requests).toHaveLength(1);
  });

  it('says that a proxy is no address', async () => {
    for (const name of ['HTTP_PROXY', 'http_proxy']) vi.stubEnv(name, '::nonsense::');
    await expect(pull('http://127.0.0.1:9/x')).rejects.toMatchObject({ code: 'FCDD_INVALID_ARGUMENT' });
  });

  it('takes its address from the environment', async () => {
    const { url } = await serve((request, response) => send(request, response));
    vi.stubEnv('FCDD_CACHE', await temporaryFolder());
    vi.stubEnv('FCDD_WEIGHTS_URL', url);
    expect((await pullWeights('vgg11_bn', { verify: false })).url).toBe(url);
  });

  it('stops on a signal and says that it can go on', async () => {
    const controller = new AbortController();
    const { url } = await serve((request, response) => send(request, response, 2_000_000));
    const stopped = pull(url, { signal: controller.signal }, { onProgress: () => controller.abort() });
    await expect(stopped).rejects.toMatchObject({ code: 'FCDD_ABORTED' });
  });

  it.each([
    ['a missing file', 404, /status 404/],
    ['a server that wants a password', 401, /status 401/],
  ])('says clearly what is wrong with %s, at once', async (_, status, message) => {
    const { url, requests } = await serve((_request, response) => void response.writeHead(status).end());
    await expect(pull(url)).rejects.toMatchObject({
      code: 'FCDD_NETWORK',
      message: expect.stringMatching(message),
    });
    expect(requests).toHaveLength(1);
  });

  it('refuses addresses, checksums and names that cannot be meant', async () => {
    await expect(pull('ftp://x/y')).rejects.toMatchObject({ code: 'FCDD_INVALID_ARGUMENT' });
    await expect(pull('http://x/', { sha256: 'zz' })).rejects.toMatchObject({
      code: 'FCDD_INVALID_ARGUMENT',
    });
    await expect(pullWeights('resnet')).rejects.toThrow(/no published weights "resnet"/);
  });
});
