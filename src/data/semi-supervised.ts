/**
 * Labelled anomalies to train on: drawn once per run, so many of each type, and taken out of the test split where they
 * come from it (MVTec AD has none elsewhere). The reference code leaves them in, which `keepInTest` reproduces.
 */
import { FcddError } from '../errors.js';
import { drawWithoutReplacement, seededRandom } from '../evaluation/random.js';
import { subset } from './store.js';
import type { DataSet, Split, TestSplit } from './types.js';

export interface DrawnAnomalies {
  anomalies: Split;
  /** The test split without those that are trained on. */
  test: TestSplit | null;
  /** How many were taken out of it. */
  removed: number;
}

/**
 * @param options.limit at most so many per anomaly type; undefined: all
 * @throws FcddError FCDD_BAD_DATA when there are none, or when none would be left to test with
 */
export function drawAnomalies(
  dataSet: DataSet,
  options: { limit?: number; seed: number; keepInTest?: boolean },
): DrawnAnomalies {
  const { anomalies, test } = dataSet;
  if (!anomalies || anomalies.records.length === 0) {
    throw new FcddError('FCDD_BAD_DATA', `${dataSet.name} has no labelled anomalies to train on`, {
      hint: 'train on synthetic ones: --supervise malformed-normal --noise confetti',
    });
  }
  const drawn = subset(anomalies, drawPerType(anomalies, options.limit, options.seed));
  if (!test || options.keepInTest) return { anomalies: drawn, test, removed: 0 };
  const used = new Set(drawn.records.map(({ name }) => name));
  const kept = test.records.flatMap(({ name }, i) => (used.has(name) ? [] : [i]));
  const removed = test.records.length - kept.length;
  if (removed > 0 && !kept.some((i) => test.records[i]!.label === 1)) {
    throw new FcddError(
      'FCDD_BAD_DATA',
      `all ${removed} anomalous test pictures of ${dataSet.name} would be trained on`,
      {
        hint: 'train on a few of each type: --oe-limit 1',
      },
    );
  }
  const masks = test.masks && kept.map((i) => test.masks![i]!);
  return {
    anomalies: drawn,
    test: { ...subset(test, kept), masks, masksMissing: test.masksMissing },
    removed,
  };
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
