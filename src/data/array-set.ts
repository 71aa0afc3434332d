/**
 * Fashion-MNIST, CIFAR-10, CIFAR-100 and EMNIST's letters as one-vs-rest data sets: one class normal in training and
 * test, all others anomalous in test. Images keep their size and order; subsets of the published data sets open like the full ones.
 */
import { FcddError } from '../errors.js';
import { type ImageArray, readArrayFolder } from './array-files.js';
import { cifar10Classes, cifar100Classes, classIndex, fashionMnistClasses } from './class-names.js';
import { emnistClasses, lettersOnly, uprightLetters } from './emnist.js';
import { dataSetFolders } from './locate.js';
import { publishedConstants } from './normalisation.js';
import { whyNoTest } from './pictures.js';
import { cifarPipelines, fashionMnistPipelines, type Pipelines } from './pipelines.js';
import { createStoreBuilder, emptySplit } from './store.js';
import type { DataSet, OpenOptions, Preprocessing, Split } from './types.js';

export type ArraySetName = 'fashion-mnist' | 'cifar10' | 'cifar100' | 'emnist';

interface ArraySet {
  kind: ImageArray['kind'];
  expected: string;
  size: number;
  channels: 1 | 3;
  classes: readonly string[];
  /** Which of the arrays found are meant, with classes counted from 0. */
  select?: (arrays: ImageArray[]) => ImageArray[];
  preprocessing: Preprocessing;
  pipelines: (preprocessing: Preprocessing) => Pipelines;
}

const sets: Record<ArraySetName, ArraySet> = {
  'fashion-mnist': {
    kind: 'idx',
    expected: 'idx files (train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-…), gzipped or not',
    size: 28,
    channels: 1,
    classes: fashionMnistClasses,
    preprocessing: 'lcnaug1',
    pipelines: fashionMnistPipelines,
  },
  cifar10: {
    kind: 'cifar10',
    expected: 'binary records of 3073 bytes (data_batch_1.bin …, test_batch.bin), gzipped or not',
    size: 32,
    channels: 3,
    classes: cifar10Classes,
    preprocessing: 'aug1',
    pipelines: cifarPipelines,
  },
  cifar100: {
    kind: 'cifar100',
    expected: 'binary records of 3074 bytes (train.bin, test.bin), gzipped or not',
    size: 32,
    channels: 3,
    classes: cifar100Classes,
    preprocessing: 'aug1',
    pipelines: cifarPipelines,
  },
  emnist: {
    kind: 'idx',
    expected: 'idx files of the letters (emnist-letters-train-images-idx3-ubyte …), gzipped or not',
    size: 28,
    channels: 1,
    classes: emnistClasses,
    select: (arrays) => lettersOnly(arrays).map(uprightLetters),
    preprocessing: 'lcnaug1',
    pipelines: fashionMnistPipelines,
  },
};

/** Names of the classes, by label. */
export const arrayClasses = (name: ArraySetName): readonly string[] => sets[name].classes;

export function isArraySetName(name: string): name is ArraySetName {
  return Object.hasOwn(sets, name);
}

/** @throws FcddError FCDD_NOT_FOUND, FCDD_BAD_DATA or FCDD_INVALID_ARGUMENT (class) */
export async function openArraySet(name: ArraySetName, options: OpenOptions): Promise<DataSet> {
  const set = sets[name];
  const index = classIndex(set.classes, options.className ?? '0');
  const className = set.classes[index]!;
  const { arrays, folder, remarks } = await findArrays(name, options);
  for (const array of arrays) checkArray(name, array, folder);
  const split = (part: 'train' | 'test', keep: (label: number) => boolean): Split =>
    collect(arrays, part, set, index, keep);
  const train = split('train', (label) => label === index);
  const test = options.only === 'train' ? null : split('test', () => true);
  if (options.only !== 'test' && train.records.length === 0)
    throw noNormalImages(name, folder, className, arrays);
  if (options.only === 'test' && !test?.records.length) throw noTestImages(name, folder);
  const labelled = test !== null && test.records.length > 0 ? test : null;
  const summary = summaryOf(name, folder, arrays, className, index, train, labelled, options);
  const published = name === 'fashion-mnist' || name === 'cifar10';
  const constants = published ? publishedConstants(name, className) : null;
  options.onProgress?.(train.records.length, train.records.length);
  return {
    name,
    className,
    classIndex: index,
    channels: set.channels,
    grey: set.channels === 1,
    stored: { fit: 'native', height: set.size, width: set.size, interpolation: 'bilinear' },
    train,
    anomalies:
      options.anomalies === false || options.only === 'test'
        ? null
        : split('train', (label) => label !== index),
    test: labelled && {
      ...labelled,
      masks: null,
      masksMissing: `${name} has labels for whole images only, no masks`,
    },
    testMissing: labelled ? null : whyNoTest(folder, options),
    pixelwise: false,
    constants,
    repeat: 1,
    preprocessing: set.preprocessing,
    pipelines: set.pipelines,
    summary,
    warnings: remarks,
  };
}

/** The arrays of a data set, wherever they lie. @throws FcddError FCDD_NOT_FOUND, FCDD_BAD_DATA */
export async function findArrays(name: ArraySetName, options: OpenOptions) {
  const set = sets[name];
  const folders = await dataSetFolders(name, options.dir);
  const seen: string[] = [];
  for (const folder of folders) {
    const { arrays, remarks } = await readArrayFolder(folder, options.only);
    const alike = arrays.filter(({ kind }) => kind === set.kind);
    const wanted = set.select?.(alike) ?? alike;
    for (const remark of remarks) options.onWarning?.(`${folder}: ${remark}`);
    if (wanted.length > 0) return { arrays: wanted, folder, remarks };
    seen.push(...remarks, ...arrays.map(({ kind, files }) => `${files.join(' and ')} (${kind})`));
  }
  const part = options.only ? `${options.only} part of ` : '';
  const instead = seen.length > 0 ? `; found instead: ${seen.slice(0, 5).join('; ')}` : '';
  throw new FcddError(
    'FCDD_NOT_FOUND',
    `${folders[0]} holds no ${part}${name}: expected ${set.expected}${instead}`,
    {
      hint: `pass the folder with these files, or a folder that holds ${name}/`,
    },
  );
}

function checkArray(name: ArraySetName, array: ImageArray, folder: string): void {
  const set = sets[name];
  const what = `${folder}: ${array.files.join(' and ')}`;
  if (array.height !== set.size || array.width !== set.size) {
    throw new FcddError(
      'FCDD_BAD_DATA',
      `${what}: ${name} has images of ${set.size}×${set.size}, these are ${array.height}×${array.width}`,
    );
  }
  if (!array.labels) {
    throw new FcddError('FCDD_BAD_DATA', `${what}: no label file (idx1) for the ${array.part} images`);
  }
  const outside = array.labels.findIndex((label) => label >= set.classes.length);
  if (outside >= 0) {
    throw new FcddError(
      'FCDD_BAD_DATA',
      `${what}: label ${array.labels[outside]} of image ${outside}; ${name} has labels 0 to ${set.classes.length - 1}`,
    );
  }
}

/** The images of one part whose label `keep` accepts, in file order; everything but class `normal` is anomalous. */
function collect(
  arrays: readonly ImageArray[],
  part: 'train' | 'test',
  set: ArraySet,
  normal: number,
  keep: (label: number) => boolean,
): Split {
  const size = set.size * set.size * set.channels;
  const chosen = arrays
    .filter((array) => array.part === part)
    .flatMap((array) =>
      Array.from({ length: array.count }, (_, i) => ({ array, i, label: array.labels![i]! })),
    )
    .filter(({ label }) => keep(label));
  if (chosen.length === 0) return emptySplit(set.channels);
  const builder = createStoreBuilder(set.channels, chosen.length * size);
  for (const { array, i, label } of chosen) {
    builder.add({
      pixels: array.pixels.subarray(i * size, (i + 1) * size),
      height: set.size,
      width: set.size,
      label: label === normal ? 0 : 1,
    });
  }
  const records = chosen.map(({ array, i, label }) => ({
    name: `${array.files[0]!.replace(/\.gz$/, '')}[${i}]`,
    label: label === normal ? (0 as const) : (1 as const),
    type: set.classes[label]!,
  }));
  return { images: builder.finish(), records };
}

function noNormalImages(
  name: string,
  folder: string,
  className: string,
  arrays: readonly ImageArray[],
): FcddError {
  const parts = arrays.map(({ files }) => files[0]).join(', ');
  return new FcddError(
    'FCDD_BAD_DATA',
    `${folder}: no training image of ${name}'s class '${className}' in ${parts}`,
  );
}

function noTestImages(name: string, folder: string): FcddError {
  return new FcddError('FCDD_BAD_DATA', `${folder} holds no test images of ${name} (t10k-… or test…)`);
}

function summaryOf(
  name: string,
  folder: string,
  arrays: readonly ImageArray[],
  className: string,
  index: number,
  train: Split,
  test: Split | null,
  options: OpenOptions,
): string[] {
  const chosen = options.className === undefined ? ' (the default; --class chooses another)' : '';
  const lines = [
    `${name} in ${folder}`,
    ...arrays.map(({ part, files, count }) => `${part}: ${count} images in ${files.join(' and ')}`),
    `normal class ${index} '${className}'${chosen}: ${train.records.length} training images`,
  ];
  if (test) {
    const normal = test.records.filter(({ label }) => label === 0).length;
    lines.push(`test: ${normal} normal, ${test.records.length - normal} anomalous (all other classes)`);
  }
  return lines;
}
