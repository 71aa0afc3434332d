/**
 * Labelled anomalies to train on: drawn once per run, so many of each type, and taken out of the test split where they
 * come from it (MVTec AD has none elsewhere). The reference code leaves them in, which `keepInTest` reproduces.
 */
import { FcddError } from '../errors.js';
import { drawWithoutReplacement, seededRandom } from '../evaluation/random.js';
import { subset, withoutMasks } from './store.js';
import type { DataSet, Split, TestSplit } from './types.js';

export interface DrawnAnomalies {
  anomalies: Split;
  /** The test split without those that are trained on, unless they were to be kept. */
  test: TestSplit | null;
  /** How many were taken out of it. */
  removed: number;
  /** How many of them it still holds. */
  kept: number;
}

export interface DrawOptions {
  /** At most so many per anomaly type; undefined: all. */
  limit?: number;
  seed: number;
  keepInTest?: boolean;
  /** Names of the anomalies instead of a draw, to repeat a run. */
  names?: readonly string[];
  /** 'without': a drawn anomaly is anomalous everywhere. 'needed': some have masks, or it is an error. Default: as stored. */
  masks?: 'without' | 'needed';
}

/**
 * Draws from the data set's labelled anomalies (MVTec AD: those of its test split).
 * @throws FcddError FCDD_BAD_DATA when there are none, a named one is missing, or none would be left to test with
 */
export function drawAnomalies(dataSet: DataSet, options: DrawOptions): DrawnAnomalies {
  const { anomalies, test } = dataSet;
  if (!anomalies || anomalies.records.length === 0) {
    throw new FcddError('FCDD_BAD_DATA', `${dataSet.name} has no labelled anomalies to train on`, {
      hint: 'train on synthetic ones: --supervise malformed-normal --noise confetti',
    });
  }
  const indices = options.names
    ? namedIndices(dataSet.name, anomalies, options.names)
    : drawPerType(anomalies, options.limit, options.seed);
  const drawn = withMasksAs(options.masks, subset(anomalies, indices), dataSet.name);
  const used = new Set(drawn.records.map(({ name }) => name));
  const kept = test?.records.flatMap(({ name }, i) => (used.has(name) ? [] : [i])) ?? [];
  const found = (test?.records.length ?? 0) - kept.length;
  if (!test || options.keepInTest) return { anomalies: drawn, test, removed: 0, kept: found };
  if (found > 0 && !kept.some((i) => test.records[i]!.label === 1)) {
    throw new FcddError(
      'FCDD_BAD_DATA',
      `all ${found} anomalous test pictures of ${dataSet.name} would be trained on`,
      {
        hint: 'train on a few of each type: --oe-limit 1',
      },
    );
  }
  return { anomalies: drawn, test: testSubset(test, kept), removed: found, kept: 0 };
}

/** The test images at `indices`, with their masks. */
export function testSubset(test: TestSplit, indices: readonly number[]): TestSplit {
  const masks = test.masks && indices.map((i) => test.masks![i]!);
  return { ...subset(test, indices), masks, masksMissing: test.masksMissing };
}

/** Labelled anomalies of the test split, for data sets that have none elsewhere. */
export function testAnomalies(test: TestSplit | null): Split | null {
  if (!test) return null;
  const indices = test.records.flatMap(({ label }, i) => (label === 1 ? [i] : []));
  return indices.length > 0 ? subset(test, indices) : null;
}

function withMasksAs(masks: DrawOptions['masks'], drawn: Split, dataSet: string): Split {
  if (masks === 'without') return { ...drawn, images: withoutMasks(drawn.images) };
  if (masks === 'needed' && drawn.images.images.every(({ mask }) => mask === null)) {
    throw new FcddError('FCDD_BAD_DATA', `none of the anomalies of ${dataSet} to train on has a mask`, {
      hint: 'add masks, or train on them as anomalous everywhere: --noise mvtec',
    });
  }
  return drawn;
}

function namedIndices(dataSet: string, { records }: Split, names: readonly string[]): number[] {
  const places = new Map(records.map(({ name }, i) => [name, i]));
  return names.map((name) => {
    const index = places.get(name);
    if (index !== undefined) return index;
    throw new FcddError('FCDD_BAD_DATA', `${name}, which is to be trained on, is no anomaly of ${dataSet}`, {
      hint: 'the data has changed since the configuration was written: leave oeFiles out to draw anew',
    });
  });
}

/** Indices in ascending order; types in order of appearance, all from one stream of draws. */
function drawPerType({ records }: Split, limit: number | undefined, seed: number): number[] {
  const random = seededRandom(seed);
  const types = [...new Set(records.map(({ type }) => type))];
  const drawn = types.flatMap((type) => {
    const indices = records.flatMap((record, i) => (record.type === type ? [i] : []));
    const count = Math.min(limit ?? indices.length, indices.length);
    return drawWithoutReplacement(indices.length, count, random).map((i) => indices[i]!);
  });
  return drawn.sort((a, b) => a - b);
}
