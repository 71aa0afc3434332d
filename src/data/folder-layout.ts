/**
 * The layouts of one's own data: `train|test/<class>/{normal,anomalous}/…` ("labelled"), `train|test/<class>/…` with
 * one class normal and the rest anomalous ("one-vs-rest"), or one flat folder of good pictures.
 */
import { basename, dirname, join, resolve } from 'node:path';
import { FcddError } from '../errors.js';
import { classIndex, isClass } from './class-names.js';
import { dataSetFolders, isFolder } from './locate.js';
import { describeEmpty, listNames, scanFolder } from './scan.js';
import type { OpenOptions } from './types.js';

export interface FolderLayout {
  kind: 'flat' | 'one-vs-rest' | 'labelled';
  folder: string;
  className: string;
  /** Index among `classes`; null for a flat folder. */
  index: number | null;
  classes: string[];
}

/** @throws FcddError FCDD_NOT_FOUND with what was found instead, FCDD_INVALID_ARGUMENT for the class */
export async function findLayout(options: OpenOptions): Promise<FolderLayout> {
  const folders = await dataSetFolders('folder', options.dir);
  for (const folder of folders) {
    const classes = await classesIn(folder, options.only);
    if (classes.length > 0) return withClass(folder, classes, options.className);
    const { pictures } = await scanFolder(folder, 'direct');
    if (pictures.length > 0) return flat(folder, options.className);
  }
  throw await noLayout(resolve(folders[0]!));
}

/** Class folders of train/ (of test/, where only that is needed). */
async function classesIn(folder: string, only: 'train' | 'test' | undefined): Promise<string[]> {
  for (const part of only === 'test' ? ['train', 'test'] : ['train']) {
    if (await isFolder(join(folder, part))) {
      const { folders } = await scanFolder(join(folder, part), 'direct');
      if (folders.length > 0) return folders;
    }
  }
  return [];
}

async function withClass(
  folder: string,
  classes: string[],
  wanted: string | undefined,
): Promise<FolderLayout> {
  if (wanted === undefined && classes.length > 1) {
    const list = classes.map((name, i) => `${i} ${name}`).join(', ');
    throw new FcddError(
      'FCDD_INVALID_ARGUMENT',
      `class: ${folder} holds ${classes.length} classes: ${list}`,
      {
        hint: 'say which one is normal with --class NAME|INDEX',
      },
    );
  }
  const index = wanted === undefined ? 0 : classIndex(classes, wanted);
  const labelled = await labelledClasses(folder, classes);
  if (labelled.length > 0 && labelled.length < classes.length) {
    const plain = classes.filter((name) => !labelled.includes(name));
    throw new FcddError(
      'FCDD_BAD_DATA',
      `${folder}: ${listNames(labelled)} have a folder normal/, ${listNames(plain)} have not`,
      { hint: 'use one layout for all classes: <class>/{normal,anomalous}/… or <class>/…' },
    );
  }
  const kind = labelled.length > 0 ? 'labelled' : 'one-vs-rest';
  return { kind, folder, className: classes[index]!, index, classes };
}

async function labelledClasses(folder: string, classes: readonly string[]): Promise<string[]> {
  const labelled: string[] = [];
  for (const name of classes) {
    for (const part of ['train', 'test']) {
      const path = join(folder, part, name);
      const folders = (await isFolder(path)) ? (await scanFolder(path, 'direct')).folders : [];
      if (folders.some((inner) => /^(normal|anomalous)$/i.test(inner)) && !labelled.includes(name))
        labelled.push(name);
    }
  }
  return labelled;
}

function flat(folder: string, wanted: string | undefined): FolderLayout {
  const name = basename(resolve(folder));
  if (wanted !== undefined && wanted !== '0' && !isClass(name, wanted)) {
    throw new FcddError(
      'FCDD_INVALID_ARGUMENT',
      `class: ${folder} is one folder of pictures, received '${wanted}'`,
      {
        hint: 'leave the class out, or lay the data out as train/<class>/ and test/<class>/',
      },
    );
  }
  return { kind: 'flat', folder, className: name, index: null, classes: [name] };
}

async function noLayout(folder: string): Promise<FcddError> {
  const fail = (found: string, hint: string) =>
    new FcddError(
      'FCDD_NOT_FOUND',
      `${folder} is neither a folder of pictures nor has train/<class>/: ${found}`,
      {
        hint,
      },
    );
  const content = await scanFolder(folder, 'direct');
  const train = content.folders.find((name) => name.toLowerCase() === 'train');
  if (train !== undefined && train !== 'train') return fail(`it has ${train}/`, `rename ${train} to train`);
  if (train !== undefined) {
    const inner = await scanFolder(join(folder, train), 'direct');
    if (inner.pictures.length === 0)
      return fail(`train/ has no pictures: ${describeEmpty(inner)}`, 'fill it');
    return fail(
      `${inner.pictures.length} pictures lie directly in train/`,
      `move them to train/<class>/, or pass ${join(folder, train)} to train on all of them as good ones`,
    );
  }
  if (basename(folder) === 'train')
    return fail('it is the train folder', `pass the folder above it: ${dirname(folder)}`);
  return fail(describeEmpty(content), 'put good pictures directly into it, or into train/<class>/');
}
