/**
 * Headers of tar files by node-tar's parser, with the names that GNU tar and pax put in front of an entry.
 */
import { Header, Pax } from 'tar';

export const tarBlock = 512;

/** A body is followed by zeros up to the next block. */
export const tarPadded = (size: number): number => Math.ceil(size / tarBlock) * tarBlock;

export interface TarHeader {
  name: string;
  size: number;
  kind: 'file' | 'folder' | 'link' | 'other';
  /** Its body is about the entry that follows: give it to `note`. */
  meta: boolean;
  type: string;
}

/** Of names: more is no name. */
const longestName = 1 << 20;

const kinds: Record<string, TarHeader['kind']> = {
  File: 'file',
  OldFile: 'file',
  ContiguousFile: 'file',
  Directory: 'folder',
  GNUDumpDir: 'folder',
  Link: 'link',
  SymbolicLink: 'link',
};
const metaTypes = new Set([
  'NextFileHasLongPath',
  'NextFileHasLongLinkpath',
  'ExtendedHeader',
  'OldExtendedHeader',
  'GlobalExtendedHeader',
]);

/** Reads one header after the other; remembers what long names said until the entry they belong to. */
export function createHeaderReader() {
  let extended: Pax | undefined;
  let longName: string | undefined;
  return {
    /** Null: a block of zeros, the end of the archive. @throws Error when the block is no header */
    parse(block: Buffer): TarHeader | null {
      const header = new Header(block, 0, extended);
      if (header.nullBlock) return null;
      const size = header.size ?? 0;
      if (!header.cksumValid || !Number.isSafeInteger(size) || size < 0) {
        throw new Error('there is no tar header');
      }
      const name = longName ?? header.path ?? '';
      const meta = metaTypes.has(header.type);
      if (meta && size > longestName) throw new Error('a name is longer than a megabyte');
      if (!meta) {
        extended = undefined;
        longName = undefined;
      }
      // Folders and links have no body, whatever their header says.
      const kind = kinds[header.type] ?? 'other';
      return { name, size: kind === 'folder' || kind === 'link' ? 0 : size, kind, meta, type: header.type };
    },
    /** The body of a header that is about the next entry. */
    note(type: string, body: Buffer): void {
      const text = body.toString('utf8');
      if (type === 'NextFileHasLongPath') longName = text.replace(/\0.*$/s, '');
      else if (type === 'ExtendedHeader' || type === 'OldExtendedHeader') {
        extended = Pax.parse(text, extended, false);
      }
    },
  };
}
