/** Opens an index (index-format.ts) and reads pictures out of the tars that it is of. */
import { open, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { inflateRawSync } from 'node:zlib';
import { FcddError } from '../../errors.js';
import { type BrokenEntry, type ChunkLine, lines } from './index-format.js';

/** A picture within a tar. */
export interface IndexedPicture {
  name: string;
  offset: number;
  size: number;
}

/** Pictures of one class. */
export interface IndexedGroup {
  /**
   * WordNet id, from the name of the inner tar, of the folder or of the pictures; null when they do not say.
   */
  wnid: string | null;
  count: number;
  /** In the order of the tar. */
  pictures(): Promise<(IndexedPicture & { tar: string })[]>;
}

export interface ArchiveIndex {
  /** Where the tars were when they were indexed. */
  tars: string[];
  images: number;
  groups: IndexedGroup[];
  broken: BrokenEntry[];
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
