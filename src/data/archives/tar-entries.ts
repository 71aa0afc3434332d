/**
 * The entries of an uncompressed tar file by their headers alone: bodies are skipped, not read, so that a file of a
 * terabyte is listed in as many small reads as it has entries. Long names of GNU tar and pax are understood.
 */
import type { FileHandle } from 'node:fs/promises';
import { Header, Pax } from 'tar';
import { signatureBytes } from '../picture-format.js';

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

const block = 512;
/** Of a header's own content (long names): more is no name. */
const longestName = 1 << 20;

/**
 * @param range of a tar inside of another file; `from` is where a header stands
 * @throws TarDamage where a header is no header, or where an entry is longer than what is there
 */
export async function* tarEntries(
  file: FileHandle,
  range: { from: number; to: number },
): AsyncGenerator<TarEntry> {
  const buffer = Buffer.alloc(block + signatureBytes);
  let extended: Pax | undefined;
  let longName: string | undefined;
  let from = range.from;
  for (let at = range.from; at < range.to; ) {
    const wanted = Math.min(buffer.length, range.to - at);
    const { bytesRead } = await file.read(buffer, 0, wanted, at);
    if (bytesRead < block) throw new TarDamage('it ends within a header', at);
    const header = new Header(buffer, 0, extended);
    // Two blocks of zeros end an archive; what follows is padding.
    if (header.nullBlock) return;
    const size = header.size ?? 0;
    if (!header.cksumValid || !Number.isSafeInteger(size) || size < 0) {
      throw new TarDamage('there is no tar header', at);
    }
    const offset = at + block;
    const name = longName ?? header.path ?? '';
    if (offset + size > range.to) throw new TarDamage(`${name || 'an entry'} is cut off`, at);
    const to = offset + Math.ceil(size / block) * block;
    at = to;
    if (header.type === 'NextFileHasLongPath') {
      longName = (await headerText(file, offset, size)).replace(/\0.*$/s, '');
    } else if (header.type === 'ExtendedHeader' || header.type === 'OldExtendedHeader') {
      extended = Pax.parse(await headerText(file, offset, size), extended, false);
    } else if (!notEntries.has(header.type)) {
      const start = Uint8Array.from(buffer.subarray(block, Math.min(bytesRead, block + size)));
      yield { name, isFile: fileTypes.has(header.type), from, to, offset, size, start };
      extended = undefined;
      longName = undefined;
      from = to;
    }
  }
}

const fileTypes = new Set<string>(['File', 'OldFile', 'ContiguousFile']);
const notEntries = new Set<string>(['GlobalExtendedHeader', 'NextFileHasLongLinkpath']);

async function headerText(file: FileHandle, offset: number, size: number): Promise<string> {
  if (size > longestName) throw new TarDamage('a name is longer than a megabyte', offset);
  const { buffer, bytesRead } = await file.read(Buffer.alloc(size), 0, size, offset);
  return buffer.toString('utf8', 0, bytesRead);
}
