/** The pictures of one's own data by role, and their masks: `train_maps` and `test_maps` mirror `train` and `test`. */
import { join, sep } from 'node:path';
import { FcddError } from '../errors.js';
import type { FolderLayout } from './folder-layout.js';
import { isFolder } from './locate.js';
import type { PictureFile } from './pictures.js';
import type { Remarks } from './remarks.js';
import { describeEmpty, describeOthers, listNames, scanFolder, stemOf } from './scan.js';

export interface FolderFiles {
  train: PictureFile[];
  anomalies: PictureFile[];
  test: PictureFile[];
  /** There is a folder of masks. */
  masked: boolean;
}

export async function listFolderFiles(layout: FolderLayout, remarks: Remarks): Promise<FolderFiles> {
  const { folder, kind } = layout;
  if (kind === 'flat') return listFlat(folder, remarks);
  const train = await listPart(layout, 'train', remarks);
  const test = await listPart(layout, 'test', remarks);
  const masked = (await isFolder(join(folder, 'train_maps'))) || (await isFolder(join(folder, 'test_maps')));
  if (!masked && (await isFolder(join(folder, 'ground_truth')))) {
    remarks.add(
      'ground_truth/ is not used: this looks like MVTec AD, which --dataset mvtec reads with its masks',
    );
  }
  return {
    train: train.filter(({ label }) => label === 0),
    anomalies: train.filter(({ label }) => label === 1),
    test,
    masked,
  };
}

async function listFlat(folder: string, remarks: Remarks): Promise<FolderFiles> {
  const content = await scanFolder(folder, 'direct');
  if (content.others.length > 0) remarks.add(`ignored ${describeOthers(content.others)}`);
  if (content.folders.length > 0) {
    remarks.add(`only the pictures directly in it are used; not its folders ${listNames(content.folders)}`);
  }
  const train = content.pictures.map(
    (name): PictureFile => ({ path: join(folder, name), name, label: 0, type: 'good', maskPath: null }),
  );
  return { train, anomalies: [], test: [], masked: false };
}

/** All pictures of train/ or test/ that have a role; empty when there is no such folder. */
async function listPart(
  layout: FolderLayout,
  part: 'train' | 'test',
  remarks: Remarks,
): Promise<PictureFile[]> {
  const root = join(layout.folder, part);
  if (!(await isFolder(root))) return [];
  const content = await scanFolder(root, 'direct');
  if (content.pictures.length > 0) {
    remarks.add(
      `${part}/ holds ${content.pictures.length} pictures outside of its class folders: they are not used`,
    );
  }
  const masks = await findMasks(layout.folder, part);
  const files =
    layout.kind === 'labelled'
      ? await listLabelled(root, layout.className, part, remarks)
      : await listOneVsRest(root, content.folders, layout.className, part, remarks);
  const found = files.map((file) => ({ ...file, maskPath: masks.take(file.name.slice(part.length + 1)) }));
  masks.unused(layout).forEach((name, i, all) => {
    if (i === 0) remarks.add(`${part}_maps: ${all.length} masks belong to no picture of ${part}/ (${name})`);
  });
  return found;
}

/** train/<class>/normal and train/<class>/anomalous, the latter by sub-folder where it has some. */
async function listLabelled(
  root: string,
  className: string,
  part: string,
  remarks: Remarks,
): Promise<PictureFile[]> {
  const path = join(root, className);
  if (!(await isFolder(path))) return [];
  const { folders, pictures } = await scanFolder(path, 'direct');
  const strange = folders.filter((name) => name !== 'normal' && name !== 'anomalous');
  if (strange.length > 0) {
    throw new FcddError(
      'FCDD_BAD_DATA',
      `${path}: expected the folders normal and anomalous, found ${listNames(strange)}`,
      {
        hint: 'rename or remove them (lower case); kinds of defects go below anomalous/',
      },
    );
  }
  if (pictures.length > 0)
    remarks.add(
      `${part}/${className}: ${pictures.length} pictures outside of normal/ and anomalous/ are not used`,
    );
  const files: PictureFile[] = [];
  for (const name of folders) {
    const normal = name === 'normal';
    const found = await listPictures(join(path, name), `${part}/${className}/${name}`, remarks);
    for (const { path, relative } of found) {
      const type = relative.length > 1 && !normal ? relative[0]! : name;
      const label = normal ? 0 : 1;
      files.push({ path, name: [part, className, name, ...relative].join('/'), label, type, maskPath: null });
    }
  }
  return files;
}

async function listOneVsRest(
  root: string,
  classes: readonly string[],
  normal: string,
  part: string,
  remarks: Remarks,
): Promise<PictureFile[]> {
  const files: PictureFile[] = [];
  for (const type of classes) {
    for (const { path, relative } of await listPictures(join(root, type), `${part}/${type}`, remarks)) {
      const label = type === normal ? 0 : 1;
      files.push({ path, name: [part, type, ...relative].join('/'), label, type, maskPath: null });
    }
  }
  return files;
}

async function listPictures(folder: string, name: string, remarks: Remarks) {
  const content = await scanFolder(folder, 'all');
  if (content.pictures.length === 0) remarks.add(`${name} has no pictures: ${describeEmpty(content)}`);
  else if (content.others.length > 0) remarks.add(`${name}: ignored ${describeOthers(content.others)}`);
  return content.pictures.map((picture) => ({ path: join(folder, picture), relative: picture.split(sep) }));
}

/** Masks of a part, by the relative name of the picture, else by its name without extension. */
async function findMasks(folder: string, part: string) {
  const root = join(folder, `${part}_maps`);
  const pictures = (await isFolder(root)) ? (await scanFolder(root, 'all')).pictures : [];
  const byName = new Map(pictures.map((path) => [path.split(sep).join('/').normalize('NFC'), path]));
  const byStem = new Map(pictures.map((path) => [stemOf(path.split(sep).join('/')), path]));
  const used = new Set<string>();
  return {
    take: (name: string): string | null => {
      const path =
        byName.get(name.normalize('NFC')) ?? byStem.get(stemOf(name)) ?? byStem.get(`${stemOf(name)}_mask`);
      if (path === undefined) return null;
      used.add(path);
      return join(root, path);
    },
    /** Of the classes that are in use. */
    unused: (layout: FolderLayout): string[] =>
      pictures.filter(
        (path) =>
          !used.has(path) && (layout.kind === 'one-vs-rest' || path.split(sep)[0] === layout.className),
      ),
  };
}
