/**
 * Receiver operating characteristic of scores against binary labels, as scikit-learn defines it: a sample is called
 * anomalous when its score is ≥ the threshold, equal scores share one point of the curve, the area is trapezoidal
 * (= probability that an anomalous sample scores higher than a normal one, ties counting one half).
 */
import { FcddError } from '../errors.js';
import { CurveScan, type ScanFigures } from './curve-scan.js';

/**
 * Points of a ROC curve from (0,0) to (1,1). `thresholds[0]` is Infinity (nothing is called anomalous); JSON writes it
 * as null.
 */
export interface RocCurve {
  fpr: number[];
  tpr: number[];
  thresholds: number[];
}

/** Positives and negatives per distinct value, highest value first. Counts may be any non-negative numbers. */
export interface RankedCounts {
  values: ArrayLike<number>;
  positives: ArrayLike<number>;
  negatives: ArrayLike<number>;
}

/**
 * Area under the ROC curve, equal to scikit-learn's `roc_auc_score`.
 * @param scores finite numbers, higher = more anomalous
 * @param labels 0 (normal) or 1 (anomalous), one per score
 * @returns null when one of the labels is absent
 * @throws FCDD_INVALID_ARGUMENT for different lengths, other labels, NaN or infinite scores
 */
export function rocAuc(scores: ArrayLike<number>, labels: ArrayLike<number>): number | null {
  return areaOfRanked(rank(scores, labels));
}

/**
 * The ROC curve: scikit-learn's `roc_curve` (collinear points dropped), thinned to about `maxPoints` points at equal
 * steps along the curve, ends kept; no point of the true curve is further than 2/(maxPoints−1) away.
 * Null when one of the labels is absent.
 */
export function rocCurve(
  scores: ArrayLike<number>,
  labels: ArrayLike<number>,
  maxPoints = 200,
): RocCurve | null {
  return curveOfRanked(rank(scores, labels), maxPoints);
}

/**
 * ROC-AUC, average precision and best F1 of scores, equal to scikit-learn's; null when one of the labels is absent.
 * @throws as rocAuc
 */
export function rankingFigures(scores: ArrayLike<number>, labels: ArrayLike<number>): ScanFigures | null {
  const { values, positives, negatives } = rank(scores, labels);
  const sum = (counts: ArrayLike<number>): number => Array.from(counts).reduce((total, n) => total + n, 0);
  const scan = new CurveScan({ positives: sum(positives), negatives: sum(negatives) });
  for (let i = 0; i < values.length; i++) scan.add(values[i]!, positives[i]!, negatives[i]!);
  return scan.figures();
}

/** Area under the weighted ROC curve; null when there are no positives or no negatives. */
export function areaOfRanked({ positives, negatives }: RankedCounts): number | null {
  let above = 0;
  let pairs = 0;
  let totalNegatives = 0;
  for (let i = 0; i < positives.length; i++) {
    pairs += negatives[i]! * (above + positives[i]! / 2);
    above += positives[i]!;
    totalNegatives += negatives[i]!;
  }
  return above > 0 && totalNegatives > 0 ? pairs / (above * totalNegatives) : null;
}

/** The weighted ROC curve; null when there are no positives or no negatives. */
export function curveOfRanked(ranked: RankedCounts, maxPoints = 200): RocCurve | null {
  const { values, positives, negatives } = ranked;
  const points = new CurvePoints(1, 1, 0);
  let tp = 0;
  let fp = 0;
  for (let i = 0; i < positives.length; i++) {
    if (positives[i]! + negatives[i]! === 0) continue;
    tp += positives[i]!;
    fp += negatives[i]!;
    points.add(values[i]!, tp, fp);
  }
  return tp === 0 || fp === 0 ? null : points.curve(maxPoints);
}

/**
 * Collects the points of a curve, first those nearest to (0,0). Steps shorter than `least` (of fpr + tpr) are left out,
 * the last point never is, so that a curve over millions of values costs no more than 2/least points.
 */
export class CurvePoints {
  readonly #tp: number[] = [0];
  readonly #fp: number[] = [0];
  readonly #thresholds: number[] = [Number.POSITIVE_INFINITY];
  #next = 0;
  #pending: [number, number, number] | null = null;

  constructor(
    private readonly positives: number,
    private readonly negatives: number,
    private readonly least = 2 ** -14,
  ) {}

  /** The point at a threshold: what is called anomalous there. */
  add(threshold: number, tp: number, fp: number): void {
    const way = tp / this.positives + fp / this.negatives;
    this.#pending = [threshold, tp, fp];
    if (way < this.#next) return;
    this.#next = way + this.least;
    this.#keep();
  }

  #keep(): void {
    if (this.#pending === null) return;
    const [threshold, tp, fp] = this.#pending;
    this.#pending = null;
    this.#thresholds.push(threshold);
    this.#tp.push(tp);
    this.#fp.push(fp);
  }

  curve(maxPoints: number): RocCurve {
    this.#keep();
    const tp = this.#tp[this.#tp.length - 1]!;
    const fp = this.#fp[this.#fp.length - 1]!;
    const curve = {
      fpr: this.#fp.map((n) => n / fp),
      tpr: this.#tp.map((n) => n / tp),
      thresholds: this.#thresholds,
    };
    return thin(dropCollinear(curve), maxPoints);
  }
}

/** Keeps the points where the curve turns, and the ends. */
function dropCollinear({ fpr, tpr, thresholds }: RocCurve): RocCurve {
  const last = fpr.length - 1;
  return pick({ fpr, tpr, thresholds }, (i) => {
    if (i === 0 || i === last) return true;
    const dx = fpr[i]! - fpr[i - 1]!;
    const dy = tpr[i]! - tpr[i - 1]!;
    const ex = fpr[i + 1]! - fpr[i]!;
    const ey = tpr[i + 1]! - tpr[i]!;
    // Axis-parallel runs only, as these are exact; others are rare and harmless.
    return !((dx === 0 && ex === 0) || (dy === 0 && ey === 0));
  });
}

/** Both rates only grow, so fpr + tpr measures the way along the curve: keep a point per equal step of it. */
function thin(curve: RocCurve, maxPoints: number): RocCurve {
  const { fpr, tpr } = curve;
  const last = fpr.length - 1;
  if (last < maxPoints) return curve;
  const step = 2 / (maxPoints - 1);
  let kept = 0;
  return pick(curve, (i) => {
    if (i !== last && fpr[i]! + tpr[i]! < kept * step) return false;
    kept = Math.floor((fpr[i]! + tpr[i]!) / step) + 1;
    return true;
  });
}

function pick({ fpr, tpr, thresholds }: RocCurve, keep: (i: number) => boolean): RocCurve {
  const at = fpr.map((_, i) => i).filter(keep);
  return {
    fpr: at.map((i) => fpr[i]!),
    tpr: at.map((i) => tpr[i]!),
    thresholds: at.map((i) => thresholds[i]!),
  };
}

/** Groups equal scores, highest first. */
function rank(scores: ArrayLike<number>, labels: ArrayLike<number>): RankedCounts {
  checkSamples(scores, labels);
  const order = Uint32Array.from({ length: scores.length }, (_, i) => i);
  order.sort((a, b) => scores[b]! - scores[a]!);
  const values: number[] = [];
  const positives: number[] = [];
  const negatives: number[] = [];
  for (const i of order) {
    const score = scores[i]!;
    if (values.length === 0 || values[values.length - 1] !== score) {
      values.push(score);
      positives.push(0);
      negatives.push(0);
    }
    const counts = labels[i] === 1 ? positives : negatives;
    counts[values.length - 1]!++;
  }
  return { values, positives, negatives };
}

/** Throws unless there is one finite score and one label 0|1 per sample. */
export function checkSamples(scores: ArrayLike<number>, labels: ArrayLike<number>): void {
  if (scores.length !== labels.length) {
    throw new FcddError(
      'FCDD_INVALID_ARGUMENT',
      `expected one label per score, received ${labels.length} labels for ${scores.length} scores`,
    );
  }
  for (let i = 0; i < scores.length; i++) {
    if (!Number.isFinite(scores[i])) {
      throw new FcddError(
        'FCDD_INVALID_ARGUMENT',
        `expected finite scores, received ${scores[i]} for sample ${i}`,
        { hint: 'A network that has diverged gives such scores: train again with a lower learning rate.' },
      );
    }
    if (labels[i] !== 0 && labels[i] !== 1) {
      throw new FcddError(
        'FCDD_INVALID_ARGUMENT',
        `expected labels 0 or 1, received ${labels[i]} for sample ${i}`,
      );
    }
  }
}
