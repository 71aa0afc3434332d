/**
 * Streaming through the members of an archive: tar, plain or compressed by gzip or xz, and zip. What the
 * archive is comes from its first bytes. The caller consumes or skips each member in turn; nothing is written
 * here.
 */
import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import type yauzl from 'yauzl';
import { FcddError } from '../../errors.js';
import { type StreamedMember, streamTar } from './tar-stream.js';

export type ArchiveKind = 'tar' | 'tar.gz' | 'tar.xz' | 'zip' | 'gz';

/** As the archive has it, unchecked. */
export type Member = StreamedMember;

/** By content; null when the file is no archive. A .gz that holds no tar is 'gz'. */
export async function archiveKind(path: string): Promise<ArchiveKind | null> {
  const file = await open(path, 'r');
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(512), 0, 512, 0);
    const start = buffer.subarray(0, bytesRead);
    if (isTar(start)) return 'tar';
    if (start.toString('latin1', 0, 4) === 'PK\u0003\u0004') return 'zip';
    if (start.toString('latin1', 0, 6) === '\u00fd7zXZ\u0000') return 'tar.xz';
    if (start[0] !== 0x1f || start[1] !== 0x8b) return null;
  } finally {
    await file.close();
  }
  return isTar(await unpackedStart(path)) ? 'tar.gz' : 'gz';
}

const isTar = (start: Buffer): boolean => start.toString('latin1', 257, 262) === 'ustar';

/** The first 512 bytes inside of a gzip file, or what there is of them. */
async function unpackedStart(path: string): Promise<Buffer> {
  const parts: Buffer[] = [];
  const stream = createReadStream(path).pipe(createGunzip());
  try {
    for await (const part of stream) {
      parts.push(part as Buffer);
      if (parts.reduce((sum, { length }) => sum + length, 0) >= 512) break;
    }
  } catch {
    // Corrupt data is reported when the file is read for good.
  }
  return Buffer.concat(parts);
}

export interface ReadOptions {
  /** Sees every byte of the archive file, for checksums and progress. */
  onBytes?: ((bytes: Uint8Array) => void) | undefined;
}

/**
 * Calls `visit` for each member in turn. @throws FcddError FCDD_BAD_DATA for an archive that is cut off or
 * corrupt
 */
export async function readArchive(
  path: string,
  visit: (member: Member) => Promise<void>,
  options: ReadOptions = {},
): Promise<void> {
  const kind = await archiveKind(path);
  if (kind === null || kind === 'gz') {
    throw new FcddError('FCDD_BAD_DATA', `${path} is no tar (plain, gzip, xz) and no zip archive`);
  }
  if (kind === 'zip') return readZip(path, visit, options);
  const file = Readable.from(fileBytes(path, options), { objectMode: false, highWaterMark: 1 << 20 });
  const plain = kind === 'tar' ? file : kind === 'tar.gz' ? gunzipped(file) : unxzipped(file);
  try {
    await streamTar(plain, visit);
  } catch (cause) {
    throw damaged(path, cause);
  } finally {
    file.destroy();
  }
}

async function* fileBytes(path: string, { onBytes }: ReadOptions): AsyncGenerator<Buffer> {
  for await (const bytes of createReadStream(path, { highWaterMark: 1 << 20 })) {
    onBytes?.(bytes as Buffer);
    yield bytes as Buffer;
  }
}

function gunzipped(file: Readable): AsyncIterable<Buffer> {
  const stream = file.pipe(createGunzip());
  file.on('error', (error) => stream.destroy(error));
  return stream;
}

async function* unxzipped(file: Readable): AsyncGenerator<Buffer> {
  const { default: xz } = await import('xz-decompress'); // loaded when wanted, as yauzl below
  const stream = new xz.XzReadableStream(Readable.toWeb(file) as ReadableStream<Uint8Array>);
  const reader = stream.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    // The decoder reuses its memory for the next part.
    yield Buffer.from(value);
  }
}

function damaged(path: string, cause: unknown): FcddError {
  if (cause instanceof FcddError) return cause;
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new FcddError('FCDD_BAD_DATA', `${path} is cut off or corrupt: ${reason}`, {
    hint: 'get it again, or the rest of it; what was unpacked stays, and the same command goes on',
    cause,
  });
}

async function readZip(path: string, visit: (member: Member) => Promise<void>, options: ReadOptions) {
  if (options.onBytes) for await (const _ of fileBytes(path, options));
  try {
    const { default: yauzl } = await import('yauzl');
    const zip = await yauzl.openPromise(path, { strictFileNames: true });
    try {
      for await (const entry of zip.eachEntry()) {
        const mode = entry.externalFileAttributes >>> 16;
        const link = (mode & 0o170000) === 0o120000;
        await visit({
          name: entry.fileName,
          kind: link ? 'link' : entry.fileName.endsWith('/') ? 'folder' : 'file',
          size: entry.uncompressedSize,
          content: () => zipContent(zip, entry),
        });
      }
    } finally {
      zip.close();
    }
  } catch (cause) {
    throw damaged(path, cause);
  }
}

async function* zipContent(zip: yauzl.ZipFile, entry: yauzl.Entry): AsyncGenerator<Uint8Array> {
  yield* (await zip.openReadStreamPromise(entry)) as AsyncIterable<Uint8Array>;
}

/** Small members in memory, by name. */
export async function readMembers(
  path: string,
  wanted: (name: string) => boolean,
): Promise<Map<string, Buffer>> {
  const members = new Map<string, Buffer>();
  await readArchive(path, async ({ name, kind, size, content }) => {
    if (kind !== 'file' || !wanted(name)) return;
    if (size > 1 << 28) throw new FcddError('FCDD_BAD_DATA', `${path}: ${name} is larger than expected`);
    const parts: Uint8Array[] = [];
    for await (const part of content()) parts.push(Uint8Array.from(part));
    members.set(name, Buffer.concat(parts));
  });
  return members;
}
