/**
 * Pictures of ImageNet by class, wherever they lie: folders named by WordNet id, one folder, or tars through
 * an index.
 */
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { BrokenEntry } from '../archives/index-format.js';
import { openIndex, readPicture } from '../archives/open-index.js';
import { compareNatural } from '../natural-order.js';
import { scanFolder } from '../scan.js';
import { wordNetId } from './classes.js';

export interface ImageFile {
  /** Relative to its split; unique there. */
  name: string;
  /** For messages, and for decoding where there is no `read`. */
  path: string;
  read?: () => Promise<Uint8Array>;
}

export interface ImageGroup {
  /** Null: the names of the files do not say. */
  wnid: string | null;
  count: number;
  /** In natural order of the names, or in that of the tar. */
  files(): Promise<ImageFile[]>;
}

export interface ImageGroups {
  /** Folder or index. */
  what: string;
  groups: ImageGroup[];
}

export const countOf = (groups: readonly ImageGroup[]): number =>
  groups.reduce((sum, { count }) => sum + count, 0);

/**
 * Folders named by WordNet id below `folder`, or else the pictures directly in it; null when there are
 * neither.
 */
export async function folderGroups(folder: string): Promise<ImageGroups | null> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
  const classes = entries.filter((entry) => wordNetId(entry.name) === entry.name).map(({ name }) => name);
  const groups: ImageGroup[] = [];
  for (const wnid of classes.sort(compareNatural)) {
    const count = (await pictureNames(join(folder, wnid))).length;
    if (count > 0) groups.push({ wnid, count, files: () => filesIn(folder, wnid) });
  }
  if (groups.length > 0) return { what: folder, groups };
  const { pictures } = await scanFolder(folder, 'direct').catch(() => ({ pictures: [] as string[] }));
  if (pictures.length === 0) return null;
  const files = async () => pictures.map((name) => ({ name, path: join(folder, name) }));
  return { what: folder, groups: [{ wnid: null, count: pictures.length, files }] };
}

/** By extension alone: nobody opens 14 million files to find out what they are. */
async function pictureNames(folder: string): Promise<string[]> {
  const names = await readdir(folder).catch(() => []);
  return names.filter((name) => /\.(jpe?g|png)$/i.test(name) && !name.startsWith('.')).sort(compareNatural);
}

async function filesIn(folder: string, wnid: string): Promise<ImageFile[]> {
  const names = await pictureNames(join(folder, wnid));
  return names.map((name) => ({ name: `${wnid}/${name}`, path: join(folder, wnid, name) }));
}

/** Null when there is no index. @throws FcddError FCDD_BAD_DATA, FCDD_NOT_FOUND (a tar is gone) */
export async function indexedGroups(path: string): Promise<(ImageGroups & { broken: BrokenEntry[] }) | null> {
  if (!(await stat(path).catch(() => null))) return null;
  const { groups, broken } = await openIndex(path);
  return {
    what: path,
    broken,
    groups: groups.map(({ wnid, count, pictures }) => ({
      wnid,
      count,
      files: async () =>
        (await pictures()).map((picture) => ({
          name: picture.name,
          path: `${picture.name} in ${picture.tar}`,
          read: () => readPicture(picture),
        })),
    })),
  };
}
