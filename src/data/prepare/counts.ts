/** What a prepared folder holds, counted in the files themselves, and what is missing of it. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type ImageArray, readArrayFolder } from '../array-files.js';
import { isFolder } from '../locate.js';
import { scanFolder } from '../scan.js';
import { catalogue, whereToGet } from './catalogue.js';
import type { PreparableName } from './types.js';

export interface Found {
  counts: Record<string, number>;
  /** Parts without which the data set does not open. */
  missing: string[];
}

type UnpackedName = Exclude<PreparableName, 'imagenet' | 'imagenet22k'>;

export function countUnpacked(name: UnpackedName, folder: string): Promise<Found> {
  if (name === 'mvtec') return countMvtec(folder);
  if (name === 'voc') return countVoc(folder);
  return countArrays(name, folder);
}

async function countMvtec(folder: string): Promise<Found> {
  const counts = { categories: 0, train: 0, test: 0, masks: 0 };
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
  for (const entry of entries) {
    const root = join(folder, entry.name);
    if (!entry.isDirectory() || !(await isFolder(join(root, 'train', 'good')))) continue;
    const pictures = async (part: string): Promise<number> =>
      (await isFolder(join(root, part))) ? (await scanFolder(join(root, part), 'all')).pictures.length : 0;
    counts.categories++;
    counts.train += await pictures(join('train', 'good'));
    counts.test += await pictures('test');
    counts.masks += await pictures('ground_truth');
  }
  const missing = counts.categories > 0 ? [] : [`a category (train/good …). ${whereToGet(catalogue.mvtec)}`];
  return { counts, missing };
}

const kinds: Partial<Record<UnpackedName, ImageArray['kind']>> = { cifar10: 'cifar10', cifar100: 'cifar100' };

async function countArrays(name: UnpackedName, folder: string): Promise<Found> {
  const { arrays } = await readArrayFolder(folder);
  const counts = { train: 0, test: 0 };
  const missing: string[] = [];
  for (const { kind, part, count, labels, files } of arrays) {
    if (kind !== (kinds[name] ?? 'idx')) continue;
    if (labels) counts[part] += count;
    else missing.push(`the labels of ${files[0]}. ${whereToGet(catalogue[name])}`);
  }
  for (const part of ['train', 'test'] as const) {
    if (counts[part] > 0 || missing.length > 0) continue;
    missing.push(`the ${part === 'train' ? 'training' : 'test'} part. ${whereToGet(catalogue[name])}`);
  }
  return { counts, missing };
}

async function countVoc(folder: string): Promise<Found> {
  const root = join(folder, 'VOC2007');
  const counts: Record<string, number> = { train: 0, val: 0 };
  const missing: string[] = [];
  const images = new Set(await readdir(join(root, 'JPEGImages')).catch(() => []));
  for (const part of ['train', 'val']) {
    const list = await readFile(join(root, 'ImageSets', 'Main', `${part}.txt`), 'utf8').catch(() => null);
    if (list === null) {
      missing.push(`VOC2007/ImageSets/Main/${part}.txt. ${whereToGet(catalogue.voc)}`);
      continue;
    }
    const ids = list.split(/\s+/).filter((id) => id !== '');
    const absent = ids.filter((id) => !images.has(`${id}.jpg`));
    counts[part] = ids.length - absent.length;
    if (absent.length === 0) continue;
    missing.push(
      `${absent.length} of ${ids.length} pictures of ${part} (JPEGImages/${absent[0]}.jpg first). ${whereToGet(catalogue.voc)}`,
    );
  }
  return { counts, missing };
}
