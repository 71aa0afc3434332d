/**
 * Names of ImageNet's classes and the classes of ILSVRC-2012's validation images, which lie in one folder or
 * tar without saying what they show. Known sources: the development kit (meta.mat and the ground truth by
 * ILSVRC id), as it comes or unpacked; a list of WordNet ids in the order of the images; Kaggle's
 * LOC_val_solution.csv; synset lists with names.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { FcddError } from '../../errors.js';
import { readMembers } from '../archives/members.js';
import { readMatFile } from './mat-file.js';

export interface ImagenetLabels {
  /** WordNet id → "tench, Tinca tinca". */
  names: Map<string, string>;
  /** WordNet id of ILSVRC2012_val_00000001.JPEG and so on; null: not known. */
  validation: (string | null)[] | null;
  /** Files that said so. */
  sources: string[];
}

/** What `fcdd-native data prepare` keeps of them. */
export const labelsFile = 'labels.json';

const devkit = 'ILSVRC2012_devkit_t12';
const groundTruth = 'ILSVRC2012_validation_ground_truth.txt';

/** Labels found in a folder; empty ones when there are none. @throws FcddError FCDD_BAD_DATA */
export async function readLabels(folder: string): Promise<ImagenetLabels> {
  const labels: ImagenetLabels = { names: new Map(), validation: null, sources: [] };
  const files = [
    labelsFile,
    ...[`${devkit}/data`, 'data', ''].map((inner) => join(inner, 'meta.mat')),
    'imagenet_2012_validation_synset_labels.txt',
    'LOC_val_solution.csv',
    'LOC_synset_mapping.txt',
    'synset_words.txt',
    'words.txt',
  ];
  for (const name of files) {
    const path = join(folder, name);
    const content = await readFile(path).catch(() => null);
    if (content === null) continue;
    if (name === labelsFile) addOwn(labels, content, path);
    else if (name.endsWith('meta.mat')) {
      const truth = await readFile(join(path, '..', groundTruth), 'utf8').catch(() => null);
      addDevkit(labels, content, truth, path);
    } else addList(labels, name, content.toString('utf8'), path);
  }
  const archive = join(folder, `${devkit}.tar.gz`);
  if (labels.validation === null && (await readFile(archive).catch(() => null))) {
    await addDevkitArchive(labels, archive);
  }
  return labels;
}

/** Adds what the development kit says, read out of its tar.gz. */
export async function addDevkitArchive(labels: ImagenetLabels, archive: string): Promise<void> {
  const members = await readMembers(archive, (name) => /(^|\/)(meta\.mat|\w+ground_truth\.txt)$/.test(name));
  const find = (end: string) => [...members].find(([name]) => name.endsWith(end))?.[1];
  const meta = find('meta.mat');
  if (!meta) throw new FcddError('FCDD_BAD_DATA', `${archive} holds no meta.mat: is it ${devkit}?`);
  addDevkit(labels, meta, find(groundTruth)?.toString('utf8') ?? null, archive);
}

/** Adds a file that is given by its path alone. @returns whether it is one of the known ones */
export async function addLabelFile(labels: ImagenetLabels, path: string): Promise<boolean> {
  const name = path.split('/').pop()!;
  if (/devkit.*\.tar\.gz$/i.test(name)) {
    await addDevkitArchive(labels, path);
    return true;
  }
  if (!/\.(txt|csv)$/.test(name)) return false;
  return addList(labels, name, await readFile(path, 'utf8'), path);
}

function addOwn(labels: ImagenetLabels, content: Buffer, path: string): void {
  try {
    const { names, validation } = JSON.parse(content.toString('utf8'));
    for (const [wnid, name] of Object.entries(names as Record<string, string>)) labels.names.set(wnid, name);
    labels.validation = validation ?? labels.validation;
    labels.sources.push(path);
  } catch (cause) {
    throw new FcddError('FCDD_BAD_DATA', `${path} is damaged`, {
      hint: 'delete it and run fcdd-native data prepare imagenet again',
      cause,
    });
  }
}

function addDevkit(labels: ImagenetLabels, meta: Buffer, truth: string | null, path: string): void {
  const synsets = readMatFile(meta, path).get('synsets');
  if (!Array.isArray(synsets) || typeof synsets[0] !== 'object') {
    throw new FcddError('FCDD_BAD_DATA', `${path} has no list of synsets`);
  }
  const wnids = new Map<number, string>();
  for (const record of synsets as Record<string, unknown>[]) {
    const id = (record.ILSVRC2012_ID as number[] | undefined)?.[0];
    if (id === undefined || typeof record.WNID !== 'string') continue;
    wnids.set(id, record.WNID);
    if (typeof record.words === 'string') labels.names.set(record.WNID, record.words);
  }
  labels.sources.push(path);
  if (truth === null) return;
  labels.validation = words(truth).map((id) => wnids.get(Number(id)) ?? null);
}

function addList(labels: ImagenetLabels, name: string, content: string, path: string): boolean {
  const lines = content.split(/\r?\n/).filter((line) => line.trim() !== '');
  const first = lines.find((line) => !line.startsWith('ImageId')) ?? '';
  if (/^n\d{8}$/.test(first)) {
    labels.validation ??= lines;
  } else if (/^ILSVRC2012_val_\d+,n\d{8}/.test(first)) {
    const validation = labels.validation ?? [];
    for (const line of lines) {
      const match = /^ILSVRC2012_val_(\d+),(n\d{8})/.exec(line);
      if (match) validation[Number(match[1]) - 1] = match[2]!;
    }
    labels.validation = Array.from(validation, (wnid) => wnid ?? null);
  } else if (/^n\d{8}[\t ]/.test(first)) {
    for (const line of lines) {
      if (!labels.names.has(line.slice(0, 9))) labels.names.set(line.slice(0, 9), line.slice(10).trim());
    }
  } else if (name === groundTruth) {
    throw new FcddError('FCDD_BAD_DATA', `${path} numbers classes as meta.mat does: give ${devkit}.tar.gz`);
  } else {
    return false;
  }
  labels.sources.push(path);
  return true;
}

const words = (content: string): string[] => content.split(/\s+/).filter((word) => word !== '');

/** The WordNet id of a validation image, from its name. */
export function validationClass(labels: ImagenetLabels, name: string): string | null {
  const number = /ILSVRC2012_val_(\d{8})/.exec(name)?.[1];
  return number === undefined ? null : (labels.validation?.[Number(number) - 1] ?? null);
}
