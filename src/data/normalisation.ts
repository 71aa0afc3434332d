/** The published constants of the affine stage (reference code liznerski/fcdd), per data set and class. */
import { readFileSync } from 'node:fs';
import type published from './normalisation.json';
import type { Normalisation } from './types.js';

interface ClassConstants {
  mean: number[];
  std: number[];
  lcnL1Min: number[];
  lcnL1Max: number[];
}

type Published = Record<
  keyof typeof published,
  { classes?: Record<string, ClassConstants>; mean?: number[]; std?: number[] }
>;

// Read, not imported: importing JSON prints an experimental warning in Node 20. The type import makes tsc copy the file.
const table = JSON.parse(readFileSync(new URL('./normalisation.json', import.meta.url), 'utf8')) as Published;

export type PublishedDataSet = 'mvtec' | 'fashion-mnist' | 'cifar10';

/** Class names with published constants, in the order of their indices. */
export function publishedClasses(dataSet: PublishedDataSet): string[] {
  return Object.keys(table[dataSet].classes ?? {});
}

/** Mean and standard deviation of a data set whose classes share them; constants after LCN are not published. */
export function publishedMeanAndDeviation(dataSet: 'imagenet' | 'pascal-voc'): Normalisation {
  const { mean, std } = table[dataSet] as { mean: number[]; std: number[] };
  return { mean: [...mean], std: [...std], lcnMin: [], lcnMax: [] };
}

/** Constants of one class, or null when it is not a published one (then they are computed from training images). */
export function publishedConstants(dataSet: PublishedDataSet, className: string): Normalisation | null {
  const constants = table[dataSet].classes?.[className];
  if (!constants) return null;
  return {
    mean: [...constants.mean],
    std: [...constants.std],
    lcnMin: [...constants.lcnL1Min],
    lcnMax: [...constants.lcnL1Max],
  };
}
