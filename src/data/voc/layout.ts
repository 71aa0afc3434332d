/** Pascal VOC 2007 in its original layout: VOCdevkit/VOC2007/{ImageSets/Main, JPEGImages, Annotations}. */
import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { FcddError } from '../../errors.js';
import { dataSetFolders, isFolder } from '../locate.js';
import { listNames, scanFolder } from '../scan.js';

export const vocClasses = (
  'aeroplane bicycle bird boat bottle bus car cat chair cow diningtable dog horse motorbike person pottedplant sheep ' +
  'sofa train tvmonitor'
).split(' ');

/** @throws FcddError FCDD_NOT_FOUND with what was found instead */
export async function findVoc(dir: string | undefined): Promise<string> {
  const folders = await dataSetFolders('pascal-voc', dir);
  for (const folder of folders) {
    for (const inner of ['', 'VOC2007', join('VOCdevkit', 'VOC2007')]) {
      const root = join(folder, inner);
      if (await isFolder(join(root, 'ImageSets', 'Main'))) return root;
    }
  }
  const folder = resolve(folders[0]!);
  const { folders: inside } = await scanFolder(folder, 'direct');
  const found = inside.length > 0 ? `it holds ${listNames(inside)}` : 'it holds no folders';
  throw new FcddError('FCDD_NOT_FOUND', `${folder} holds no VOC2007/ImageSets/Main: ${found}`, {
    hint: 'fcdd-native data prepare voc --from VOCtrainval_06-Nov-2007.tar --data DIR',
  });
}

/**
 * The images of a split and whether they show a class, from `<class>_<split>.txt` ("000012 -1"), where 0
 * marks images in which all of them are difficult; without that file from the annotations.
 * @throws FcddError FCDD_BAD_DATA
 */
export async function readSplit(
  root: string,
  className: string,
  split: 'train' | 'val',
): Promise<{ id: string; shows: boolean }[]> {
  const sets = join(root, 'ImageSets', 'Main');
  const path = join(sets, `${className}_${split}.txt`);
  const list = await readFile(path, 'utf8').catch(() => null);
  if (list !== null) return list.split('\n').flatMap((line) => entry(line, path));
  const all = await readFile(join(sets, `${split}.txt`), 'utf8').catch(() => null);
  if (all === null) {
    throw new FcddError('FCDD_BAD_DATA', `${sets} has neither ${className}_${split}.txt nor ${split}.txt`);
  }
  const ids = all.split(/\s+/).filter((id) => id !== '');
  const entries: { id: string; shows: boolean }[] = [];
  for (const id of ids) {
    checkId(id, join(sets, `${split}.txt`));
    entries.push({ id, shows: (await objectsOf(root, id)).includes(className) });
  }
  return entries;
}

function entry(line: string, path: string): { id: string; shows: boolean }[] {
  if (line.trim() === '') return [];
  const [id = '', flag = '', ...rest] = line.trim().split(/\s+/);
  if (!['-1', '0', '1'].includes(flag) || rest.length > 0) {
    throw new FcddError('FCDD_BAD_DATA', `${path}: expected "<image> -1|0|1", found '${line.slice(0, 80)}'`);
  }
  checkId(id, path);
  return [{ id, shows: flag !== '-1' }];
}

/** Ids become file names: a list must not name files elsewhere. */
function checkId(id: string, path: string): void {
  if (/^[\w-]+$/.test(id)) return;
  throw new FcddError('FCDD_BAD_DATA', `${path}: '${id.slice(0, 80)}' is no name of an image`);
}

/** Names of the objects of an image (not of their parts: <part> comes after the object's own name). */
async function objectsOf(root: string, id: string): Promise<string[]> {
  const path = join(root, 'Annotations', `${id}.xml`);
  const xml = await readFile(path, 'utf8').catch((cause) => {
    throw new FcddError('FCDD_BAD_DATA', `${path} is missing: nothing says what the image shows`, { cause });
  });
  return [...xml.matchAll(/<object>\s*<name>\s*([^<]*?)\s*<\/name>/g)].map((match) => match[1]!);
}
