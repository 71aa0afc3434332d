/**
 * Any folder laid out like a category of MVTec AD: train/good, test/<type>, ground_truth/<type>/<stem>_mask.png.
 * Pictures of any size are stored at 240×240, as the reference code does: by nearest neighbour where its published
 * constants are used (the 15 categories, known by name), area-averaged for one's own data.
 */
import { join, sep } from 'node:path';
import { FcddError } from '../errors.js';
import { isFolder } from './locate.js';
import { type Category, findCategory } from './mvtec-layout.js';
import { listTestPictures, masksMissing } from './mvtec-test.js';
import { publishedConstants } from './normalisation.js';
import { asTestSplit, createLoader, type LoadedPictures, type PictureFile, whyNoTest } from './pictures.js';
import { mvtecPipelines } from './pipelines.js';
import { createRemarks, type Remarks } from './remarks.js';
import { describeEmpty, describeOthers, scanFolder } from './scan.js';
import { subset } from './store.js';
import type { DataSet, OpenOptions, StoredSize } from './types.js';

/** @throws FcddError FCDD_NOT_FOUND (layout), FCDD_BAD_DATA, FCDD_BAD_IMAGE, FCDD_INVALID_ARGUMENT (class) */
export async function openMvtec(options: OpenOptions): Promise<DataSet> {
  const category = await findCategory(options);
  const remarks = createRemarks();
  const published = publishedConstants('mvtec', category.name);
  const interpolation = options.resize ?? (published ? 'nearest' : 'area');
  const stored: StoredSize = { fit: 'exact', height: 240, width: 240, interpolation };
  const trainFiles = options.only === 'test' ? [] : await listTraining(category.folder, remarks);
  const testFiles = options.only === 'train' ? [] : await listTest(category.folder, options, remarks);
  const missing = await masksMissing(category.folder, testFiles);
  if (missing !== null) remarks.add(`no pixel figures: ${missing}`);
  const load = createLoader(stored, trainFiles.length + testFiles.length, remarks, options);
  const train = await load(trainFiles, false);
  const test = testFiles.length > 0 ? await load(testFiles, true) : null;
  const warnings = remarks.lines();
  for (const warning of warnings) options.onWarning?.(warning);
  return {
    name: 'mvtec',
    className: category.name,
    classIndex: category.index,
    channels: 3,
    grey: trainFiles.length > 0 ? train.grey : (test?.grey ?? false),
    stored,
    train: train.split,
    anomalies: options.anomalies === false ? null : anomaliesOf(test),
    test: test && asTestSplit(test, missing),
    testMissing: test ? null : whyNoTest(category.folder, options),
    pixelwise: true,
    constants: interpolation === 'nearest' ? published : null,
    repeat: 10,
    preprocessing: 'lcnaug1',
    pipelines: mvtecPipelines,
    summary: summaryOf(category, interpolation, published !== null, trainFiles, testFiles),
    warnings,
  };
}

/** The pictures of train/good. @throws FcddError FCDD_BAD_DATA when there are none */
export async function listTraining(folder: string, remarks: Remarks): Promise<PictureFile[]> {
  const root = join(folder, 'train', 'good');
  const content = await scanFolder(root, 'all');
  if (content.pictures.length === 0) {
    throw new FcddError('FCDD_BAD_DATA', `${root} has no pictures: ${describeEmpty(content)}`);
  }
  if (content.others.length > 0) remarks.add(`train/good: ignored ${describeOthers(content.others)}`);
  const train = await scanFolder(join(folder, 'train'), 'direct');
  const unused = train.folders.filter((name) => name !== 'good').map((name) => `train/${name}`);
  if (unused.length > 0) remarks.add(`only train/good is trained on; not used: ${unused.join(', ')}`);
  if (train.pictures.length > 0)
    remarks.add(`${train.pictures.length} pictures directly in train/ are not used`);
  return content.pictures.map((picture) => ({
    path: join(root, picture),
    name: ['train', 'good', ...picture.split(sep)].join('/'),
    label: 0,
    type: 'good',
    maskPath: null,
  }));
}

async function listTest(folder: string, options: OpenOptions, remarks: Remarks): Promise<PictureFile[]> {
  const files = (await isFolder(join(folder, 'test'))) ? await listTestPictures(folder, remarks) : [];
  if (files.length === 0 && options.only === 'test') {
    throw new FcddError('FCDD_BAD_DATA', `${folder} has no test pictures (test/good, test/<defect type>)`);
  }
  for (const label of [0, 1]) {
    if (files.length === 0 || files.some((file) => file.label === label)) continue;
    const where = label === 0 ? 'test/good has no pictures' : 'test/ has no pictures of defects';
    remarks.add(`${where}: ROC-AUC needs both`);
  }
  return files;
}

/** MVTec AD has no labelled anomalies for training: these are the test split's, with their masks. */
function anomaliesOf(test: LoadedPictures | null): DataSet['anomalies'] {
  if (!test) return null;
  const indices = test.split.records.flatMap(({ label }, i) => (label === 1 ? [i] : []));
  return indices.length > 0 ? subset(test.split, indices) : null;
}

function summaryOf(
  category: Category,
  interpolation: string,
  published: boolean,
  train: readonly PictureFile[],
  test: readonly PictureFile[],
): string[] {
  const lines = [`category '${category.name}' in ${category.folder}`];
  if (train.length > 0) lines.push(`train/good: ${train.length} normal pictures`);
  for (const type of new Set(test.map((file) => file.type))) {
    const files = test.filter((file) => file.type === type);
    const masks = files.filter(({ maskPath }) => maskPath !== null).length;
    lines.push(
      type === 'good'
        ? `test/good: ${files.length} normal pictures`
        : `test/${type}: ${files.length} anomalous pictures, ${masks} masks`,
    );
  }
  const constants =
    published && interpolation === 'nearest'
      ? `published constants of MVTec AD's '${category.name}' (known by its name)`
      : 'constants computed from the training pictures';
  lines.push(`resized to 240×240 (${interpolation}), ${constants}`);
  return lines;
}
