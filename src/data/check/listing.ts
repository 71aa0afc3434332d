/** Lists what a data set holds by class and part, without decoding it. */
import { basename, join, resolve } from 'node:path';
import { FcddError } from '../../errors.js';
import { arrayClasses, findArrays, isArraySetName } from '../array-set.js';
import { isClass } from '../class-names.js';
import { openPicture } from '../decode.js';
import { listFolderFiles } from '../folder-files.js';
import { findLayout } from '../folder-layout.js';
import { dataSetFolders } from '../locate.js';
import { listTraining } from '../mvtec.js';
import { categoriesIn, findCategory, isCategory } from '../mvtec-layout.js';
import { listTestPictures } from '../mvtec-test.js';
import type { PictureFile } from '../pictures.js';
import { createRemarks } from '../remarks.js';
import { findVoc, readSplit, vocClasses } from '../voc/layout.js';
import { entryOf } from './entries.js';
import { listImagenet, listImagenet22k } from './imagenet.js';
import type { CheckDataOptions, CheckEntry, ClassCount, Listing } from './types.js';

export const checkableNames = [
  'mvtec',
  'folder',
  'fashion-mnist',
  'cifar10',
  'cifar100',
  'emnist',
  'pascal-voc',
  'imagenet',
  'imagenet22k',
] as const;

/** @throws FcddError FCDD_INVALID_ARGUMENT (name), FCDD_NOT_FOUND, FCDD_BAD_DATA */
export async function listDataSet(name: string, options: CheckDataOptions): Promise<Listing> {
  if (isArraySetName(name)) return listArrays(name, options);
  if (name === 'mvtec') return listMvtec(options);
  if (name === 'folder') return listFolder(options);
  if (name === 'pascal-voc' || name === 'voc') return listVoc(options);
  if (name === 'imagenet') return listImagenet(options);
  if (name === 'imagenet22k') return listImagenet22k(options);
  throw new FcddError(
    'FCDD_INVALID_ARGUMENT',
    `data set: expected one of ${checkableNames.join(', ')}, received '${name}'`,
  );
}

const dirOf = ({ data }: CheckDataOptions) => (data === undefined ? {} : { dir: data });

function counted(entries: readonly CheckEntry[]): ClassCount[] {
  const classes = new Map<string, ClassCount>();
  for (const { part, className } of entries) {
    const key = `${part}/${className}`;
    const found = classes.get(key) ?? { part, className, images: 0 };
    found.images++;
    classes.set(key, found);
  }
  return [...classes.values()];
}

async function listArrays(
  name: Parameters<typeof findArrays>[0],
  options: CheckDataOptions,
): Promise<Listing> {
  const { arrays, folder, remarks } = await findArrays(name, { ...dirOf(options), seed: 0 });
  const classes = arrayClasses(name);
  const entries = arrays.flatMap((array) => {
    const { height, width, channels, pixels, part, files, labels } = array;
    const size = height * width * channels;
    return Array.from({ length: array.count }, (_, i): CheckEntry => {
      const label = labels?.[i];
      return {
        part,
        className: label === undefined ? 'without label' : (classes[label] ?? `label ${label}, unknown`),
        name: `${files[0]}[${i}]`,
        open: async () => ({ height, width, channels, data: pixels.subarray(i * size, (i + 1) * size) }),
      };
    });
  });
  return { where: folder, classes: counted(entries), entries, sampledFrom: null, warnings: remarks };
}

/** All categories of a folder, or the one that the folder is. */
async function listMvtec(options: CheckDataOptions): Promise<Listing> {
  const roots = await mvtecRoots(options);
  const remarks = createRemarks();
  const entries: CheckEntry[] = [];
  for (const root of roots) {
    const name = basename(resolve(root));
    for (const file of await listTraining(root, remarks)) {
      entries.push(entryOf({ ...file, name: `${name}/${file.name}` }, 'train', `${name}/good`, false));
    }
    for (const file of await listTestPictures(root, remarks)) {
      const named = { ...file, name: `${name}/${file.name}` };
      entries.push(entryOf(named, 'test', `${name}/${file.type}`, file.label === 1));
    }
  }
  return {
    where: roots.join(', '),
    classes: counted(entries),
    entries,
    sampledFrom: null,
    warnings: remarks.lines(),
  };
}

async function mvtecRoots(options: CheckDataOptions): Promise<string[]> {
  for (const folder of await dataSetFolders('mvtec', options.data)) {
    if (await isCategory(folder, undefined)) return [folder];
    const names = await categoriesIn(folder, undefined);
    const wanted = options.className;
    const chosen = wanted === undefined ? names : names.filter((name) => isClass(name, wanted));
    if (chosen.length > 0) return chosen.map((name) => join(folder, name));
  }
  // Says what is wrong.
  const category = options.className === undefined ? {} : { className: options.className };
  return [(await findCategory({ ...dirOf(options), ...category, seed: 0 })).folder];
}

async function listFolder(options: CheckDataOptions): Promise<Listing> {
  const open = { ...dirOf(options), seed: 0 };
  const first = await findLayout({ ...open, className: options.className ?? '0' }).catch((error) => {
    // A flat folder has no classes.
    if (options.className !== undefined) throw error;
    return findLayout(open);
  });
  const every =
    first.kind === 'labelled' && options.className === undefined ? first.classes : [first.className];
  const remarks = createRemarks();
  const entries: CheckEntry[] = [];
  for (const className of every) {
    const { train, anomalies, test, masked } = await listFolderFiles({ ...first, className }, remarks);
    const label = (file: PictureFile): string =>
      first.kind === 'labelled' ? `${className}/${file.label === 0 ? 'normal' : file.type}` : file.type;
    for (const file of [...train, ...anomalies]) entries.push(entryOf(file, 'train', label(file), false));
    for (const file of test) entries.push(entryOf(file, 'test', label(file), masked && file.label === 1));
  }
  const warnings = remarks.lines();
  return { where: first.folder, classes: counted(entries), entries, sampledFrom: null, warnings };
}

/** An image may show several classes: they are counted with each, and decoded once. */
async function listVoc(options: CheckDataOptions): Promise<Listing> {
  const root = await findVoc(options.data);
  const classes: ClassCount[] = [];
  const entries = new Map<string, CheckEntry>();
  for (const part of ['train', 'val'] as const) {
    for (const className of vocClasses) {
      const split = await readSplit(root, className, part);
      classes.push({ part, className, images: split.filter(({ shows }) => shows).length });
      for (const { id, shows } of split) {
        const path = join(root, 'JPEGImages', `${id}.jpg`);
        const name = `JPEGImages/${id}.jpg`;
        const entry = { part, className, name, open: () => openPicture(path) };
        if (shows || !entries.has(id)) entries.set(id, entry);
      }
    }
  }
  return { where: root, classes, entries: [...entries.values()], sampledFrom: null, warnings: [] };
}
