/**
 * ImageNet-30: one of thirty classes of ILSVRC-2012 is normal, the others are anomalous in test. Training
 * images come from the training split, test images from the validation split; both are read where they lie,
 * folders or tars.
 */
import { FcddError } from '../../errors.js';
import { drawWithoutReplacement, seededRandom } from '../../evaluation/random.js';
import { classIndex } from '../class-names.js';
import { dataSetFolders } from '../locate.js';
import { publishedMeanAndDeviation } from '../normalisation.js';
import { asTestSplit, createLoader, type PictureFile, whyNoTest } from '../pictures.js';
import { imagenetPipelines } from '../pipelines.js';
import { createRemarks, type Remarks } from '../remarks.js';
import { listNames } from '../scan.js';
import type { DataSet, OpenOptions, StoredSize } from '../types.js';
import { imagenet30 } from './classes.js';
import { type FoundImagenet, findImagenet } from './find.js';
import type { ImageFile, ImageGroup } from './groups.js';
import { validationClass } from './labels.js';

/** Labelled anomalies of `--supervise other` at most: 29 classes of 1300 images are ten gigabytes. */
export const anomalyCap = 5000;

/** @throws FcddError FCDD_NOT_FOUND, FCDD_BAD_DATA, FCDD_BAD_IMAGE, FCDD_INVALID_ARGUMENT (class) */
export async function openImagenet(options: OpenOptions): Promise<DataSet> {
  const names = imagenet30.map(({ name }) => name);
  const index = classIndex(names, options.className ?? '0');
  const folders = await dataSetFolders('imagenet', options.dir);
  const found = await findImagenet(folders);
  if (!found.train && !found.val) throw notFound(folders[0]!);
  const remarks = createRemarks();
  const wanted = {
    train: options.only === 'test' ? [] : await trainingFiles(found, index, options.dir),
    anomalies:
      options.anomalies === false || options.only === 'test'
        ? []
        : await otherFiles(found, index, options.seed, remarks),
    test: options.only === 'train' ? null : await testFiles(found, index, remarks),
  };
  const noTest = typeof wanted.test === 'string' ? wanted.test : null;
  const test = typeof wanted.test === 'string' ? [] : (wanted.test ?? []);
  if (options.only === 'test' && test.length === 0) {
    throw new FcddError('FCDD_BAD_DATA', `${found.folder}: ${noTest ?? 'there are no test images'}`, {
      hint: 'fcdd-native data prepare imagenet says what is missing and where to get it',
    });
  }
  const stored: StoredSize = { fit: 'short-side', height: 256, width: 256, interpolation: 'bilinear' };
  const total = wanted.train.length + wanted.anomalies.length + test.length;
  const load = createLoader(stored, total, remarks, options);
  const train = await load(wanted.train, false);
  const anomalies = wanted.anomalies.length > 0 ? await load(wanted.anomalies, false) : null;
  const loadedTest = test.length > 0 ? await load(test, false) : null;
  const warnings = remarks.lines();
  for (const warning of warnings) options.onWarning?.(warning);
  return {
    name: 'imagenet',
    className: names[index]!,
    classIndex: index,
    channels: 3,
    grey: false,
    stored,
    train: train.split,
    anomalies: anomalies?.split ?? null,
    test: loadedTest && asTestSplit(loadedTest, 'imagenet has labels for whole images only, no masks'),
    testMissing: loadedTest ? null : (noTest ?? whyNoTest(found.folder, options)),
    pixelwise: false,
    constants: publishedMeanAndDeviation('imagenet'),
    repeat: 1,
    preprocessing: 'aug1',
    pipelines: imagenetPipelines,
    summary: summaryOf(found, names[index]!, wanted.train.length, test),
    warnings,
  };
}

function notFound(folder: string): FcddError {
  return new FcddError(
    'FCDD_NOT_FOUND',
    `${folder} holds no ImageNet: expected train/<WordNet id>/… and val/…, or a folder made by data prepare`,
    {
      hint: 'fcdd-native data prepare imagenet --from ILSVRC2012_img_train.tar (and _val.tar, devkit) --data DIR',
    },
  );
}

const asPicture = (file: ImageFile, part: string, index: number, normal: number): PictureFile => ({
  ...file,
  name: `${part}/${file.name}`,
  label: index === normal ? 0 : 1,
  type: imagenet30[index]!.name,
  maskPath: null,
});

function classGroup(groups: readonly ImageGroup[] | undefined, index: number): ImageGroup | undefined {
  return groups?.find(({ wnid }) => wnid === imagenet30[index]!.wordnetId);
}

async function trainingFiles(
  { train, folder }: FoundImagenet,
  index: number,
  dir: string | undefined,
): Promise<PictureFile[]> {
  const group = classGroup(train?.groups, index);
  if (group) return (await group.files()).map((file) => asPicture(file, 'train', index, index));
  const { name, wordnetId } = imagenet30[index]!;
  throw new FcddError('FCDD_BAD_DATA', `${folder} has no training images of '${name}' (${wordnetId})`, {
    hint: train
      ? 'choose another class with --class, or add the images of this one'
      : `fcdd-native data prepare imagenet --from ILSVRC2012_img_train.tar --data ${dir ?? 'DIR'}`,
  });
}

/** Training images of the other classes, so many as memory allows, drawn from the seed. */
async function otherFiles(
  { train }: FoundImagenet,
  normal: number,
  seed: number,
  remarks: Remarks,
): Promise<PictureFile[]> {
  const files: PictureFile[] = [];
  for (const [index] of imagenet30.entries()) {
    const group = index === normal ? undefined : classGroup(train?.groups, index);
    for (const file of (await group?.files()) ?? []) files.push(asPicture(file, 'train', index, normal));
  }
  if (files.length <= anomalyCap) return files;
  remarks.add(`${anomalyCap} of ${files.length} labelled anomalies are used, drawn from the seed`);
  return drawWithoutReplacement(files.length, anomalyCap, seededRandom(seed)).map((i) => files[i]!);
}

/** The validation images of the thirty classes; a text: why there are none. */
async function testFiles(
  { val, labels }: FoundImagenet,
  normal: number,
  remarks: Remarks,
): Promise<PictureFile[] | string> {
  if (!val) return 'there are no validation images (ILSVRC2012_img_val.tar, or val/)';
  const byClass: ImageFile[][] = imagenet30.map(() => []);
  const indexOf = new Map(imagenet30.map(({ wordnetId }, i) => [wordnetId, i]));
  for (const group of val.groups) {
    if (group.wnid === null && labels.validation === null) {
      return 'the validation images have no labels (ILSVRC2012_devkit_t12.tar.gz has them)';
    }
    const known = group.wnid === null ? null : indexOf.get(group.wnid);
    if (known === undefined) continue;
    for (const file of await group.files()) {
      const index = known ?? indexOf.get(validationClass(labels, file.name) ?? '');
      if (index !== undefined) byClass[index]!.push(file);
    }
  }
  const absent = imagenet30.filter((_, i) => byClass[i]!.length === 0).map(({ name }) => name);
  if (absent.length === imagenet30.length) return 'none of the validation images shows one of the 30 classes';
  if (absent.length > 0)
    remarks.add(`no validation images of ${absent.length} of the 30 classes: ${listNames(absent)}`);
  return byClass.flatMap((files, index) => files.map((file) => asPicture(file, 'val', index, normal)));
}

function summaryOf(
  { train, val }: FoundImagenet,
  className: string,
  trained: number,
  test: readonly PictureFile[],
): string[] {
  const lines = [`ImageNet-30, normal class '${className}'`];
  if (trained > 0) lines.push(`train: ${trained} images in ${train!.what}`);
  if (test.length > 0) {
    const normal = test.filter(({ label }) => label === 0).length;
    lines.push(
      `test: ${normal} normal, ${test.length - normal} anomalous (the other classes) in ${val!.what}`,
    );
  }
  lines.push('short side 256 (bilinear), published mean and standard deviation');
  return lines;
}
