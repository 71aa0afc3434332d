/**
 * An index of the pictures inside of tar files, so that they are read in place: ImageNet's tars of tars (a terabyte of
 * 14 million pictures) are never unpacked. Built once by headers alone (tar-entries.ts), appended chunk by chunk, so that
 * a build that was stopped goes on where it was.
 *
 * The file: one line of JSON that names the tars, then chunks, then one line that ends it. A chunk is a line of JSON
 * (which tar, which bytes of it, WordNet id, how many pictures, which are broken, `bytes`) and `bytes` bytes: the
 * pictures' names, offsets and sizes, deflated. Opening it reads the lines alone.
 */
import { type FileHandle, open, rename, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { deflateRawSync, inflateRawSync } from 'node:zlib';
import { FcddError } from '../../errors.js';
import { diskError } from '../../files.js';
import { wordNetId } from '../imagenet/classes.js';
import { pictureFormat, whatElse } from '../picture-format.js';
import { TarDamage, type TarEntry, tarEntries } from './tar-entries.js';

/** A picture within a tar. */
export interface IndexedPicture {
  name: string;
  offset: number;
  size: number;
}

/** Pictures of one class. */
export interface IndexedGroup {
  /** WordNet id, from the name of the inner tar, of the folder or of the pictures; null when they do not say. */
  wnid: string | null;
  count: number;
  /** In the order of the tar. */
  pictures(): Promise<(IndexedPicture & { tar: string })[]>;
}

export interface BrokenEntry {
  name: string;
  reason: string;
}

export interface ArchiveIndex {
  /** Where the tars were when they were indexed. */
  tars: string[];
  images: number;
  groups: IndexedGroup[];
  broken: BrokenEntry[];
}

interface ChunkLine {
  tar: number;
  from: number;
  to: number;
  wnid: string | null;
  count: number;
  broken: BrokenEntry[];
  bytes: number;
}

interface Chunk {
  line: Omit<ChunkLine, 'bytes' | 'count' | 'tar'>;
  pictures: IndexedPicture[];
}

const format = 1;
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
  const first = JSON.stringify({ format, tars });
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

interface EndLine {
  complete: true;
  images: number;
  broken: number;
  sizes: number[];
}

/** A line's content, by what it is; all absent: it is none of these. */
interface Line {
  text: string;
  head?: { format: number; tars: string[] };
  chunk?: ChunkLine;
  end?: EndLine;
  /** Where a chunk's content begins, and where the next line does. */
  body: number;
  next: number;
}

/** The lines of an index, skipping over the content of chunks; ends before what is cut off. */
async function* lines(file: FileHandle): AsyncGenerator<Line> {
  const { size } = await file.stat();
  for (let at = 0; at < size; ) {
    const text = await lineAt(file, at, size);
    if (text === null) return;
    const body = at + Buffer.byteLength(text) + 1;
    const kind = kindOf(text);
    const next = body + (kind.chunk?.bytes ?? 0);
    if (next > size) return;
    yield { text, ...kind, body, next };
    at = next;
  }
}

async function lineAt(file: FileHandle, at: number, size: number): Promise<string | null> {
  for (let length = 1024; ; length *= 8) {
    const wanted = Math.min(length, size - at);
    const { buffer, bytesRead } = await file.read(Buffer.alloc(wanted), 0, wanted, at);
    const end = buffer.subarray(0, bytesRead).indexOf(10);
    if (end >= 0) return buffer.toString('utf8', 0, end);
    if (length >= size - at) return null;
  }
}

function kindOf(text: string): Pick<Line, 'head' | 'chunk' | 'end'> {
  try {
    const line = JSON.parse(text);
    if (line.format === format) return { head: line };
    if (line.complete === true) return { end: line };
    return typeof line.bytes === 'number' ? { chunk: line } : {};
  } catch {
    return {};
  }
}

/**
 * @throws FcddError FCDD_NOT_FOUND when a tar is gone, FCDD_BAD_DATA when index or tar are not what they were
 */
export async function openIndex(path: string): Promise<ArchiveIndex> {
  const file = await open(path, 'r');
  try {
    const index: ArchiveIndex = { tars: [], images: 0, groups: [], broken: [] };
    const chunks = new Map<string | null, (ChunkLine & { body: number })[]>();
    let sizes: number[] | null = null;
    for await (const { head, chunk, end, body } of lines(file)) {
      index.tars = head?.tars ?? index.tars;
      sizes = end?.sizes ?? null;
      if (!chunk) continue;
      chunks.set(chunk.wnid, [...(chunks.get(chunk.wnid) ?? []), { ...chunk, body }]);
      index.broken.push(...chunk.broken);
    }
    if (sizes === null) throw damaged(path);
    const found: string[] = [];
    for (const [i, tar] of index.tars.entries()) found.push(await findTar(path, tar, sizes[i]));
    for (const [wnid, list] of chunks) {
      const count = list.reduce((sum, chunk) => sum + chunk.count, 0);
      if (count === 0) continue;
      index.groups.push({ wnid, count, pictures: () => readChunks(path, list, found) });
      index.images += count;
    }
    return index;
  } finally {
    await file.close();
  }
}

function damaged(path: string): FcddError {
  return new FcddError('FCDD_BAD_DATA', `${path} is not a whole index of this version`, {
    hint: 'delete it and run fcdd-native data prepare again',
  });
}

/** Where a tar lies now: where it was indexed, or beside its index. */
async function findTar(index: string, tar: string, size: number | undefined): Promise<string> {
  for (const path of [tar, join(dirname(index), basename(tar))]) {
    const info = await stat(path).catch(() => null);
    if (!info) continue;
    if (info.size === size) return path;
    throw new FcddError('FCDD_BAD_DATA', `${path} has changed since ${index} was made from it`, {
      hint: 'delete the index and run fcdd-native data prepare again',
    });
  }
  throw new FcddError('FCDD_NOT_FOUND', `${tar} is gone: ${index} only says where its pictures lie`, {
    hint: `put it back, or beside the index in ${dirname(index)}`,
  });
}

async function readChunks(
  path: string,
  chunks: readonly (ChunkLine & { body: number })[],
  tars: readonly string[],
): Promise<(IndexedPicture & { tar: string })[]> {
  const file = await open(path, 'r');
  try {
    const pictures: (IndexedPicture & { tar: string })[] = [];
    for (const { body, bytes, tar } of chunks) {
      const { buffer } = await file.read(Buffer.alloc(bytes), 0, bytes, body);
      for (const [name, offset, size] of JSON.parse(inflateRawSync(buffer).toString('utf8'))) {
        pictures.push({ name, offset, size, tar: tars[tar]! });
      }
    }
    return pictures;
  } catch (cause) {
    throw cause instanceof FcddError ? cause : damaged(path);
  } finally {
    await file.close();
  }
}

/** The bytes of one picture. @throws FcddError FCDD_BAD_IMAGE */
export async function readPicture({ tar, name, offset, size }: IndexedPicture & { tar: string }) {
  const file = await open(tar, 'r');
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(size), 0, size, offset);
    if (bytesRead === size) return new Uint8Array(buffer.buffer, buffer.byteOffset, size);
    throw new FcddError('FCDD_BAD_IMAGE', `${name} in ${tar} is cut off`);
  } finally {
    await file.close();
  }
}
