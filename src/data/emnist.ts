/**
 * EMNIST comes in several selections of one archive, with images that are transposed and letters counted from
 * 1. The letters are what the FCDD paper uses as outlier exposure, upright.
 */
import type { ImageArray } from './array-files.js';
import type { Raster } from './resample.js';

export const emnistClasses = [...'ABCDEFGHIJKLMNOPQRSTUVWXYZ'];

/** The letters where there are some among the arrays; else all of them. */
export function lettersOnly(arrays: ImageArray[]): ImageArray[] {
  const letters = arrays.filter(({ files }) => /emnist.*letters/i.test(files[0]!));
  return letters.length > 0 ? letters : arrays;
}

/** Whether an array's file holds EMNIST's transposed images. */
export const isTransposed = (array: ImageArray): boolean => /emnist/i.test(array.files[0]!);

export function transpose({ height, width, channels, data }: Raster): Raster {
  const turned = new Uint8Array(data.length);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      for (let c = 0; c < channels; c++) {
        turned[(x * height + y) * channels + c] = data[(y * width + x) * channels + c]!;
      }
    }
  }
  return { height: width, width: height, channels, data: turned };
}

/** Upright images, and classes counted from 0. */
export function uprightLetters(array: ImageArray): ImageArray {
  const { count, height, width, channels } = array;
  const size = height * width;
  const pixels = new Uint8Array(array.pixels.length);
  for (let i = 0; i < count; i++) {
    const data = array.pixels.subarray(i * size, (i + 1) * size);
    pixels.set(isTransposed(array) ? transpose({ height, width, channels, data }).data : data, i * size);
  }
  // A label of 0 is none of the letters': 255 is refused with the others that are too large.
  const labels = array.labels?.map((label) => (label - 1) & 255) ?? null;
  return { ...array, pixels, labels };
}
