import type { Pipeline, StoredImages } from '../engine/types.js';

/** What is known of one image besides its pixels. Parallel to StoredImages.images of its split. */
export interface ImageRecord {
  /** Path relative to the data set, or "train-images[17]": unique within the split. */
  name: string;
  label: 0 | 1;
  /** Class or defect type; 'good' (or the normal class's name) for normal images. */
  type: string;
}

/** A ground-truth mask at its original resolution: height×width, 1 = anomalous (source value ≥ 128). */
export interface Mask {
  height: number;
  width: number;
  data: Uint8Array;
}

export interface Split {
  images: StoredImages;
  records: ImageRecord[];
}

export interface TestSplit extends Split {
  /**
   * Per image its mask at original resolution (all zeros for a normal image, with the image's own size);
   * null: pixel figures cannot be computed, `masksMissing` says why.
   */
  masks: Mask[] | null;
  masksMissing: string | null;
}

export type Preprocessing = 'lcnaug1' | 'aug1';

/** Constants of the affine stage: min-max after LCN, mean/std otherwise. */
export interface Normalisation {
  mean: number[];
  std: number[];
  lcnMin: number[];
  lcnMax: number[];
}

/** How an image file becomes the bytes of the store; the same function serves train, evaluate and Detector. */
export interface StoredSize {
  /**
   * 'exact': height×width whatever the aspect. 'short-side': `height` is the short side, aspect kept.
   * 'native': as the data set has it (idx, CIFAR, generated), which is height×width; a picture file shown to such a
   * model is resized to that.
   */
  fit: 'exact' | 'short-side' | 'native';
  height: number;
  width: number;
  /** 'nearest' is ⌊i·in/out⌋ (published constants belong to it); 'area' antialiased. */
  interpolation: 'nearest' | 'area' | 'bilinear';
}

/** A data set opened for one normal class, decoded into memory. */
export interface DataSet {
  /** One of dataSetNames. */
  name: string;
  /** The normal class as the user named it, resolved ("T-shirt/top"), and its index where there is one. */
  className: string;
  classIndex: number | null;
  channels: 1 | 3;
  /** All training images are grey although stored with three channels. */
  grey: boolean;
  /**
   * 1: labels are swapped (Pascal VOC). What `train` holds is labelled 0 there and 1 in `test`, and the engine swaps the
   * labels of training (TrainerOptions.nominalLabel): it is pushed up, what replaces it is pulled down.
   */
  nominalLabel?: 1;
  stored: StoredSize;
  /** Empty when only the test split was asked for. */
  train: Split;
  /** Labelled anomalies that may be trained on (mode 'other', mvtec noise), with masks in the store when known. */
  anomalies: Split | null;
  test: TestSplit | null;
  /** Why there is no labelled test split, for figures that are null. */
  testMissing: string | null;
  /** Masks are supplied by the setting: trains pixel-wise. */
  pixelwise: boolean;
  /** Published constants of this class (those after LCN empty where only the others are), or null: computed. */
  constants: Normalisation | null;
  /** The list of training images counts this many times per epoch (MVTec: 10). */
  repeat: number;
  /** Default preprocessing and the pipelines for it (affine stage left at offset 0, scale 1). */
  preprocessing: Preprocessing;
  pipelines(preprocessing: Preprocessing): { train: Pipeline; test: Pipeline };
  /** What a scan found, in which role; lines for people. */
  summary: string[];
  warnings: string[];
}

export interface OpenOptions {
  /** The data set itself or a root that holds `<name>/`; undefined: FCDD_DATA, or none for demo. */
  dir?: string;
  /** Class name or index (as text); undefined: the data set's default. */
  className?: string;
  seed: number;
  /** Nearest with published constants, area otherwise, unless forced. */
  resize?: 'nearest' | 'area';
  /** Centre crop at test, as published, instead of the whole image (folder). */
  referencePreprocessing?: boolean;
  /** Only the test split is needed (evaluate). */
  only?: 'train' | 'test';
  /** The labelled anomalies are needed (mode 'other'). Default: true; false saves decoding them. */
  anomalies?: boolean;
  bitRange?: { low: number; high: number };
  onWarning?: (text: string) => void;
  onProgress?: (done: number, total: number) => void;
}

/** Settings of the reproducibility report, one per data set. */
export interface TrainingDefaults {
  batch: number;
  epochs: number;
  optimizer: 'sgd' | 'adam';
  lr: number;
  weightDecay: number;
  schedule: { kind: 'exponential'; rate: number } | { kind: 'milestones'; at: number[]; factor: number };
  model: string;
  preprocessing: Preprocessing;
  /** σ of the Gaussian; quantile of the heatmap normalisation. */
  sigma: number;
  quantile: number;
  supervise: 'unsupervised' | 'other' | 'noise' | 'malformed-normal' | 'malformed-normal-gt';
  noise: string;
  /** Share of the normal images kept back for the threshold. */
  holdOut: number;
}
