/** Finding a folder that is laid out like a category of MVTec AD, and saying what is wrong where there is none. */
import { basename, dirname, join, resolve } from 'node:path';
import { FcddError } from '../errors.js';
import { classIndex, isClass } from './class-names.js';
import { dataSetFolders, isFolder } from './locate.js';
import { publishedClasses } from './normalisation.js';
import { listNames, scanFolder } from './scan.js';
import type { OpenOptions } from './types.js';

export interface Category {
  folder: string;
  name: string;
  /** Index among the categories beside it (or among MVTec AD's own); null when it stands alone. */
  index: number | null;
}

/** Names people give to a folder of good pictures instead of 'good'. */
export const likeGood = /^(good|ok|okay|normal|nominal|defect[-_ ]?free)$/i;

/** @throws FcddError FCDD_NOT_FOUND with what was found instead, FCDD_INVALID_ARGUMENT for the class */
export async function findCategory(options: OpenOptions): Promise<Category> {
  const folders = await dataSetFolders('mvtec', options.dir);
  for (const folder of folders) {
    if (await isCategory(folder, options.only)) return alone(folder, options.className);
    const names = await categoriesIn(folder, options.only);
    if (names.length > 0) return choose(folder, names, options.className);
  }
  throw await notACategory(resolve(folders[0]!));
}

/** Whether a folder is laid out like a category. */
export async function isCategory(folder: string, only: 'train' | 'test' | undefined): Promise<boolean> {
  if (await isFolder(join(folder, 'train', 'good'))) return true;
  return only === 'test' && (await isFolder(join(folder, 'test', 'good')));
}

/** Sub-folders that are laid out like categories, in natural order. */
export async function categoriesIn(folder: string, only: 'train' | 'test' | undefined): Promise<string[]> {
  const names: string[] = [];
  for (const name of (await scanFolder(folder, 'direct')).folders) {
    if (await isCategory(join(folder, name), only)) names.push(name);
  }
  return names;
}

function alone(folder: string, wanted: string | undefined): Category {
  const name = basename(resolve(folder));
  const index = publishedClasses('mvtec').indexOf(name);
  if (wanted !== undefined && wanted !== '0' && wanted !== String(index) && !isClass(name, wanted)) {
    throw new FcddError(
      'FCDD_INVALID_ARGUMENT',
      `class: ${folder} is the category '${name}' itself, received class '${wanted}'`,
      { hint: 'leave the class out, or give the folder that holds the categories' },
    );
  }
  return { folder, name, index: index < 0 ? null : index };
}

function choose(root: string, names: string[], wanted: string | undefined): Category {
  if (wanted === undefined && names.length > 1) {
    const list = names.map((name, i) => `${i} ${name}`).join(', ');
    throw new FcddError('FCDD_INVALID_ARGUMENT', `class: ${root} holds ${names.length} categories: ${list}`, {
      hint: 'choose one with --class NAME|INDEX',
    });
  }
  const index = wanted === undefined ? 0 : classIndex(names, wanted);
  return { folder: join(root, names[index]!), name: names[index]!, index };
}

/** The typical mistakes, each with its remedy. */
async function notACategory(folder: string): Promise<FcddError> {
  const fail = (found: string, hint: string) =>
    new FcddError(
      'FCDD_NOT_FOUND',
      `${folder} is not laid out like MVTec AD (train/good, test/<type>): ${found}`,
      {
        hint,
      },
    );
  const content = await scanFolder(folder, 'direct');
  const inTrain = basename(dirname(folder)) === 'train';
  if (content.pictures.length > 0) {
    const found = `${content.pictures.length} pictures lie directly in it`;
    if (inTrain) return fail(found, `pass the folder above train/: ${dirname(dirname(folder))}`);
    return fail(
      found,
      'if all of them are good ones: --dataset folder; otherwise move the good ones to train/good/',
    );
  }
  if (basename(folder) === 'train' && content.folders.some((name) => likeGood.test(name))) {
    return fail('it is the train folder', `pass the folder above it: ${dirname(folder)}`);
  }
  const train = content.folders.find((name) => name.toLowerCase() === 'train');
  if (train !== undefined) return badTrain(folder, train, fail);
  const deeper = await categoryBelow(folder, content.folders);
  if (deeper !== null)
    return fail(`${deeper} is`, `pass ${dirname(join(folder, deeper))}, and --class if it holds several`);
  if (content.folders.length === 0) return fail('it holds neither folders nor pictures', 'check the path');
  return fail(
    `it holds ${listNames(content.folders)}`,
    'put good pictures into train/good/, or use --dataset folder for other layouts',
  );
}

async function badTrain(
  folder: string,
  train: string,
  fail: (found: string, hint: string) => FcddError,
): Promise<FcddError> {
  const { pictures, folders } = await scanFolder(join(folder, train), 'direct');
  const good = folders.find((name) => likeGood.test(name));
  if (good !== undefined) {
    return fail(`it has ${train}/${good}`, `rename ${train}/${good} to train/good`);
  }
  if (pictures.length > 0) {
    return fail(`${pictures.length} pictures lie directly in ${train}/`, 'move the good ones to train/good/');
  }
  const found = folders.length > 0 ? `${train}/ holds ${listNames(folders)}, no good/` : `${train}/ is empty`;
  return fail(found, 'put good pictures into train/good/, or use --dataset folder for train/<class>/');
}

/** A category two levels below, relative to `folder`: someone pointed too high. */
async function categoryBelow(folder: string, names: readonly string[]): Promise<string | null> {
  for (const name of names.slice(0, 100)) {
    const [first] = await categoriesIn(join(folder, name), undefined);
    if (first !== undefined) return join(name, first);
  }
  return null;
}
