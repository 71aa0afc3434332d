/** Lists what a data set holds by class and part, without decoding it. */
import { readdir } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { FcddError } from '../../errors.js';
import { drawWithoutReplacement, seededRandom } from '../../evaluation/random.js';
import { arrayClasses, findArrays, isArraySetName } from '../array-set.js';
import { isClass } from '../class-names.js';
import { openPicture } from '../decode.js';
import { listFolderFiles } from '../folder-files.js';
import { findLayout } from '../folder-layout.js';
import { imagenet30 } from '../imagenet/classes.js';
import { findImagenet } from '../imagenet/find.js';
import { countOf, folderGroups, type ImageGroup } from '../imagenet/groups.js';
import { validationClass } from '../imagenet/labels.js';
import { dataSetFolders } from '../locate.js';
import { listTraining } from '../mvtec.js';
import { categoriesIn, findCategory, isCategory } from '../mvtec-layout.js';
import { listTestPictures } from '../mvtec-test.js';
import type { PictureFile } from '../pictures.js';
import { createRemarks } from '../remarks.js';
import { findVoc, readSplit, vocClasses } from '../voc/layout.js';
import type { CheckDataOptions, CheckEntry, ClassCount, Listing } from './types.js';

/** Of ImageNet so many pictures are decoded, drawn from the seed. */
const sample = 500;

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

const entryOf = (file: PictureFile, part: string, className: string, masked: boolean): CheckEntry => ({
  part,
  className,
  name: file.name,
  open: async () => openPicture(file.read ? await file.read() : file.path, { name: file.path }),
  ...(masked ? { mask: file.maskPath } : {}),
});

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

async function listImagenet(options: CheckDataOptions): Promise<Listing> {
  const found = await findImagenet(await dataSetFolders('imagenet', options.data));
  if (!found.train && !found.val) {
    throw new FcddError('FCDD_NOT_FOUND', `${found.folder} holds no ImageNet`, {
      hint: 'fcdd-native data prepare imagenet --from … --data DIR',
    });
  }
  const classes: ClassCount[] = [];
  const entries: CheckEntry[] = [];
  const warnings: string[] = [];
  for (const { name, wordnetId } of imagenet30) {
    const train = found.train?.groups.find(({ wnid }) => wnid === wordnetId);
    classes.push({ part: 'train', className: name, images: train?.count ?? 0 });
    if (train) entries.push(...(await groupEntries(train, 'train', name)));
    let val = 0;
    for (const group of found.val?.groups ?? []) {
      if (group.wnid !== null && group.wnid !== wordnetId) continue;
      const all = await groupEntries(group, 'val', name);
      const of = group.wnid
        ? all
        : all.filter((one) => validationClass(found.labels, one.name) === wordnetId);
      entries.push(...of);
      val += of.length;
    }
    classes.push({ part: 'val', className: name, images: val });
  }
  const others = countOf(found.train?.groups ?? []) + countOf(found.val?.groups ?? []) - entries.length;
  if (others > 0) warnings.push(`${others} further images are of classes outside of ImageNet-30`);
  const broken = [...(found.train?.broken ?? []), ...(found.val?.broken ?? [])];
  if (broken.length > 0)
    warnings.push(`${broken.length} broken files are left out, ${broken[0]!.name} first`);
  if (found.val && found.labels.validation === null && found.val.groups.every(({ wnid }) => wnid === null)) {
    warnings.push('the validation images have no labels: ILSVRC2012_devkit_t12.tar.gz has them');
  }
  return { where: found.folder, classes, ...sampled(entries, options), warnings };
}

async function groupEntries(group: ImageGroup, part: string, className: string): Promise<CheckEntry[]> {
  return (await group.files()).map((file) =>
    entryOf({ ...file, label: 0, type: className, maskPath: null }, part, className, false),
  );
}

function sampled(
  entries: CheckEntry[],
  { seed }: CheckDataOptions,
): Pick<Listing, 'entries' | 'sampledFrom'> {
  if (entries.length <= sample) return { entries, sampledFrom: null };
  const drawn = drawWithoutReplacement(entries.length, sample, seededRandom(seed ?? 0));
  return { entries: drawn.map((i) => entries[i]!), sampledFrom: entries.length };
}

async function listImagenet22k(options: CheckDataOptions): Promise<Listing> {
  for (const folder of await dataSetFolders('imagenet22k', options.data)) {
    const { images } = await findImagenet([folder]);
    const found = images ?? (await readdir(folder).then(() => folderGroups(folder)));
    const groups = found?.groups.filter(({ wnid }) => wnid !== null) ?? [];
    if (groups.length === 0) continue;
    const classes = groups.map(({ wnid, count }) => ({ part: 'all', className: wnid!, images: count }));
    const entries = await drawFromGroups(groups, options.seed ?? 0);
    const total = countOf(groups);
    const broken = images?.broken ?? [];
    const warnings =
      broken.length > 0 ? [`${broken.length} broken files are left out, ${broken[0]!.name} first`] : [];
    const sampledFrom = entries.length < total ? total : null;
    return { where: found!.what, classes, entries, sampledFrom, warnings };
  }
  throw new FcddError('FCDD_NOT_FOUND', `no ImageNet-22k in ${options.data ?? process.env.FCDD_DATA}`, {
    hint: 'fcdd-native data prepare imagenet22k --from fall11_whole.tar --data DIR',
  });
}

/** A few groups, then a picture of each: nobody lists 14 million names for that. */
async function drawFromGroups(groups: readonly ImageGroup[], seed: number): Promise<CheckEntry[]> {
  const random = seededRandom(seed);
  const chosen = drawWithoutReplacement(groups.length, Math.min(sample, groups.length), random);
  const each = Math.ceil(sample / chosen.length);
  const entries: CheckEntry[] = [];
  for (const index of chosen) {
    const group = groups[index]!;
    const all = await groupEntries(group, 'all', group.wnid!);
    const drawn = drawWithoutReplacement(all.length, Math.min(each, all.length), random);
    entries.push(...drawn.map((i) => all[i]!));
  }
  return entries;
}
