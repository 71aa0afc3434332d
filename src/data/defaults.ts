/**
 * Training settings per data set: the FCDD paper's (ICLR 2021) as its reference code has them, loading batches times
 * accumulated loads taken together. `folder` trains on confetti instead of ImageNet-22k, which nobody has.
 */
import { FcddError } from '../errors.js';
import { demoDefaults } from './demo/index.js';
import type { TrainingDefaults } from './types.js';

const fashionMnist: TrainingDefaults = {
  batch: 128,
  epochs: 400,
  optimizer: 'sgd',
  lr: 1e-2,
  weightDecay: 1e-6,
  schedule: { kind: 'exponential', rate: 0.98 },
  model: 'cnn28-w',
  preprocessing: 'lcnaug1',
  sigma: 1.2,
  quantile: 0.85,
  supervise: 'noise',
  noise: 'cifar100',
  holdOut: 0.1,
};

const cifar10: TrainingDefaults = {
  batch: 200,
  epochs: 600,
  optimizer: 'adam',
  lr: 1e-3,
  weightDecay: 1e-6,
  schedule: { kind: 'milestones', at: [400, 500], factor: 0.1 },
  model: 'cnn32-lw3k',
  preprocessing: 'aug1',
  sigma: 1.2,
  quantile: 0.85,
  supervise: 'noise',
  noise: 'cifar100',
  holdOut: 0.1,
};

const mvtec: TrainingDefaults = {
  batch: 128,
  epochs: 200,
  optimizer: 'sgd',
  lr: 1e-3,
  weightDecay: 1e-4,
  schedule: { kind: 'exponential', rate: 0.985 },
  model: 'vgg11-f',
  preprocessing: 'lcnaug1',
  sigma: 12,
  quantile: 0.99,
  supervise: 'malformed-normal',
  noise: 'confetti',
  holdOut: 0.1,
};

const imagenet: TrainingDefaults = {
  ...cifar10,
  model: 'vgg11-nopt',
  sigma: 8,
  quantile: 0.97,
  noise: 'imagenet22k',
};

/** Nothing is held out: the images trained on are pushed up, so their scores say nothing of false alarms. */
const pascalVoc: TrainingDefaults = { ...imagenet, quantile: 0.99, noise: 'imagenet', holdOut: 0 };

const folder: TrainingDefaults = {
  ...mvtec,
  weightDecay: 1e-6,
  preprocessing: 'aug1',
  sigma: 10,
  quantile: 0.97,
};

const table = {
  demo: demoDefaults,
  'fashion-mnist': fashionMnist,
  cifar10,
  // Not a data set of the paper: the settings of CIFAR-10, which serves as its outlier exposure.
  cifar100: { ...cifar10, noise: 'cifar10' },
  // Not data sets of the paper either: the settings of Fashion-MNIST for the letters that serve as its exposure.
  emnist: fashionMnist,
  mvtec,
  imagenet,
  'pascal-voc': pascalVoc,
  folder,
} satisfies Record<string, TrainingDefaults>;

export type DataSetName = keyof typeof table;

/** Names that `openDataSet` knows. */
export const dataSetNames = Object.keys(table) as readonly DataSetName[];

export function isDataSetName(name: string): name is DataSetName {
  return Object.hasOwn(table, name);
}

/** The settings a run starts from; FCDD_INVALID_ARGUMENT for an unknown name. */
export function trainingDefaults(name: string): TrainingDefaults {
  if (!isDataSetName(name)) {
    throw new FcddError(
      'FCDD_INVALID_ARGUMENT',
      `dataset: expected one of ${dataSetNames.join(', ')}, received '${name}'`,
    );
  }
  return structuredClone(table[name]);
}
