import { open, stat } from 'node:fs/promises';
import { FcddError } from '../errors.js';
import { writeFileAtomic } from '../files.js';
import { toFloat32 } from './half.js';

/**
 * The safetensors format: 8 bytes little-endian length, a JSON header, raw little-endian data. Read with every bound
 * checked, because model files come from strangers; written whole or not at all.
 */

/** F16 is only read, as float32. */
export type TensorType = 'F32' | 'F64' | 'F16' | 'U8' | 'I64';
export type TensorData = Float32Array | Float64Array | Uint8Array | BigInt64Array;

export interface Tensor {
  shape: number[];
  data: TensorData;
}

export interface SafetensorsFile {
  tensors: Map<string, Tensor>;
  metadata: Record<string, string>;
}

const types: Record<TensorType, { bytes: number; make: (buffer: ArrayBuffer) => TensorData }> = {
  F32: { bytes: 4, make: (buffer) => new Float32Array(buffer) },
  F64: { bytes: 8, make: (buffer) => new Float64Array(buffer) },
  F16: { bytes: 2, make: (buffer) => toFloat32(new Uint16Array(buffer)) },
  U8: { bytes: 1, make: (buffer) => new Uint8Array(buffer) },
  I64: { bytes: 8, make: (buffer) => new BigInt64Array(buffer) },
};

const typeOf = (data: TensorData): TensorType =>
  data instanceof Float32Array
    ? 'F32'
    : data instanceof Float64Array
      ? 'F64'
      : data instanceof Uint8Array
        ? 'U8'
        : 'I64';

/** Headers beyond this are an attack or damage, not a model. */
const maxHeaderBytes = 16 << 20;

/**
 * Writes tensors in the order given. The bytes are a pure function of the arguments.
 * @throws FcddError FCDD_DISK when the file system refuses.
 */
export async function writeSafetensors(
  path: string,
  tensors: ReadonlyMap<string, Tensor>,
  metadata: Record<string, string> = {},
): Promise<void> {
  const header: Record<string, unknown> = { __metadata__: metadata };
  let offset = 0;
  const parts: Uint8Array[] = [];
  for (const [name, { shape, data }] of tensors) {
    header[name] = { dtype: typeOf(data), shape, data_offsets: [offset, offset + data.byteLength] };
    offset += data.byteLength;
    parts.push(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
  }
  const json = new TextEncoder().encode(JSON.stringify(header));
  // The header is padded with spaces to 8 bytes, so that the data is aligned.
  const padded = Math.ceil(json.length / 8) * 8;
  const head = new Uint8Array(8 + padded).fill(0x20);
  new DataView(head.buffer).setBigUint64(0, BigInt(padded), true);
  head.set(json, 8);
  await writeFileAtomic(path, [head, ...parts]);
}

export interface ReadOptions {
  /** Names of the tensors to read; the others cost nothing, and may be of any type. Default: all. */
  keep?: (name: string) => boolean;
}

/**
 * Reads a file, tensor by tensor.
 * @throws FcddError FCDD_NOT_FOUND, or FCDD_BAD_MODEL naming the file and what is wrong with it.
 */
export async function readSafetensors(path: string, options: ReadOptions = {}): Promise<SafetensorsFile> {
  const keep = options.keep ?? (() => true);
  const bad = (reason: string): FcddError =>
    new FcddError('FCDD_BAD_MODEL', `${path} is not a usable safetensors file: ${reason}`);
  const size = await fileSize(path);
  if (size < 8) throw bad('it is shorter than 8 bytes');
  const file = await open(path, 'r');
  try {
    const prefix = Buffer.alloc(8);
    await file.read(prefix, 0, 8, 0);
    const length = prefix.readBigUInt64LE(0);
    if (length > BigInt(maxHeaderBytes)) throw bad('its header length is not plausible');
    const headerBytes = Number(length);
    if (8 + headerBytes > size) throw bad('it ends inside the header: the file is truncated');
    const header = Buffer.alloc(headerBytes);
    await file.read(header, 0, headerBytes, 8);
    const { entries, metadata } = parseHeader(header, size - 8 - headerBytes, keep, bad);
    const tensors = new Map<string, Tensor>();
    for (const { name, type, shape, begin, end } of entries) {
      const buffer = new ArrayBuffer(end - begin);
      const { bytesRead } = await file.read(new Uint8Array(buffer), 0, end - begin, 8 + headerBytes + begin);
      if (bytesRead !== end - begin) throw bad(`it ends inside tensor "${name}": the file is truncated`);
      tensors.set(name, { shape, data: types[type].make(buffer) });
    }
    return { tensors, metadata };
  } finally {
    await file.close();
  }
}

async function fileSize(path: string): Promise<number> {
  try {
    const found = await stat(path);
    if (found.isFile()) return found.size;
    throw new FcddError('FCDD_NOT_FOUND', `${path} is not a file`);
  } catch (cause) {
    if (cause instanceof FcddError) throw cause;
    throw new FcddError('FCDD_NOT_FOUND', `cannot read ${path}: no such file`, { cause });
  }
}

interface Entry {
  name: string;
  type: TensorType;
  shape: number[];
  begin: number;
  end: number;
}

type Bad = (reason: string) => FcddError;

function parseHeader(
  header: Buffer,
  dataBytes: number,
  keep: (name: string) => boolean,
  bad: Bad,
): { entries: Entry[]; metadata: Record<string, string> } {
  let parsed: unknown;
  try {
    parsed = JSON.parse(header.toString('utf8'));
  } catch {
    throw bad('its header is not JSON');
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed))
    throw bad('its header is not an object');
  const entries: Entry[] = [];
  const metadata: Record<string, string> = {};
  for (const [name, value] of Object.entries(parsed)) {
    if (name !== '__metadata__') {
      if (!keep(name)) continue;
      entries.push(parseEntry(name, value, dataBytes, bad));
      continue;
    }
    for (const [key, text] of Object.entries((value ?? {}) as Record<string, unknown>)) {
      if (typeof text !== 'string') throw bad(`its metadata "${key}" is not a string`);
      metadata[key] = text;
    }
  }
  return { entries: refuseOverlaps(entries, bad), metadata };
}

function parseEntry(name: string, value: unknown, dataBytes: number, bad: Bad): Entry {
  const entry = value as { dtype?: unknown; shape?: unknown; data_offsets?: unknown } | null;
  const natural = (x: unknown): x is number => Number.isSafeInteger(x) && (x as number) >= 0;
  if (typeof entry !== 'object' || entry === null) throw bad(`tensor "${name}" has no description`);
  if (typeof entry.dtype !== 'string' || !Object.hasOwn(types, entry.dtype)) {
    throw bad(`tensor "${name}" has type ${String(entry.dtype)}; F32, F64, F16, U8 and I64 are understood`);
  }
  if (!Array.isArray(entry.shape) || !entry.shape.every(natural))
    throw bad(`tensor "${name}" has a wrong shape`);
  const offsets = entry.data_offsets;
  if (!Array.isArray(offsets) || offsets.length !== 2 || !offsets.every(natural)) {
    throw bad(`tensor "${name}" has wrong data_offsets`);
  }
  const [begin, end] = offsets as [number, number];
  const type = entry.dtype as TensorType;
  const count = entry.shape.reduce((product: number, extent: number) => product * extent, 1);
  if (begin > end || end > dataBytes)
    throw bad(`tensor "${name}" lies outside the file: the file is truncated`);
  if (count * types[type].bytes !== end - begin)
    throw bad(`tensor "${name}" has a size that does not match its shape`);
  return { name, type, shape: entry.shape as number[], begin, end };
}

function refuseOverlaps(entries: Entry[], bad: Bad): Entry[] {
  const sorted = [...entries].sort((a, b) => a.begin - b.begin || a.end - b.end);
  for (let i = 1; i < sorted.length; i++) {
    const [before, after] = [sorted[i - 1]!, sorted[i]!];
    if (after.begin < before.end) throw bad(`tensors "${before.name}" and "${after.name}" overlap`);
  }
  return entries;
}
