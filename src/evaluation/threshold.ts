/**
 * A threshold from normal images alone, by split conformal prediction: hold some normal training images out, score
 * them with the trained network, and take an order statistic of these scores. If new normal images are like the
 * held-out ones (exchangeable), a new one is called anomalous with at most the chosen probability; nothing is assumed
 * about the distribution of the scores, and no anomaly is needed. Scores of images that were trained on are too low
 * for this.
 */
import { FcddError } from '../errors.js';
import { drawWithoutReplacement, seededRandom } from './random.js';

export interface Calibration {
  /** An image is called anomalous when its score is above this; see isAnomalous. */
  threshold: number;
  /** How the threshold came about, for people. */
  rule: string;
  /** Held-out normal images. */
  n: number;
  /** What was asked for. */
  falseAlarmRate: number;
  /** What n images can promise: the expected rate of false alarms, averaged over draws of the held-out images. */
  guaranteedRate: number;
  /** With 90 % confidence the rate of false alarms at this very threshold lies in here. */
  likely: { low: number; high: number };
  /** What to know before relying on it. */
  note: string;
}

export const defaultFalseAlarmRate = 0.05;

/**
 * The k-th smallest of n held-out scores, k = ⌈(n+1)(1−rate)⌉; the largest when n is too small for the rate.
 * @param scores of held-out normal images, finite
 * @throws FCDD_INVALID_ARGUMENT when there are no scores, one is not finite or the rate is not in (0, 1)
 */
export function calibrate(scores: ArrayLike<number>, options: { falseAlarmRate?: number } = {}): Calibration {
  const { falseAlarmRate = defaultFalseAlarmRate } = options;
  checkCalibration(scores, falseAlarmRate);
  const sorted = Float64Array.from(scores).sort();
  const n = sorted.length;
  // The small term keeps (n+1)(1−rate) from being rounded up where it is a whole number.
  const wanted = Math.max(1, Math.ceil((n + 1) * (1 - falseAlarmRate) - 1e-9));
  const k = Math.min(wanted, n);
  const guaranteedRate = (n + 1 - k) / (n + 1);
  return {
    threshold: sorted[k - 1]!,
    rule: `${ordinal(k)} smallest of ${n} held-out normal scores (split conformal, rate ${percent(falseAlarmRate)})`,
    n,
    falseAlarmRate,
    guaranteedRate,
    likely: likelyRate(n, k),
    note: calibrationNote(n, falseAlarmRate, wanted > n),
  };
}

/** The verdict that goes with a calibrated threshold. */
export function isAnomalous(score: number, threshold: number): boolean {
  return score > threshold;
}

/**
 * Which of n normal training images to hold out for calibration: a share of them, at least one and never all.
 * Ascending indices; the same for the same n and seed. None for a share of 0 or a single image.
 * @param batchSize when given, the share is shifted so that no epoch ends in a tiny batch, see heldOutCount
 */
export function heldOut(n: number, seed: number, fraction = 0.1, batchSize?: number): number[] {
  if (!(fraction >= 0 && fraction < 1)) {
    throw new FcddError(
      'FCDD_INVALID_ARGUMENT',
      `expected a fraction of at least 0 and below 1, received ${fraction}`,
    );
  }
  if (n < 2 || fraction === 0) return [];
  return drawWithoutReplacement(n, heldOutCount(n, fraction, batchSize), seededRandom(seed));
}

/**
 * How many of n images a share is. With a batch size, shifted where what is left would end each epoch in a batch of
 * less than a quarter: batch normalisation then keeps the running statistics of a handful of images, which costs
 * ROC-AUC at random (benchmarks/independent-draws-held-out.json). Fewer are held out so that the last batch is a
 * quarter, or where that would leave none, so many that every batch is full; the share stands where neither is possible.
 */
function heldOutCount(n: number, fraction: number, batchSize: number | undefined): number {
  const count = Math.min(n - 1, Math.max(1, Math.round(n * fraction)));
  if (batchSize === undefined || n - count <= batchSize) return count;
  const last = (n - count) % batchSize;
  const quarter = Math.ceil(batchSize / 4);
  if (last === 0 || last >= quarter) return count;
  if (count - (quarter - last) >= 1) return count - (quarter - last);
  return (count + last) / n <= 0.5 ? count + last : count;
}

/** At most `limit` sorted values at equal steps of rank, ends included: what a model file stores of the scores. */
export function sortedSummary(scores: ArrayLike<number>, limit = 1000): number[] {
  const sorted = (scores instanceof Float32Array ? scores.slice() : Float64Array.from(scores)).sort();
  if (sorted.length <= limit) return Array.from(sorted);
  return Array.from(
    { length: limit },
    (_, i) => sorted[Math.round((i * (sorted.length - 1)) / (limit - 1))]!,
  );
}

function calibrationNote(n: number, rate: number, tooFew: boolean): string {
  if (!tooFew) {
    return 'Holds for normal images like the held-out ones: calibrate again when camera, light or product change.';
  }
  const needed = Math.ceil(1 / rate - 1 - 1e-9);
  return (
    `${n} held-out image${n === 1 ? ' is' : 's are'} too few for ${percent(rate)} (needs ${needed}): the threshold is ` +
    `their largest score, which promises ${percent(1 / (n + 1))} on average.`
  );
}

/**
 * The rate of false alarms at the k-th of n order statistics is distributed as Beta(n+1−k, k): its 5 % and 95 %
 * quantiles, by bisection of P(rate ≤ x) = P(at least n+1−k of n draws fall below x).
 */
function likelyRate(n: number, k: number): { low: number; high: number } {
  return { low: betaQuantile(n, n + 1 - k, 0.05), high: betaQuantile(n, n + 1 - k, 0.95) };
}

function betaQuantile(n: number, atLeast: number, probability: number): number {
  let low = 0;
  let high = 1;
  for (let i = 0; i < 60; i++) {
    const middle = (low + high) / 2;
    if (binomialTail(n, atLeast, middle) < probability) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}

/** P(X ≥ atLeast) for X ~ Binomial(n, p), summed in logarithms. */
function binomialTail(n: number, atLeast: number, p: number): number {
  if (p <= 0) return 0;
  if (p >= 1) return 1;
  const odds = Math.log(p) - Math.log1p(-p);
  let term = n * Math.log1p(-p);
  let below = 0;
  for (let i = 0; i < atLeast; i++) {
    below += Math.exp(term);
    term += Math.log((n - i) / (i + 1)) + odds;
  }
  return Math.max(0, 1 - below);
}

function checkCalibration(scores: ArrayLike<number>, rate: number): void {
  if (!(rate > 0 && rate < 1)) {
    throw new FcddError(
      'FCDD_INVALID_ARGUMENT',
      `expected a false-alarm rate between 0 and 1, received ${rate}`,
    );
  }
  if (scores.length === 0) {
    throw new FcddError('FCDD_INVALID_ARGUMENT', 'expected scores of held-out normal images, received none', {
      hint: 'Hold normal images out of the training, or give a threshold yourself.',
    });
  }
  for (let i = 0; i < scores.length; i++) {
    if (!Number.isFinite(scores[i])) {
      throw new FcddError('FCDD_INVALID_ARGUMENT', `expected finite scores, received ${scores[i]}`, {
        hint: 'A network that has diverged gives such scores: train again with a lower learning rate.',
      });
    }
  }
}

function percent(rate: number): string {
  return `${Number((100 * rate).toPrecision(3))} %`;
}

function ordinal(k: number): string {
  const suffix = k % 100 >= 11 && k % 100 <= 13 ? 'th' : (['th', 'st', 'nd', 'rd'][k % 10] ?? 'th');
  return `${k}${suffix}`;
}
