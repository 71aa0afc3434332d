/**
 * Reading of MATLAB's MAT files, version 5 (MathWorks, "MAT-File Format"), as far as ImageNet's development
 * kit needs it: struct arrays, numbers and text, compressed or not. Everything else is skipped. Little-endian
 * files only.
 */
import { inflateSync } from 'node:zlib';
import { FcddError } from '../../errors.js';

export type MatValue = number[] | string | Record<string, MatValue>[] | null;

const compressed = 15;
const matrix = 14;

interface Element {
  type: number;
  data: Buffer;
  next: number;
}

/** The variables of a file by name. @throws FcddError FCDD_BAD_DATA */
export function readMatFile(file: Buffer, name: string): Map<string, MatValue> {
  try {
    if (file.toString('latin1', 126, 128) !== 'IM') throw new Error('it is no MAT file of version 5');
    const variables = new Map<string, MatValue>();
    for (let at = 128; at + 8 <= file.length; ) {
      const { type, data, next } = element(file, at);
      const inner = type === compressed ? element(inflateSync(data), 0) : { type, data };
      if (inner.type === matrix) {
        const read = array(inner.data);
        variables.set(read.name, read.value);
      }
      at = next;
    }
    return variables;
  } catch (cause) {
    throw new FcddError('FCDD_BAD_DATA', `${name}: ${(cause as Error).message}`, { cause });
  }
}

/**
 * A tag and its data; small ones keep both in eight bytes. Data is padded to eight bytes, except compressed
 * one.
 */
function element(buffer: Buffer, at: number): Element {
  const word = buffer.readUInt32LE(at);
  if (word > 0xffff) {
    const size = word >>> 16;
    return { type: word & 0xffff, data: buffer.subarray(at + 4, at + 4 + size), next: at + 8 };
  }
  const size = buffer.readUInt32LE(at + 4);
  const from = at + 8;
  if (from + size > buffer.length) throw new Error('an element is cut off');
  const padded = word === compressed ? size : Math.ceil(size / 8) * 8;
  return { type: word, data: buffer.subarray(from, from + size), next: from + padded };
}

/** Classes of arrays: 2 struct, 4 text, 6 to 15 numbers. */
function array(data: Buffer): { name: string; value: MatValue } {
  if (data.length === 0) return { name: '', value: null };
  const flags = element(data, 0);
  const sizes = element(data, flags.next);
  const label = element(data, sizes.next);
  const name = label.data.toString('latin1');
  const kind = flags.data.readUInt32LE(0) & 0xff;
  if (kind === 2) {
    const count = numbers(sizes).reduce((product, size) => product * size, 1);
    return { name, value: structs(data, label.next, count) };
  }
  if (kind !== 4 && (kind < 6 || kind > 15)) return { name, value: null };
  const content = element(data, label.next);
  return { name, value: kind === 4 ? text(content) : numbers(content) };
}

function structs(data: Buffer, at: number, count: number): Record<string, MatValue>[] {
  const length = element(data, at);
  const width = numbers(length)[0]!;
  const names = element(data, length.next);
  const fields = Array.from({ length: Math.floor(names.data.length / width) }, (_, i) =>
    names.data.toString('latin1', i * width, (i + 1) * width).replace(/\0.*$/s, ''),
  );
  let next = names.next;
  return Array.from({ length: count }, () => {
    const record: Record<string, MatValue> = {};
    for (const field of fields) {
      const value = element(data, next);
      record[field] = array(value.data).value;
      next = value.next;
    }
    return record;
  });
}

function text({ type, data }: Element): string {
  if (type === 4 || type === 17) return data.toString('utf16le');
  return data.toString(type === 16 ? 'utf8' : 'latin1');
}

const readers: Record<number, [bytes: number, read: (data: Buffer, at: number) => number]> = {
  1: [1, (data, at) => data.readInt8(at)],
  2: [1, (data, at) => data.readUInt8(at)],
  3: [2, (data, at) => data.readInt16LE(at)],
  4: [2, (data, at) => data.readUInt16LE(at)],
  5: [4, (data, at) => data.readInt32LE(at)],
  6: [4, (data, at) => data.readUInt32LE(at)],
  7: [4, (data, at) => data.readFloatLE(at)],
  9: [8, (data, at) => data.readDoubleLE(at)],
};

function numbers({ type, data }: Element): number[] {
  const [bytes, read] = readers[type] ?? [];
  if (bytes === undefined || read === undefined) throw new Error(`numbers of type ${type} are not known`);
  return Array.from({ length: Math.floor(data.length / bytes) }, (_, i) => read(data, i * bytes));
}
