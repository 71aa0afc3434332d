/**
 * Scores that need no network: what a data set's labels give away to arithmetic. A detector has to beat them, and a
 * data set on which they do well shows nothing. Higher means more anomalous; each score is compared with the normal
 * training images alone, never with test labels.
 */

import type { StoredImages } from '../engine/types.js';
import { FcddError } from '../errors.js';

/** One trivial detector: its name and a score per test image, in the order of the store. */
export interface Baseline {
  name: string;
  scores: Float64Array;
}

/** Pixels of image `index` (H×W×C, interleaved), as a view of the store. */
function pixelsOf(store: StoredImages, index: number): Uint8Array {
  const { pixels, height, width } = store.images[index]!;
  return store.bytes.subarray(pixels, pixels + height * width * store.channels);
}

function meanOf(pixels: Uint8Array): number {
  let sum = 0;
  for (const value of pixels) sum += value;
  return sum / pixels.length;
}

/** How far an image's mean intensity lies from the training images' mean, either way, in 0…255 units. */
function meanIntensity(train: StoredImages, test: StoredImages): Float64Array {
  let expected = 0;
  for (let i = 0; i < train.images.length; i += 1) expected += meanOf(pixelsOf(train, i));
  expected /= train.images.length;
  return Float64Array.from(test.images, (_, i) => Math.abs(meanOf(pixelsOf(test, i)) - expected));
}

/** Mean and standard deviation (at least one grey level) of every value of the picture over the training images. */
function valueStatistics(train: StoredImages): { mean: Float64Array; std: Float64Array } {
  const length = pixelsOf(train, 0).length;
  const mean = new Float64Array(length);
  const std = new Float64Array(length);
  const count = train.images.length;
  for (let i = 0; i < count; i += 1) {
    pixelsOf(train, i).forEach((value, at) => {
      mean[at]! += value / count;
      std[at]! += (value * value) / count;
    });
  }
  for (let at = 0; at < length; at += 1) {
    std[at] = Math.max(1, Math.sqrt(Math.max(0, std[at]! - mean[at]! * mean[at]!)));
  }
  return { mean, std };
}

/** Mean and maximum over an image of |x − mean| / standard deviation, both taken value by value over training. */
function zScores(train: StoredImages, test: StoredImages): { average: Float64Array; largest: Float64Array } {
  const { mean, std } = valueStatistics(train);
  const average = new Float64Array(test.images.length);
  const largest = new Float64Array(test.images.length);
  for (let i = 0; i < test.images.length; i += 1) {
    let sum = 0;
    let peak = 0;
    pixelsOf(test, i).forEach((value, at) => {
      const z = Math.abs(value - mean[at]!) / std[at]!;
      sum += z;
      if (z > peak) peak = z;
    });
    average[i] = sum / mean.length;
    largest[i] = peak;
  }
  return { average, largest };
}

/** Mean squared 5-point Laplacian of the sum of an image's channels, border left out: the energy of edges. */
function laplacianEnergy(test: StoredImages): Float64Array {
  return Float64Array.from(test.images, ({ height, width }, index) => {
    const pixels = pixelsOf(test, index);
    const grey = new Float64Array(height * width);
    pixels.forEach((value, at) => {
      grey[Math.floor(at / test.channels)]! += value;
    });
    let energy = 0;
    for (let y = 1; y < height - 1; y += 1) {
      for (let x = 1; x < width - 1; x += 1) {
        const at = y * width + x;
        const around = grey[at - 1]! + grey[at + 1]! + grey[at - width]! + grey[at + width]!;
        energy += (around - 4 * grey[at]!) ** 2;
      }
    }
    return energy / Math.max(1, (height - 2) * (width - 2));
  });
}

/** All images of both stores must have one size: the z-score compares them pixel by pixel. */
function checkSizes(train: StoredImages, test: StoredImages): void {
  const first = train.images[0];
  if (first === undefined) {
    throw new FcddError('FCDD_INVALID_ARGUMENT', 'expected at least one image for train, received none');
  }
  if (train.channels !== test.channels) {
    const received = `${train.channels} and ${test.channels}`;
    throw new FcddError(
      'FCDD_INVALID_ARGUMENT',
      `expected as many channels in train as in test, received ${received}`,
    );
  }
  for (const { height, width } of [...train.images, ...test.images]) {
    if (height === first.height && width === first.width) continue;
    const received = `${first.height}×${first.width} and ${height}×${width}`;
    throw new FcddError('FCDD_INVALID_ARGUMENT', `expected images of one size, received ${received}`);
  }
}

/**
 * The scores of every trivial detector on the images of `test`.
 *
 * @param train normal training images
 * @param test images to score, of the same size and channels
 * @throws FcddError FCDD_INVALID_ARGUMENT when train is empty or sizes or channels differ
 */
export function baselineScores(train: StoredImages, test: StoredImages): Baseline[] {
  checkSizes(train, test);
  const { average, largest } = zScores(train, test);
  return [
    { name: 'mean intensity', scores: meanIntensity(train, test) },
    { name: 'pixel z-score (mean)', scores: average },
    { name: 'pixel z-score (maximum)', scores: largest },
    { name: 'Laplacian energy', scores: laplacianEnergy(test) },
  ];
}
