/**
 * ImageNet as outlier exposure, read in place. `imagenet`: the validation images of ILSVRC-2012, for
 * pascal-voc without the classes that show what VOC is about, for imagenet without the thirty classes.
 * `imagenet22k`: everything but those thirty.
 */
import { FcddError } from '../../errors.js';
import { namedNear } from '../locate.js';
import { imagenet30, showsVocClass } from './classes.js';
import { findImagenet } from './find.js';
import { countOf, folderGroups, type ImageFile, type ImageGroup } from './groups.js';
import { type ImagenetLabels, validationClass } from './labels.js';

export type ImagenetExposure = 'imagenet' | 'imagenet22k';

export const isImagenetExposure = (spec: string): spec is ImagenetExposure =>
  spec === 'imagenet' || spec === 'imagenet22k';

/**
 * Images drawn for a run at most, unless a limit is given: at a short side of 256 they are 2.6 GB, and nobody
 * has memory for the 14 million of ImageNet-22k.
 */
export const exposureCap = 10_000;

export interface ImagenetPool {
  what: string;
  count: number;
  /** Image number i, 0 ≤ i < count; cheap for ascending numbers. */
  file(index: number): Promise<ImageFile>;
}

const thirty = new Set(imagenet30.map(({ wordnetId }) => wordnetId));

/**
 * @param dataSet that is trained on
 * @throws FcddError FCDD_NOT_FOUND with the remedy, FCDD_BAD_DATA when labels are needed and missing
 */
export async function openPool(
  spec: ImagenetExposure,
  root: string | undefined,
  dataSet: string | undefined,
): Promise<ImagenetPool> {
  const folders = await namedNear(spec, root);
  return spec === 'imagenet' ? validationPool(folders, dataSet) : wholePool(folders);
}

async function validationPool(
  folders: readonly string[],
  dataSet: string | undefined,
): Promise<ImagenetPool> {
  const found = folders.length > 0 ? await findImagenet(folders) : null;
  if (!found?.val) {
    throw new FcddError(
      'FCDD_NOT_FOUND',
      `outlier exposure 'imagenet': no validation images of ILSVRC-2012 were found${sought(folders)}`,
      {
        hint:
          'fcdd-native data prepare imagenet --from ILSVRC2012_img_val.tar --from ILSVRC2012_devkit_t12.tar.gz --data DIR; ' +
          'or train with other exposure: --oe FOLDER',
      },
    );
  }
  const excluded = exclusion(dataSet, found.labels, found.folder);
  if (!excluded) return pool(`${found.val.what} (validation)`, found.val.groups);
  const groups: ImageGroup[] = [];
  for (const group of found.val.groups) {
    if (group.wnid !== null) {
      if (!excluded(group.wnid)) groups.push(group);
      continue;
    }
    if (found.labels.validation === null) throw unlabelled(found.folder, 'labels of the validation images');
    const files = (await group.files()).filter(({ name }) => {
      const wnid = validationClass(found.labels, name);
      if (wnid === null) throw unlabelled(found.folder, `the class of ${name}`);
      return !excluded(wnid);
    });
    groups.push({ wnid: null, count: files.length, files: async () => files });
  }
  const left = `${countOf(groups)} of ${countOf(found.val.groups)} are of other classes`;
  return pool(`${found.val.what} (validation; ${left})`, groups);
}

/** Which classes the exposure must not show, by the data set. */
function exclusion(
  dataSet: string | undefined,
  labels: ImagenetLabels,
  folder: string,
): ((wnid: string) => boolean) | null {
  if (dataSet === 'imagenet') return (wnid) => thirty.has(wnid);
  if (dataSet !== 'pascal-voc') return null;
  return (wnid) => {
    const name = labels.names.get(wnid);
    if (name === undefined) throw unlabelled(folder, `the name of class ${wnid}`);
    return showsVocClass(name);
  };
}

function unlabelled(folder: string, what: string): FcddError {
  return new FcddError(
    'FCDD_BAD_DATA',
    `outlier exposure 'imagenet': ${what} is not known in ${folder}, so images of the excluded classes cannot be left out`,
    {
      hint: 'add the development kit: fcdd-native data prepare imagenet --from ILSVRC2012_devkit_t12.tar.gz --data DIR',
    },
  );
}

async function wholePool(folders: readonly string[]): Promise<ImagenetPool> {
  for (const folder of folders) {
    const { images } = await findImagenet([folder]);
    const groups = images ?? (await folderGroups(folder));
    const classes = groups?.groups.filter(({ wnid }) => wnid !== null && !thirty.has(wnid)) ?? [];
    if (classes.length > 0) return pool(`${groups!.what} (${classes.length} synsets)`, classes);
  }
  throw new FcddError('FCDD_NOT_FOUND', `outlier exposure 'imagenet22k' was not found${sought(folders)}`, {
    hint:
      'folders of <WordNet id>/…, or fcdd-native data prepare imagenet22k --from fall11_whole.tar --data DIR; ' +
      'without it: --oe FOLDER, or --noise confetti --supervise malformed-normal',
  });
}

const sought = (folders: readonly string[]): string =>
  folders.length > 0 ? ` in ${folders.join(', ')}` : ' below or beside --data, nor below FCDD_DATA';

function pool(what: string, groups: readonly ImageGroup[]): ImagenetPool {
  const ends: number[] = [];
  for (const { count } of groups) ends.push((ends.at(-1) ?? 0) + count);
  let kept: { at: number; files: ImageFile[] } | null = null;
  return {
    what,
    count: ends.at(-1) ?? 0,
    file: async (index) => {
      const at = ends.findIndex((end) => index < end);
      if (kept?.at !== at) kept = { at, files: await groups[at]!.files() };
      const file = kept.files[index - (ends[at - 1] ?? 0)];
      if (file) return file;
      throw new FcddError('FCDD_BAD_DATA', `${what} has changed while it was read`);
    },
  };
}
