/**
 * The entries of an uncompressed tar file by their headers alone: bodies are skipped, not read, so that a
 * file of a terabyte is listed in as many small reads as it has entries.
 */
import type { FileHandle } from 'node:fs/promises';
import { signatureBytes } from '../picture-format.js';
import { createHeaderReader, type TarHeader, tarBlock, tarPadded } from './tar-header.js';

export interface TarEntry {
  name: string;
  /** A regular file; folders, links and devices are listed, but have no content of interest. */
  isFile: boolean;
  /** Bytes [from, to) of the file: headers, body and padding. */
  from: number;
  to: number;
  /** The body. */
  offset: number;
  size: number;
  /** Its first bytes, from which its kind can be told. */
  start: Uint8Array;
}

/** What is wrong with a tar file, and where. */
export class TarDamage extends Error {
  constructor(
    message: string,
    readonly offset: number,
  ) {
    super(message);
    this.name = 'TarDamage';
  }
}

/**
 * @param range of a tar inside of another file; `from` is where a header stands
 * @throws TarDamage where a header is no header, or where an entry is longer than what is there
 */
export async function* tarEntries(
  file: FileHandle,
  range: { from: number; to: number },
): AsyncGenerator<TarEntry> {
  const headers = createHeaderReader();
  const buffer = Buffer.alloc(tarBlock + signatureBytes);
  let from = range.from;
  for (let at = range.from; at < range.to; ) {
    const wanted = Math.min(buffer.length, range.to - at);
    const { bytesRead } = await file.read(buffer, 0, wanted, at);
    if (bytesRead < tarBlock) throw new TarDamage('it ends within a header', at);
    const header = parse(headers, buffer, at);
    // What follows the end is padding.
    if (header === null) return;
    const { name, size, kind, meta, type } = header;
    const offset = at + tarBlock;
    if (offset + size > range.to) throw new TarDamage(`${name || 'an entry'} is cut off`, at);
    const to = offset + tarPadded(size);
    if (meta) {
      const { buffer: body } = await file.read(Buffer.alloc(size), 0, size, offset);
      headers.note(type, body);
    } else {
      const start = Uint8Array.from(buffer.subarray(tarBlock, Math.min(bytesRead, tarBlock + size)));
      yield { name, isFile: kind === 'file', from, to, offset, size, start };
      from = to;
    }
    at = to;
  }
}

function parse(headers: ReturnType<typeof createHeaderReader>, block: Buffer, at: number): TarHeader | null {
  try {
    return headers.parse(block);
  } catch (cause) {
    throw new TarDamage((cause as Error).message, at);
  }
}
