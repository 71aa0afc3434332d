/**
 * Makes an index (index-format.ts) by the headers of tars alone (tar-entries.ts), appended chunk by chunk, so
 * that a build that was stopped goes on where it was.
 */
import { type FileHandle, open, rename, stat } from 'node:fs/promises';
import { basename } from 'node:path';
import { deflateRawSync } from 'node:zlib';
import { FcddError } from '../../errors.js';
import { diskError } from '../../files.js';
import { wordNetId } from '../imagenet/classes.js';
import { pictureFormat, whatElse } from '../picture-format.js';
import { type ChunkLine, indexFormat, lines } from './index-format.js';
import type { IndexedPicture } from './open-index.js';
import { TarDamage, type TarEntry, tarEntries } from './tar-entries.js';

interface Chunk {
  line: Omit<ChunkLine, 'bytes' | 'count' | 'tar'>;
  pictures: IndexedPicture[];
}

/** A flat tar is cut into chunks of so many pictures. */
const chunkPictures = 8192;

export interface BuildOptions {
  signal?: AbortSignal | undefined;
  /** Bytes of the tars that are indexed, and how many there are. */
  onProgress?: ((done: number, total: number) => void) | undefined;
  onNote?: ((text: string) => void) | undefined;
}

/**
 * Indexes `tars` (absolute paths) into the file `target`, going on where an earlier call was stopped.
 * @throws FcddError FCDD_BAD_DATA for a tar that is cut off (what is indexed is kept), FCDD_DISK, FCDD_ABORTED
 */
export async function buildIndex(
  target: string,
  tars: readonly string[],
  options: BuildOptions = {},
): Promise<void> {
  const part = `${target}.part`;
  const sizes = await Promise.all(tars.map(async (path) => (await stat(path)).size));
  const total = sizes.reduce((sum, size) => sum + size, 0);
  const out = await open(part, 'a+').catch((cause) => {
    throw diskError(part, cause);
  });
  try {
    const done = await resumeAt(out, tars);
    if (done.chunks > 0) options.onNote?.(`going on with the index ${part} (${done.chunks} parts are there)`);
    const sums = { images: done.images, broken: done.broken };
    let before = 0;
    for (const [i, path] of tars.entries()) {
      const from = i < done.tar ? sizes[i]! : i === done.tar ? done.to : 0;
      for await (const chunk of chunksOf(path, from, sizes[i]!)) {
        throwIfAborted(options.signal);
        await append(out, part, i, chunk);
        sums.images += chunk.pictures.length;
        sums.broken += chunk.line.broken.length;
        options.onProgress?.(before + chunk.line.to, total);
      }
      before += sizes[i]!;
    }
    await write(out, part, `${JSON.stringify({ complete: true, ...sums, sizes })}\n`);
    await out.sync();
  } finally {
    await out.close();
  }
  await rename(part, target).catch((cause) => {
    throw diskError(target, cause);
  });
}

function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw new FcddError('FCDD_ABORTED', 'stopped; the same command goes on from here');
}

/** What a part file holds whole; the rest of it is cut off. Starts it anew when it is of other tars. */
async function resumeAt(out: FileHandle, tars: readonly string[]) {
  const state = { tar: 0, to: 0, images: 0, broken: 0, chunks: 0 };
  const first = JSON.stringify({ format: indexFormat, tars });
  let end = 0;
  for await (const { text, next, chunk } of lines(out)) {
    if (end === 0 ? text !== first : !chunk) break;
    if (chunk) {
      state.tar = chunk.tar;
      state.to = chunk.to;
      state.images += chunk.count;
      state.broken += chunk.broken.length;
      state.chunks++;
    }
    end = next;
  }
  await out.truncate(end);
  if (end === 0) await write(out, 'the index', `${first}\n`);
  return state;
}

async function write(out: FileHandle, path: string, data: string | Uint8Array): Promise<void> {
  await out.appendFile(data).catch((cause) => {
    throw diskError(path, cause);
  });
}

async function append(out: FileHandle, path: string, tar: number, { line, pictures }: Chunk): Promise<void> {
  const body = deflateRawSync(JSON.stringify(pictures.map(({ name, offset, size }) => [name, offset, size])));
  const head: ChunkLine = { tar, ...line, count: pictures.length, bytes: body.length };
  await write(out, path, Buffer.concat([Buffer.from(`${JSON.stringify(head)}\n`), body]));
}

/** Chunks of a tar from byte `from` on, where a header stands. */
async function* chunksOf(path: string, from: number, size: number): AsyncGenerator<Chunk> {
  if (from >= size) return;
  const file = await open(path, 'r');
  let flat: Chunk | null = null;
  try {
    for await (const entry of tarEntries(file, { from, to: size })) {
      const inner = entry.isFile && /\.tar$/i.test(entry.name);
      const wnid = wordNetId(entry.name) ?? wordNetId(basename(path));
      if (flat && (inner || flat.line.wnid !== wnid || flat.pictures.length >= chunkPictures)) {
        yield flat;
        flat = null;
      }
      if (inner) {
        yield await innerChunk(file, entry);
        continue;
      }
      flat ??= { line: { from: entry.from, to: entry.to, wnid, broken: [] }, pictures: [] };
      flat.line.to = entry.to;
      sort(flat, entry);
    }
    if (flat) yield flat;
  } catch (cause) {
    if (!(cause instanceof TarDamage)) throw cause;
    if (flat) yield flat;
    throw new FcddError('FCDD_BAD_DATA', `${path}: ${cause.message}, at byte ${cause.offset} of ${size}`, {
      hint: 'is the download complete? What is indexed so far is kept: the same command goes on with the whole file',
      cause,
    });
  } finally {
    await file.close();
  }
}

/** The pictures of a tar within a tar. A damaged one is listed as broken, with what can be read of it. */
async function innerChunk(file: FileHandle, tar: TarEntry): Promise<Chunk> {
  const line: Chunk['line'] = { from: tar.from, to: tar.to, wnid: wordNetId(tar.name), broken: [] };
  const chunk: Chunk = { line, pictures: [] };
  try {
    for await (const entry of tarEntries(file, { from: tar.offset, to: tar.offset + tar.size })) {
      sort(chunk, entry);
    }
  } catch (cause) {
    if (!(cause instanceof TarDamage)) throw cause;
    line.broken.push({ name: tar.name, reason: cause.message });
  }
  return chunk;
}

/** By its first bytes an entry is a picture, a broken one, or something else. */
function sort({ line, pictures }: Chunk, { name, isFile, offset, size, start }: TarEntry): void {
  if (!isFile) return;
  if (pictureFormat(start) !== null) pictures.push({ name, offset, size });
  else if (/\.(jpe?g|png)$/i.test(name)) line.broken.push({ name, reason: whatElse(start) });
}
