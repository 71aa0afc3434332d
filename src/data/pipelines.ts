/**
 * The input pipelines of FCDD (reference code liznerski/fcdd, one file per data set) as data for the engine.
 * The affine stage is neutral here; `withConstants` fills it. Where the reference has no LCN variant of a data set,
 * 'lcnaug1' is its 'aug1' with LCN and min-max in place of mean and standard deviation.
 */
import type { Jitter, Pipeline } from '../engine/types.js';
import { FcddError } from '../errors.js';
import type { Normalisation, Preprocessing } from './types.js';

export interface Pipelines {
  train: Pipeline;
  test: Pipeline;
}

/** The same amount for brightness, contrast, saturation and hue. */
function jitter(amount: number): Jitter {
  return { brightness: amount, contrast: amount, saturation: amount, hue: amount };
}

/** Sizes, LCN and a neutral affine stage: what training and test have in common. */
function base(channels: 1 | 3, size: number, preprocessing: Preprocessing): Pipeline {
  return {
    height: size,
    width: size,
    channels,
    lcn: preprocessing === 'lcnaug1',
    offset: new Array<number>(channels).fill(0),
    scale: new Array<number>(channels).fill(1),
  };
}

export function fashionMnistPipelines(preprocessing: Preprocessing): Pipelines {
  const test = base(1, 28, preprocessing);
  const space = { randomCrop: true, flip: true };
  if (preprocessing === 'lcnaug1') return { train: { ...test, ...space, pad: 2 }, test };
  const train = {
    ...test,
    ...space,
    pad: 3,
    jitter: [jitter(0.1)],
    jitterFirst: true,
    noise: { sigma: 0.01 },
  };
  return { train, test };
}

export function cifarPipelines(preprocessing: Preprocessing): Pipelines {
  const test = base(3, 32, preprocessing);
  const train = {
    ...test,
    jitter: [jitter(0.01)],
    jitterFirst: true,
    pad: 4,
    randomCrop: true,
    flip: true,
    noise: { sigma: 0.001 },
  };
  return { train, test };
}

/** Stored at 240×240, network input 224×224; both train and test resize by nearest neighbour. */
export function mvtecPipelines(preprocessing: Preprocessing): Pipelines {
  const plain = base(3, 224, preprocessing);
  const fine: Jitter = { brightness: 0.005, contrast: 0.0005, saturation: 0.0005, hue: 0.0005 };
  const train = {
    ...plain,
    randomCrop: true,
    orResize: true,
    jitter: [jitter(0.04), fine],
    noise: { sigma: 0.1, probability: 0.5, relative: true, clamp: true },
  };
  return { train, test: { ...plain, resize: { height: 224, width: 224 } } };
}

/** Stored with a short side of 256; the network sees 224×224 of it, the centre at test. */
export function imagenetPipelines(preprocessing: Preprocessing): Pipelines {
  const test = base(3, 224, preprocessing);
  const train = {
    ...test,
    jitter: [jitter(0.01)],
    jitterFirst: true,
    flip: true,
    randomCrop: true,
    noise: { sigma: 0.001 },
  };
  return { train, test };
}

/** Stored at 224×224: neither crops nor flips, which would cut or turn the watermark. */
export function vocPipelines(preprocessing: Preprocessing): Pipelines {
  const test = base(3, 224, preprocessing);
  return { train: { ...test, jitter: [jitter(0.01)], jitterFirst: true, noise: { sigma: 0.001 } }, test };
}

/**
 * One's own pictures, stored at 248×248 (or short side 248, see `crops`), network input 224×224.
 * `crops`: the published way without masks, which inspects the centre 224×224 only. Otherwise the whole picture is
 * inspected at test (nearest to 224), and training sees crops and whole pictures, as the reference does with masks.
 */
export function folderPipelines(preprocessing: Preprocessing, options: { crops: boolean }): Pipelines {
  const plain = base(3, 224, preprocessing);
  const common = { ...plain, flip: true, randomCrop: true, jitter: [jitter(0.01)], noise: { sigma: 0.001 } };
  if (options.crops) return { train: { ...common, jitterFirst: true }, test: plain };
  return { train: { ...common, orResize: true }, test: { ...plain, resize: { height: 224, width: 224 } } };
}

/** The pipeline with its affine stage filled: min-max after LCN, mean and standard deviation otherwise. */
export function withConstants(
  pipeline: Pipeline,
  preprocessing: Preprocessing,
  constants: Normalisation,
): Pipeline {
  const lcn = preprocessing === 'lcnaug1';
  const offset = lcn ? constants.lcnMin : constants.mean;
  const scale = lcn ? constants.lcnMax.map((max, c) => max - constants.lcnMin[c]!) : constants.std;
  if (offset.length !== pipeline.channels || scale.length !== pipeline.channels) {
    throw new FcddError(
      'FCDD_INVALID_ARGUMENT',
      `constants: expected ${pipeline.channels} value(s), one per channel of the pipeline, received ${offset.length}`,
    );
  }
  // A channel without any contrast would be divided by 0.
  return { ...pipeline, offset: [...offset], scale: scale.map((value) => value || 1) };
}
