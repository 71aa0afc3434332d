import { open, readFile, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { FcddError } from '../../errors.js';
import { fileHash, writeFileAtomic } from '../../files.js';
import { buildIndex } from '../archives/build-index.js';
import { archiveKind } from '../archives/members.js';
import { openIndex } from '../archives/open-index.js';
import { tarEntries } from '../archives/tar-entries.js';
import { wordNetId } from '../imagenet/classes.js';
import { findImagenet, sourcesFile } from '../imagenet/find.js';
import { countOf, folderGroups } from '../imagenet/groups.js';
import { addLabelFile, type ImagenetLabels, labelsFile, readLabels } from '../imagenet/labels.js';
import { isFolder } from '../locate.js';
import { catalogue, whereToGet } from './catalogue.js';
import { type Made, used } from './prepare.js';
import type { Source } from './sources.js';
import { type Preparing, throwIfStopped, type UsedArchive } from './types.js';

type Part = 'train' | 'val' | 'images';

/** Archives up to this size are checked against their published sum without being asked. */
const checkedSize = 16 * 2 ** 30;

export async function prepareImagenet(
  name: 'imagenet' | 'imagenet22k',
  sources: readonly Source[],
  task: Preparing,
): Promise<Made> {
  const labels = await readLabels(task.folder);
  const archives: UsedArchive[] = [];
  const found: Partial<Record<Part, string>> = {};
  let labelled = false;
  const tars = new Map<Part, string[]>();
  for (const { path, kind } of sources) {
    throwIfStopped(task.signal);
    if (kind === 'folder') {
      Object.assign(found, await fromFolder(name, path));
      const more = await readLabels(path);
      labelled = merge(labels, more) || labelled;
    } else if (name === 'imagenet' && (await addLabelFile(labels, path))) {
      labelled = true;
      archives.push(await used(path, await md5Of(path, task), task));
    } else {
      await refuseCompressed(path);
      const part = name === 'imagenet22k' ? 'images' : await partOfTar(path);
      tars.set(part, [...(tars.get(part) ?? []), path]);
      archives.push(await used(path, await md5Of(path, task), task));
    }
  }
  for (const [part, paths] of tars) await indexTars(part, paths, task);
  await writeSources(task.folder, found);
  if (labelled) await writeLabels(task.folder, labels);
  return { archives, ...(name === 'imagenet' ? await takeStock(task) : await takeStock22k(task)) };
}

/** What an unpacked folder holds: ILSVRC's train/ and val/, or folders named by WordNet id. */
async function fromFolder(
  name: 'imagenet' | 'imagenet22k',
  path: string,
): Promise<Partial<Record<Part, string>>> {
  const folders: Partial<Record<Part, string>> = {};
  if (name === 'imagenet22k') {
    const groups = await folderGroups(path);
    if (groups?.groups.some(({ wnid }) => wnid !== null)) folders.images = path;
  } else {
    for (const root of [path, join(path, 'ILSVRC', 'Data', 'CLS-LOC'), join(path, 'Data', 'CLS-LOC')]) {
      for (const part of ['train', 'val'] as const) {
        if (!folders[part] && (await isFolder(join(root, part)))) folders[part] = join(root, part);
      }
    }
  }
  if (Object.keys(folders).length === 0) {
    const expected =
      name === 'imagenet' ? 'train/<WordNet id>/… and val/…' : '<WordNet id>/… or <WordNet id>.tar';
    throw new FcddError('FCDD_BAD_DATA', `${path} holds neither archives nor ${expected}`, {
      hint: whereToGet(catalogue[name]),
    });
  }
  return folders;
}

async function refuseCompressed(path: string): Promise<void> {
  const kind = await archiveKind(path);
  if (kind === 'tar') return;
  const what =
    kind === null ? 'is no tar archive' : `is compressed (${kind}): nothing can be read from its middle`;
  throw new FcddError('FCDD_BAD_DATA', `${path} ${what}`, {
    hint: kind === null ? 'check the file' : 'decompress it once, to a plain .tar; it need not be unpacked',
  });
}

/** The training archive is a tar of tars, the validation one holds pictures. */
async function partOfTar(path: string): Promise<Part> {
  const file = await open(path, 'r');
  try {
    for await (const entry of tarEntries(file, { from: 0, to: (await file.stat()).size })) {
      if (!entry.isFile) continue;
      if (/ILSVRC2012_val_/.test(entry.name)) return 'val';
      if (wordNetId(entry.name) !== null) return 'train';
      break;
    }
  } catch {
    // Told by its name, then; the damage is reported by the indexing.
  } finally {
    await file.close();
  }
  return /val/i.test(basename(path)) ? 'val' : 'train';
}

async function md5Of(path: string, task: Preparing): Promise<string | null> {
  const { size } = await stat(path);
  const known = catalogue[task.name].archives.find(({ name }) => name === basename(path));
  if (task.checksum === false || (!task.checksum && (size > checkedSize || !known?.md5))) return null;
  const before = task.before.find((archive) => archive.path === path && archive.size === size);
  if (before?.md5) return before.md5;
  return fileHash(path, 'md5', (done) => {
    throwIfStopped(task.signal);
    task.onProgress?.(`check ${basename(path)}`, done, size);
  });
}

async function indexTars(part: Part, tars: string[], task: Preparing): Promise<void> {
  const target = join(task.folder, `${part}.index`);
  if (await isIndexOf(target, tars)) return task.onNote?.(`${target} was made before`);
  await buildIndex(target, tars, {
    signal: task.signal,
    onNote: task.onNote,
    onProgress: (done, total) => task.onProgress?.(`index ${basename(tars[0]!)}`, done, total),
  });
}

/** Whether an index is whole and of these tars as they are. */
async function isIndexOf(target: string, tars: readonly string[]): Promise<boolean> {
  if (!(await stat(target).catch(() => null))) return false;
  const index = await openIndex(target).catch(() => null);
  return index !== null && index.tars.length === tars.length && index.tars.every((tar, i) => tar === tars[i]);
}

async function writeSources(folder: string, found: Partial<Record<Part, string>>): Promise<void> {
  if (Object.keys(found).length === 0) return;
  const path = join(folder, sourcesFile);
  const before = JSON.parse(await readFile(path, 'utf8').catch(() => '{}')) as object;
  await writeFileAtomic(path, `${JSON.stringify({ ...before, ...found }, null, 2)}\n`);
}

/** @returns whether there was something to add */
function merge(labels: ImagenetLabels, more: ImagenetLabels): boolean {
  for (const [wnid, name] of more.names) if (!labels.names.has(wnid)) labels.names.set(wnid, name);
  labels.validation ??= more.validation;
  return more.sources.length > 0;
}

async function writeLabels(folder: string, { names, validation }: ImagenetLabels): Promise<void> {
  const content = JSON.stringify({ names: Object.fromEntries(names), validation });
  await writeFileAtomic(join(folder, labelsFile), `${content}\n`);
}

async function takeStock(task: Preparing): Promise<Omit<Made, 'archives'>> {
  const { train, val, labels } = await findImagenet([task.folder]);
  const broken = [...(train?.broken ?? []), ...(val?.broken ?? [])];
  const trainGroups = train?.groups ?? [];
  const counts = {
    trainClasses: trainGroups.filter(({ wnid }) => wnid !== null).length,
    train: countOf(trainGroups),
    val: countOf(val?.groups ?? []),
  };
  const missing: string[] = [];
  const set = catalogue.imagenet;
  const need = (archive: string, what: string): void => {
    missing.push(`${what}. ${whereToGet(set, [archive])}`);
  };
  if (counts.train === 0) need('ILSVRC2012_img_train.tar', 'training images');
  if (counts.val === 0) need('ILSVRC2012_img_val.tar', 'validation images');
  const sorted = val?.groups.some(({ wnid }) => wnid !== null) ?? false;
  if (counts.val > 0 && !sorted && labels.validation === null) {
    need('ILSVRC2012_devkit_t12.tar.gz', 'labels of the validation images');
  } else if (labels.names.size === 0) {
    need('ILSVRC2012_devkit_t12.tar.gz', 'names of the classes (pascal-voc leaves some classes out by name)');
  }
  if (counts.train + counts.val === 0 && labels.sources.length === 0) {
    throw new FcddError('FCDD_BAD_DATA', 'nothing of ImageNet was found', { hint: whereToGet(set) });
  }
  reportBroken(broken, task);
  return { counts, missing, broken };
}

async function takeStock22k(task: Preparing): Promise<Omit<Made, 'archives'>> {
  const { images } = await findImagenet([task.folder]);
  const groups = images?.groups ?? [];
  const counts = {
    classes: groups.filter(({ wnid }) => wnid !== null).length,
    images: countOf(groups),
  };
  if (counts.images === 0) {
    throw new FcddError('FCDD_BAD_DATA', 'nothing of ImageNet-22k was found: no pictures', {
      hint: whereToGet(catalogue.imagenet22k),
    });
  }
  const broken = images?.broken ?? [];
  reportBroken(broken, task);
  return { counts, missing: [], broken };
}

function reportBroken(broken: readonly { name: string; reason: string }[], task: Preparing): void {
  if (broken.length === 0) return;
  const [first] = broken;
  task.warn(`${broken.length} broken files are left out, ${first!.name} first: ${first!.reason}`);
}
