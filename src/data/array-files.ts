/**
 * Data sets kept as arrays in one file: idx (MNIST family) and CIFAR binary records, gzipped or not. What a file is
 * is read from its content; only its part (training or test) comes from its name, because the content does not say.
 */
import { open, readdir, readFile, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { promisify } from 'node:util';
import { constants, gunzip, gunzipSync } from 'node:zlib';
import { FcddError } from '../errors.js';
import { compareNatural } from './natural-order.js';

/** Images of one file in file order: H×W×C interleaved, one after the other; `labels` parallel to them. */
export interface ImageArray {
  kind: 'idx' | 'cifar10' | 'cifar100';
  part: 'train' | 'test';
  /** File names the images came from. */
  files: string[];
  count: number;
  height: number;
  width: number;
  channels: 1 | 3;
  pixels: Uint8Array;
  /** Class indices; the fine ones of CIFAR-100; null for idx images without a label file. */
  labels: Uint8Array | null;
}

type Content =
  | { kind: 'idx-images'; count: number; height: number; width: number; data: Uint8Array }
  | { kind: 'idx-labels'; data: Uint8Array }
  | { kind: 'cifar10' | 'cifar100'; data: Uint8Array }
  | { kind: 'other'; what: string | null };

interface ReadFile {
  name: string;
  content: Content;
}

/** What a folder's files turned out to be, and remarks about those that were not used. */
export interface ArrayFolder {
  arrays: ImageArray[];
  remarks: string[];
}

/** Sub-folders in which the archives of these data sets unpack themselves. */
const innerFolders = ['raw', 'cifar-10-batches-bin', 'cifar-100-binary', 'gzip'];

/** Larger files of unknown kind are not read to find out what they are. */
const largestFile = 2 ** 30;

/**
 * Reads every idx or CIFAR file of `folder`, or of the sub-folder its archive unpacks to; of one part if `only` is
 * given. No arrays when there is none.
 * @throws FcddError FCDD_BAD_DATA naming the file that is truncated or contradicts itself
 */
export async function readArrayFolder(folder: string, only?: 'train' | 'test'): Promise<ArrayFolder> {
  const remarks: string[] = [];
  for (const candidate of [folder, ...innerFolders.map((inner) => join(folder, inner))]) {
    const names = (await fileNames(candidate)).filter((name) => !only || partOf(name) === only);
    const files: ReadFile[] = [];
    for (const name of withoutTwins(names)) files.push(await readContent(join(candidate, name)));
    for (const { name, content } of files) {
      if (content.kind === 'other' && content.what) remarks.push(`${name} is ${content.what}`);
    }
    const arrays = [...idxArrays(files), ...cifarArrays(files)];
    if (arrays.length > 0) return { arrays, remarks };
  }
  return { arrays: [], remarks };
}

async function fileNames(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
  const names: string[] = [];
  for (const entry of entries) {
    if (entry.name.startsWith('.') || entry.isDirectory()) continue;
    const info = await stat(join(folder, entry.name)).catch(() => null);
    if (info?.isFile() && info.size <= largestFile && !isPictureName(entry.name)) names.push(entry.name);
  }
  return names.sort(compareNatural);
}

function isPictureName(name: string): boolean {
  return /\.(png|jpe?g|bmp|tiff?|webp|gif)$/i.test(name);
}

/** A file and its gzipped twin count once: the plain one is kept. */
function withoutTwins(names: string[]): string[] {
  const plain = new Set(names);
  return names.filter((name) => !(name.endsWith('.gz') && plain.has(name.slice(0, -3))));
}

async function readContent(path: string): Promise<ReadFile> {
  const name = basename(path);
  const what = whatElse(await peek(path));
  if (what !== null) return { name, content: { kind: 'other', what } };
  let data: Buffer = await readFile(path);
  if (isGzip(data)) {
    try {
      data = await promisify(gunzip)(data);
    } catch (cause) {
      throw new FcddError('FCDD_BAD_DATA', `${path}: the gzip data is truncated or corrupt`, { cause });
    }
  }
  return { name, content: recognise(data, path) };
}

function isGzip(data: Uint8Array): boolean {
  return data[0] === 0x1f && data[1] === 0x8b;
}

/** The first bytes of a file, unpacked: archives of gigabytes lie beside the data they were unpacked to. */
async function peek(path: string): Promise<Buffer> {
  const file = await open(path, 'r');
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(4096), 0, 4096, 0);
    const start = buffer.subarray(0, bytesRead);
    if (!isGzip(start)) return start;
    // A flush instead of an end: the rest of the stream is not here. Corrupt data is reported when all of it is read.
    return gunzipSync(start, { finishFlush: constants.Z_SYNC_FLUSH });
  } catch {
    return Buffer.alloc(0);
  } finally {
    await file.close();
  }
}

/** Well-known kinds of files that are no arrays, worth a word because the arrays may be inside; else null. */
function whatElse(start: Buffer): string | null {
  if (start.toString('latin1', 257, 262) === 'ustar') return 'a tar archive: unpack it first';
  if (start.toString('latin1', 0, 4) === 'PK\u0003\u0004') return 'a zip archive: unpack it first';
  // PROTO 2…5; idx files begin with 0, CIFAR records with a label below 100.
  if (start[0] === 0x80 && start[1]! >= 2 && start[1]! <= 5) {
    return 'a Python pickle: get the binary version of the data set instead';
  }
  return null;
}

function recognise(data: Buffer, path: string): Content {
  if (data.length >= 4 && data[0] === 0 && data[1] === 0 && data[2] === 8) return parseIdx(data, path);
  if (isCifar(data, 3073, [10])) return { kind: 'cifar10', data };
  if (isCifar(data, 3074, [20, 100])) return { kind: 'cifar100', data };
  return { kind: 'other', what: truncatedCifar(path, data) };
}

/** Whole records whose leading bytes are possible labels. */
function isCifar(data: Uint8Array, record: number, classes: number[]): boolean {
  if (data.length === 0 || data.length % record !== 0) return false;
  for (let start = 0; start < data.length; start += record) {
    if (classes.some((count, i) => data[start + i]! >= count)) return false;
  }
  return true;
}

/** CIFAR's own file names with another content are worth a word: most likely a download was cut off. */
function truncatedCifar(path: string, data: Uint8Array): string | null {
  if (!/(_batch|batch_\d+|train|test)\.bin(\.gz)?$/.test(path)) return null;
  return `no whole number of CIFAR records (${data.length} bytes; records have 3073 or 3074): truncated?`;
}

function parseIdx(data: Buffer, path: string): Content {
  const dimensions = data[3]!;
  const header = 4 + 4 * dimensions;
  const bad = (text: string) => new FcddError('FCDD_BAD_DATA', `${path}: ${text}`);
  if (dimensions !== 1 && dimensions !== 3) {
    throw bad(`an idx file of ${dimensions} dimensions; expected 3 (images) or 1 (labels)`);
  }
  if (data.length < header) throw bad('the idx header is truncated');
  const shape = Array.from({ length: dimensions }, (_, i) => data.readUInt32BE(4 + 4 * i));
  const expected = shape.reduce((product, size) => product * size, 1);
  if (data.length - header !== expected) {
    throw bad(
      `the idx header announces ${shape.join('×')} = ${expected} bytes, ${data.length - header} follow`,
    );
  }
  const body = data.subarray(header);
  const [count = 0, height = 0, width = 0] = shape;
  return dimensions === 1
    ? { kind: 'idx-labels', data: body }
    : { kind: 'idx-images', count, height, width, data: body };
}

function partOf(name: string): 'train' | 'test' {
  return /test|t10k/i.test(name) ? 'test' : 'train';
}

/** Image files joined with the label file of the same part (and the same first word, should there be several). */
function idxArrays(files: ReadFile[]): ImageArray[] {
  const arrays: ImageArray[] = [];
  for (const { name, content } of files) {
    if (content.kind !== 'idx-images') continue;
    const part = partOf(name);
    const candidates = files.filter(
      (file) => file.content.kind === 'idx-labels' && partOf(file.name) === part,
    );
    const stem = (text: string) => text.replace(/[-_.](images|labels).*$/, '');
    const labels = candidates.find((file) => stem(file.name) === stem(name)) ?? candidates[0];
    if (labels?.content.kind === 'idx-labels' && labels.content.data.length !== content.count) {
      throw new FcddError(
        'FCDD_BAD_DATA',
        `${name} holds ${content.count} images, ${labels.name} ${labels.content.data.length} labels`,
      );
    }
    arrays.push({
      kind: 'idx',
      part,
      files: labels ? [name, labels.name] : [name],
      count: content.count,
      height: content.height,
      width: content.width,
      channels: 1,
      pixels: content.data,
      labels: labels?.content.kind === 'idx-labels' ? labels.content.data : null,
    });
  }
  return arrays;
}

function cifarArrays(files: ReadFile[]): ImageArray[] {
  return files.flatMap(({ name, content }): ImageArray[] => {
    if (content.kind !== 'cifar10' && content.kind !== 'cifar100') return [];
    return [
      { kind: content.kind, part: partOf(name), files: [name], ...parseCifar(content.data, content.kind) },
    ];
  });
}

/** Records of label bytes (the last one counts: CIFAR-100's fine label) and a red, a green and a blue plane of 32×32. */
function parseCifar(data: Uint8Array, kind: 'cifar10' | 'cifar100') {
  const area = 1024;
  const header = kind === 'cifar10' ? 1 : 2;
  const count = data.length / (header + 3 * area);
  const pixels = new Uint8Array(count * 3 * area);
  const labels = new Uint8Array(count);
  for (let i = 0; i < count; i++) {
    const start = i * (header + 3 * area) + header;
    labels[i] = data[start - 1]!;
    for (let p = 0; p < area; p++) {
      for (let c = 0; c < 3; c++) pixels[(i * area + p) * 3 + c] = data[start + c * area + p]!;
    }
  }
  return { count, height: 32, width: 32, channels: 3 as const, pixels, labels };
}
