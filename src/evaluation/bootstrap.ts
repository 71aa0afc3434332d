/**
 * Percentile bootstrap intervals of the ROC-AUC, by group (cluster bootstrap): images of one object, or near-duplicates,
 * are drawn together, because drawing them one by one would pretend to more evidence than there is.
 *
 * Every AUC is a ratio of pair counts, and the pairs between two groups do not change when groups are drawn again. So
 * they are counted once (`PairCounts`) and a replicate only weights them: exact for pixels as well as for images.
 */
import { FcddError } from '../errors.js';
import { CurveScan, type ScanFigures } from './curve-scan.js';
import { seededRandom } from './random.js';
import { checkSamples } from './roc.js';

/**
 * `wins[p·G + n]`: pairs (positive of group p, negative of group n) in which the positive scores higher, ties counting
 * one half. G groups.
 */
export interface PairCounts {
  wins: Float64Array;
  positives: Float64Array;
  negatives: Float64Array;
}

export interface BootstrapOptions {
  /** Default 2000. */
  replicates?: number;
  /** Coverage, default 0.95. */
  level?: number;
  /** Default 0. */
  seed?: number;
}

export interface Interval {
  low: number;
  high: number;
  level: number;
  groups: number;
  replicates: number;
  /** Draws that held one label only, drawn again: when they are many, the interval means little. */
  redrawn: number;
}

/**
 * Interval of the image ROC-AUC.
 * @param groups name of the group of each sample; without it every sample is its own group
 * @returns null when one of the labels is absent or there are fewer than two groups
 */
export function bootstrapRocAuc(
  scores: ArrayLike<number>,
  labels: ArrayLike<number>,
  groups: readonly string[] = Array.from({ length: scores.length }, (_, i) => String(i)),
  options: BootstrapOptions = {},
): Interval | null {
  checkSamples(scores, labels);
  checkGroups(groups, scores.length);
  return bootstrapPairs(countPairs(scores, labels, groupIndices(groups)), options);
}

/** Numbers the groups in order of appearance. */
export function groupIndices(groups: readonly string[]): { of: Uint32Array; count: number } {
  const index = new Map<string, number>();
  const of = Uint32Array.from(groups, (name) => {
    if (!index.has(name)) index.set(name, index.size);
    return index.get(name)!;
  });
  return { of, count: index.size };
}

/** Pairs between groups of images; `groups` from groupIndices. */
export function countPairs(
  scores: ArrayLike<number>,
  labels: ArrayLike<number>,
  groups: { of: Uint32Array; count: number },
): PairCounts {
  const { of, count } = groups;
  const pairs = emptyPairs(count);
  const order = Array.from({ length: scores.length }, (_, i) => i).sort((a, b) => scores[a]! - scores[b]!);
  const below = new Float64Array(count);
  for (let from = 0, to = 0; from < order.length; from = to) {
    const tied = new Float64Array(count);
    while (to < order.length && scores[order[to]!] === scores[order[from]!]) {
      const i = order[to++]!;
      if (labels[i] === 0) tied[of[i]!]!++;
    }
    for (let k = from; k < to; k++) {
      const i = order[k]!;
      if (labels[i] === 1) addWins(pairs, of[i]!, 1, below, tied);
    }
    for (let g = 0; g < count; g++) below[g]! += tied[g]!;
  }
  pairs.negatives.set(below);
  return pairs;
}

export function emptyPairs(groups: number): PairCounts {
  return {
    wins: new Float64Array(groups * groups),
    positives: new Float64Array(groups),
    negatives: new Float64Array(groups),
  };
}

/** Counts `weight` positives of `group` against the negatives below them and tied with them, per group. */
function addWins(
  pairs: PairCounts,
  group: number,
  weight: number,
  below: Float64Array,
  tied: Float64Array,
): void {
  const row = group * below.length;
  for (let g = 0; g < below.length; g++) pairs.wins[row + g]! += weight * (below[g]! + tied[g]! / 2);
  pairs.positives[group]! += weight;
}

/** Pair counts of larger groups: `target[g]` names the group that g becomes part of, null leaves it out. */
export function mergePairs(pairs: PairCounts, target: readonly (string | null)[]): PairCounts {
  const size = target.length;
  const kept = target.map((_, g) => g).filter((g) => target[g] !== null);
  const { of, count } = groupIndices(kept.map((g) => target[g]!));
  const merged = emptyPairs(count);
  kept.forEach((p, i) => {
    merged.positives[of[i]!]! += pairs.positives[p]!;
    merged.negatives[of[i]!]! += pairs.negatives[p]!;
    kept.forEach((n, k) => {
      merged.wins[of[i]! * count + of[k]!]! += pairs.wins[p * size + n]!;
    });
  });
  return merged;
}

/** Interval from pair counts. */
export function bootstrapPairs(pairs: PairCounts, options: BootstrapOptions = {}): Interval | null {
  return bootstrapWeights(pairs.positives.length, (weights) => areaOfPairs(pairs, weights), options);
}

/**
 * Intervals of average precision and best F1 of images, drawn by group as for the ROC-AUC: images are ranked once, and a
 * replicate counts each as often as its group was drawn.
 * @param groups name of the group of each sample; without it every sample is its own group
 * @returns null when one of the labels is absent or there are fewer than two groups
 */
export function bootstrapRanking(
  scores: ArrayLike<number>,
  labels: ArrayLike<number>,
  groups: readonly string[] = Array.from({ length: scores.length }, (_, i) => String(i)),
  options: BootstrapOptions = {},
): { averagePrecision: Interval; bestF1: Interval } | null {
  checkSamples(scores, labels);
  checkGroups(groups, scores.length);
  const { of, count } = groupIndices(groups);
  const order = Array.from({ length: scores.length }, (_, i) => i).sort((a, b) => scores[b]! - scores[a]!);
  const figure = (key: 'averagePrecision' | 'bestF1') => (weights: Float64Array) => {
    const figures = weightedFigures(order, scores, labels, (i) => weights[of[i]!]!);
    return key === 'bestF1' ? (figures?.bestF1.f1 ?? null) : (figures?.averagePrecision ?? null);
  };
  const averagePrecision = bootstrapWeights(count, figure('averagePrecision'), options);
  const bestF1 = bootstrapWeights(count, figure('bestF1'), options);
  return averagePrecision && bestF1 && { averagePrecision, bestF1 };
}

function weightedFigures(
  order: readonly number[],
  scores: ArrayLike<number>,
  labels: ArrayLike<number>,
  weight: (i: number) => number,
): ScanFigures | null {
  const totals = { positives: 0, negatives: 0 };
  for (const i of order) totals[labels[i] === 1 ? 'positives' : 'negatives'] += weight(i);
  const scan = new CurveScan(totals);
  for (let from = 0, to = 0; from < order.length; from = to) {
    let positives = 0;
    let negatives = 0;
    for (; to < order.length && scores[order[to]!] === scores[order[from]!]; to++) {
      if (labels[order[to]!] === 1) positives += weight(order[to]!);
      else negatives += weight(order[to]!);
    }
    scan.add(scores[order[from]!]!, positives, negatives);
  }
  return scan.figures();
}

/** Percentile interval of a figure of drawn groups; null when it cannot be computed with every group counted once. */
function bootstrapWeights(
  groups: number,
  figureOf: (weights: Float64Array) => number | null,
  options: BootstrapOptions,
): Interval | null {
  const { replicates = 2000, level = 0.95, seed = 0 } = options;
  checkOptions(replicates, level);
  if (groups < 2 || figureOf(new Float64Array(groups).fill(1)) === null) return null;
  const random = seededRandom(seed);
  const weights = new Float64Array(groups);
  const figures = new Float64Array(replicates);
  let redrawn = 0;
  for (let done = 0; done < replicates; ) {
    weights.fill(0);
    for (let k = 0; k < groups; k++) weights[random.below(groups)]!++;
    const figure = figureOf(weights);
    if (figure === null) redrawn++;
    else figures[done++] = figure;
  }
  figures.sort();
  const tail = (1 - level) / 2;
  return {
    low: interpolatedQuantile(figures, tail),
    high: interpolatedQuantile(figures, 1 - tail),
    level,
    groups,
    replicates,
    redrawn,
  };
}

/** ROC-AUC when group g counts weights[g] times; null when one of the labels is absent. */
export function areaOfPairs(
  { wins, positives, negatives }: PairCounts,
  weights: Float64Array,
): number | null {
  const groups = weights.length;
  let won = 0;
  let totalPositives = 0;
  let totalNegatives = 0;
  for (let p = 0; p < groups; p++) {
    const weight = weights[p]!;
    if (weight === 0) continue;
    totalPositives += weight * positives[p]!;
    totalNegatives += weight * negatives[p]!;
    if (positives[p] === 0) continue;
    let row = 0;
    for (let n = 0; n < groups; n++) row += weights[n]! * wins[p * groups + n]!;
    won += weight * row;
  }
  return totalPositives > 0 && totalNegatives > 0 ? won / (totalPositives * totalNegatives) : null;
}

/** Quantile of ascending values, linear between order statistics (as numpy's default). */
export function interpolatedQuantile(sorted: ArrayLike<number>, q: number): number {
  const at = q * (sorted.length - 1);
  const low = Math.floor(at);
  const high = Math.min(low + 1, sorted.length - 1);
  return sorted[low]! + (at - low) * (sorted[high]! - sorted[low]!);
}

function checkGroups(groups: readonly string[], scores: number): void {
  if (groups.length === scores) return;
  throw new FcddError(
    'FCDD_INVALID_ARGUMENT',
    `expected one group per score, received ${groups.length} groups for ${scores} scores`,
  );
}

function checkOptions(replicates: number, level: number): void {
  if (!Number.isInteger(replicates) || replicates < 1) {
    throw new FcddError('FCDD_INVALID_ARGUMENT', `expected replicates ≥ 1, received ${replicates}`);
  }
  if (!(level > 0 && level < 1)) {
    throw new FcddError('FCDD_INVALID_ARGUMENT', `expected a level between 0 and 1, received ${level}`);
  }
}
