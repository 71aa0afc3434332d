/**
 * Finds ImageNet below a folder: prepared (indexes, sources.json), or simply unpacked as ILSVRC's archives
 * are.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { FcddError } from '../../errors.js';
import type { BrokenEntry } from '../archives/index-format.js';
import { isFolder } from '../locate.js';
import { folderGroups, type ImageGroups, indexedGroups } from './groups.js';
import { type ImagenetLabels, readLabels } from './labels.js';

/** Says where folders lie that are read in place: {"train": path, "val": path} or {"images": path}. */
export const sourcesFile = 'sources.json';

export interface FoundImagenet {
  /** The folder that was looked into. */
  folder: string;
  train: (ImageGroups & { broken: BrokenEntry[] }) | null;
  val: (ImageGroups & { broken: BrokenEntry[] }) | null;
  /** ImageNet-22k. */
  images: (ImageGroups & { broken: BrokenEntry[] }) | null;
  labels: ImagenetLabels;
}

/** Of the first folder that holds anything of it; an empty result when none does. */
export async function findImagenet(folders: readonly string[]): Promise<FoundImagenet> {
  let found: FoundImagenet | null = null;
  for (const folder of folders) {
    found = await lookInto(folder);
    if (found.train || found.val || found.images) return found;
  }
  return found!;
}

async function lookInto(folder: string): Promise<FoundImagenet> {
  const sources = await readSources(join(folder, sourcesFile));
  const part = async (name: 'train' | 'val' | 'images') => {
    const indexed = await indexedGroups(join(folder, `${name}.index`));
    if (indexed) return indexed;
    const candidates = [
      ...(sources[name] === undefined ? [] : [sources[name]]),
      ...(name === 'images' ? [] : [join(folder, name), join(folder, 'ILSVRC', 'Data', 'CLS-LOC', name)]),
    ];
    for (const path of candidates) {
      const groups = (await isFolder(path)) ? await folderGroups(path) : null;
      if (groups) return { ...groups, broken: [] };
      if (path === sources[name]) throw gone(path, folder);
    }
    return null;
  };
  const [train, val] = [await part('train'), await part('val')];
  return { folder, train, val, images: await part('images'), labels: await readLabels(folder) };
}

async function readSources(path: string): Promise<Record<string, string>> {
  const content = await readFile(path, 'utf8').catch(() => null);
  if (content === null) return {};
  try {
    return JSON.parse(content) as Record<string, string>;
  } catch (cause) {
    throw new FcddError('FCDD_BAD_DATA', `${path} is damaged`, {
      hint: 'delete it and prepare again',
      cause,
    });
  }
}

function gone(path: string, folder: string): FcddError {
  return new FcddError('FCDD_NOT_FOUND', `${path} is gone: ${folder} only says that pictures lie there`, {
    hint: 'put it back, or prepare again with fcdd-native data prepare',
  });
}
