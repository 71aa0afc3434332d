import type { FileHandle } from 'node:fs/promises';
import { FcddError } from '../errors.js';

/**
 * The protobuf wire format, read straight from a file: a message is a run of fields (number, wire type, place in the
 * file), and only the bytes that somebody asks for are read. So a 531 MB ONNX file costs the memory of its graph, not
 * of its weights; libraries want the whole file in memory.
 *
 * https://protobuf.dev/programming-guides/encoding/
 */

/** Varint 0, eight bytes 1, length-delimited 2, four bytes 5; the group types are long dead. */
export type WireType = 0 | 1 | 2 | 5;

export interface Field {
  number: number;
  wire: WireType;
  /** Where the value's bytes lie in the file: [start, end). */
  start: number;
  end: number;
  /** Of a varint: as a signed 64-bit integer (nearest number where it is beyond 2^53). 0 otherwise. */
  value: number;
}

/** Bytes read at once while walking: a graph's fields are small and close together. */
const windowBytes = 1 << 16;
/** A tag and a length are at most ten bytes each. */
const headBytes = 20;
const longestText = 4096;

/** A file as a source of protobuf fields. Every place is checked: files come from strangers. */
export class WireFile {
  readonly path: string;
  readonly size: number;
  readonly #file: FileHandle;
  #window: Buffer = Buffer.alloc(0);
  #at = 0;

  constructor(file: FileHandle, path: string, size: number) {
    this.#file = file;
    this.path = path;
    this.size = size;
  }

  bad(reason: string): FcddError {
    return new FcddError('FCDD_BAD_MODEL', `${this.path} is not a usable ONNX file: ${reason}`);
  }

  /** Fields of the message at [start, end). */
  async *fields(start: number, end: number): AsyncGenerator<Field> {
    let at = start;
    while (at < end) {
      const head = await this.#head(at, end);
      const tag = this.#varint(head, 0, at);
      const number = Math.floor(tag.value / 8);
      const wire = tag.value % 8;
      if (tag.value < 8 || number > 536_870_911) throw this.bad(`there is no field at byte ${at}`);
      const field = this.#field(number, wire, head, tag.bytes, at, end);
      yield field;
      at = field.end;
    }
  }

  #field(number: number, wire: number, head: Buffer, tagBytes: number, at: number, end: number): Field {
    const start = at + tagBytes;
    const of = (length: number, from = start, value = 0): Field => {
      if (from + length > end) throw this.bad(`it ends inside a field at byte ${at}: the file is truncated`);
      return { number, wire: wire as WireType, start: from, end: from + length, value };
    };
    if (wire === 1) return of(8);
    if (wire === 5) return of(4);
    if (wire !== 0 && wire !== 2) throw this.bad(`byte ${at} is not the start of a field`);
    const varint = this.#varint(head, tagBytes, at);
    if (wire === 0) return of(varint.bytes, start, varint.value);
    if (varint.value < 0) throw this.bad(`a length at byte ${at} is not plausible`);
    return of(varint.value, start + varint.bytes);
  }

  /** Signed 64-bit value of the varint at `offset` of `buffer`; `at` is for the message alone. */
  #varint(buffer: Buffer, offset: number, at: number): { value: number; bytes: number } {
    let value = 0;
    for (let i = 0; i < 10; i++) {
      const byte = buffer[offset + i];
      if (byte === undefined) throw this.bad(`it ends inside a number at byte ${at}: the file is truncated`);
      // Seven bytes hold 49 bits, exact in a number; the rest needs a bigint.
      if (i < 7) value += (byte & 0x7f) * 2 ** (7 * i);
      if (byte < 0x80)
        return { value: i < 7 ? value : long(buffer.subarray(offset, offset + i + 1)), bytes: i + 1 };
    }
    throw this.bad(`a number at byte ${at} is longer than ten bytes`);
  }

  /** The bytes that hold a field's tag and length: fewer than asked for at the end of the message. */
  async #head(at: number, end: number): Promise<Buffer> {
    const length = Math.min(headBytes, end - at);
    const from = at - this.#at;
    if (from < 0 || from + length > this.#window.length) {
      this.#window = await this.bytes(at, Math.min(this.size, at + windowBytes));
      this.#at = at;
      return this.#window.subarray(0, length);
    }
    return this.#window.subarray(from, from + length);
  }

  /** Reads [start, end) whole. */
  async bytes(start: number, end: number): Promise<Buffer> {
    if (end > this.size) throw this.bad(`it ends before byte ${end}: the file is truncated`);
    const buffer = Buffer.allocUnsafeSlow(end - start);
    await this.read(buffer, start);
    return buffer;
  }

  /** Fills `target` from the file. */
  async read(target: Uint8Array, start: number): Promise<void> {
    let done = 0;
    while (done < target.length) {
      const { bytesRead } = await this.#file.read(target, done, target.length - done, start + done);
      if (bytesRead === 0)
        throw this.bad(`it ends before byte ${start + target.length}: the file is truncated`);
      done += bytesRead;
    }
  }

  /** A name: text of a plausible length. */
  async text(field: Field, what: string): Promise<string> {
    if (field.wire !== 2) throw this.bad(`${what} is not text`);
    if (field.end - field.start > longestText)
      throw this.bad(`${what} is ${field.end - field.start} bytes long`);
    const from = field.start - this.#at;
    const near = from >= 0 && field.end - this.#at <= this.#window.length;
    const bytes = near
      ? this.#window.subarray(from, field.end - this.#at)
      : await this.bytes(field.start, field.end);
    return bytes.toString('utf8');
  }

  /** Repeated integers, packed or one by one. */
  async integers(field: Field, what: string): Promise<number[]> {
    if (field.wire === 0) return [field.value];
    if (field.wire !== 2) throw this.bad(`${what} are not integers`);
    if (field.end - field.start > longestText) throw this.bad(`${what} are implausibly many`);
    return this.varints(await this.bytes(field.start, field.end), field.start);
  }

  /** All varints of `bytes`, which lie at `at`. */
  varints(bytes: Buffer, at: number): number[] {
    const values: number[] = [];
    for (let offset = 0; offset < bytes.length; ) {
      const { value, bytes: length } = this.#varint(bytes, offset, at);
      values.push(value);
      offset += length;
    }
    return values;
  }
}

function long(bytes: Uint8Array): number {
  let value = 0n;
  for (const [i, byte] of bytes.entries()) value |= BigInt(byte & 0x7f) << BigInt(7 * i);
  return Number(BigInt.asIntN(64, value));
}
