/** Where a data set lies: in the folder given, in `<name>/` below it, or below the folder FCDD_DATA names. */
import { stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { FcddError } from '../errors.js';

/** Folder names under which the data sets are commonly unpacked, the product's own name first. */
const folderNames: Record<string, readonly string[]> = {
  'fashion-mnist': ['fashion-mnist', 'FashionMNIST', 'fashion_mnist'],
  cifar10: ['cifar10', 'cifar-10-batches-bin', 'cifar-10', 'CIFAR10'],
  cifar100: ['cifar100', 'cifar-100-binary', 'cifar-100', 'CIFAR100'],
  emnist: ['emnist', 'EMNIST'],
  folder: ['folder', 'custom'],
  imagenet: ['imagenet', 'ImageNet', 'ILSVRC2012', 'ILSVRC'],
  imagenet22k: ['imagenet22k', 'ImageNet22k', 'imagenet21k', 'fall11_whole'],
  mvtec: ['mvtec', 'mvtec_anomaly_detection', 'mvtec_ad'],
  'pascal-voc': ['pascal-voc', 'voc', 'VOC', 'VOCdevkit', 'VOC2007'],
};

export async function isFolder(path: string): Promise<boolean> {
  return (await stat(path).catch(() => null))?.isDirectory() ?? false;
}

async function existing(paths: readonly string[]): Promise<string[]> {
  const found: string[] = [];
  for (const path of new Set(paths)) if (await isFolder(path)) found.push(path);
  return found;
}

function below(root: string, name: string): string[] {
  return (folderNames[name] ?? [name]).map((folder) => join(root, folder));
}

/** Sub-folders of the common names that exist below `root`. */
export function namedFolders(root: string, name: string): Promise<string[]> {
  return existing(below(root, name));
}

/**
 * Folders that may hold the data set, the likeliest first: never empty.
 * @throws FcddError FCDD_NOT_FOUND when the folder does not exist or none was given
 */
export async function dataSetFolders(name: string, dir: string | undefined): Promise<string[]> {
  const root = dir ?? process.env.FCDD_DATA;
  if (!root) {
    throw new FcddError('FCDD_NOT_FOUND', `${name}: no folder given and FCDD_DATA is not set`, {
      hint: `pass --data DIR: the data set itself, or a folder that holds ${name}/`,
    });
  }
  const info = await stat(root).catch(() => null);
  const origin = dir === undefined ? ' (from FCDD_DATA)' : '';
  if (!info) throw new FcddError('FCDD_NOT_FOUND', `${resolve(root)}${origin} does not exist`);
  if (!info.isDirectory()) {
    throw new FcddError('FCDD_NOT_FOUND', `${resolve(root)}${origin} is a file; expected a folder`, {
      hint: 'unpack archives first, and give the folder they unpack to',
    });
  }
  return [root, ...(await namedFolders(root, name))];
}

/** Folders where another data set is sought by name: below `dir`, beside it, and below FCDD_DATA. */
export function namedNear(name: string, dir: string | undefined): Promise<string[]> {
  const roots = [
    ...(dir === undefined ? [] : [dir, dirname(resolve(dir))]),
    ...(process.env.FCDD_DATA ? [process.env.FCDD_DATA] : []),
  ];
  return existing(roots.flatMap((root) => below(root, name)));
}
