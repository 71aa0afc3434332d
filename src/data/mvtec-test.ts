/** The test pictures of an MVTec-like category and the masks that belong to them. */
import { join, sep } from 'node:path';
import { FcddError } from '../errors.js';
import { isFolder } from './locate.js';
import { likeGood } from './mvtec-layout.js';
import type { PictureFile } from './pictures.js';
import type { Remarks } from './remarks.js';
import { describeEmpty, describeOthers, listNames, scanFolder, stemOf } from './scan.js';

/** Names people give to the folder of masks instead of 'ground_truth'. */
const likeGroundTruth = /^(ground[-_ ]?truths?|gt|masks?|labels?|annotations?)$/i;

/** Every picture of test/, by type in natural order; a mask path where there is a mask. */
export async function listTestPictures(folder: string, remarks: Remarks): Promise<PictureFile[]> {
  const root = join(folder, 'test');
  const { folders, pictures } = await scanFolder(root, 'direct');
  if (pictures.length > 0) {
    remarks.add(
      `test/ holds ${pictures.length} pictures outside of test/good/ and test/<type>/: they are not used`,
    );
  }
  const files: PictureFile[] = [];
  for (const type of folders) {
    if (type !== 'good' && likeGood.test(type)) {
      throw new FcddError('FCDD_BAD_DATA', `${join(root, type)} would count as a defect type`, {
        hint: `rename it to test/good if it holds good pictures`,
      });
    }
    files.push(...(await listType(folder, type, remarks)));
  }
  return files;
}

async function listType(folder: string, type: string, remarks: Remarks): Promise<PictureFile[]> {
  const root = join(folder, 'test', type);
  const content = await scanFolder(root, 'all');
  if (content.pictures.length === 0) remarks.add(`test/${type} has no pictures: ${describeEmpty(content)}`);
  else if (content.others.length > 0) remarks.add(`test/${type}: ignored ${describeOthers(content.others)}`);
  refuseMasksAmongPictures(root, content.pictures);
  const masks =
    type === 'good'
      ? new Map<string, string>()
      : await listMasks(join(folder, 'ground_truth', type), remarks, type);
  const used = new Map<string, string>();
  const files = content.pictures.map((picture): PictureFile => {
    const stem = stemOf(picture);
    const key = masks.has(`${stem}_mask`) ? `${stem}_mask` : stem;
    const maskPath = masks.get(key) ?? null;
    const name = ['test', type, ...picture.split(sep)].join('/');
    const twin = used.get(key);
    if (maskPath !== null && twin !== undefined)
      remarks.add(`${twin} and ${name} share one mask, ${maskPath}`);
    used.set(key, name);
    return { path: join(root, picture), name, label: type === 'good' ? 0 : 1, type, maskPath };
  });
  const orphans = [...masks.keys()].filter((key) => !used.has(key));
  if (orphans.length > 0) {
    remarks.add(
      `ground_truth/${type}: ${orphans.length} masks belong to no picture of test/${type} (${orphans[0]})`,
    );
  }
  return files;
}

/** Masks by stem ("000_mask"), relative to their type's folder. */
async function listMasks(folder: string, remarks: Remarks, type: string): Promise<Map<string, string>> {
  if (!(await isFolder(folder))) return new Map();
  const content = await scanFolder(folder, 'all');
  if (content.others.length > 0)
    remarks.add(`ground_truth/${type}: ignored ${describeOthers(content.others)}`);
  return new Map(content.pictures.map((picture) => [stemOf(picture), join(folder, picture)]));
}

function refuseMasksAmongPictures(root: string, pictures: readonly string[]): void {
  const stems = new Set(pictures.map(stemOf));
  const masks = [...stems].filter((stem) => stem.endsWith('_mask') && stems.has(stem.slice(0, -5)));
  if (masks.length === 0) return;
  throw new FcddError(
    'FCDD_BAD_DATA',
    `${root} holds ${masks.length} masks among the pictures (${masks[0]})`,
    {
      hint: 'move them to ground_truth/<type>/: they would be taken for anomalous pictures',
    },
  );
}

/** Null when every anomalous picture has its mask, else why pixel figures cannot be computed. */
export async function masksMissing(folder: string, files: readonly PictureFile[]): Promise<string | null> {
  const anomalous = files.filter(({ label }) => label === 1);
  const missing = anomalous.filter(({ maskPath }) => maskPath === null);
  if (missing.length === 0) return null;
  if (!(await isFolder(join(folder, 'ground_truth')))) {
    const similar = (await scanFolder(folder, 'direct')).folders.filter((name) => likeGroundTruth.test(name));
    const hint =
      similar.length > 0 ? `; masks are expected in ground_truth/, not in ${listNames(similar)}/` : '';
    return `there is no ground_truth folder with masks${hint}`;
  }
  const expected = missing[0]!.name.replace(/^test\//, 'ground_truth/').replace(/\.[^./]*$/, '_mask.png');
  const without = `${missing.length} of ${anomalous.length} anomalous test pictures have no mask`;
  return `${without}, ${missing[0]!.name} first (expected ${expected})`;
}
