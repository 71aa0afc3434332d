/**
 * Every figure of a ranking in one pass down its thresholds, so that the points need not be kept. Something is called
 * anomalous when its score is ≥ the threshold; equal scores share one point, as in scikit-learn.
 */

/** The threshold at which F1 = 2·TP/(2·TP + FP + FN) is largest. */
export interface BestF1 {
  f1: number;
  /** Anomalous when the score is ≥ this; the lowest of equally good ones. */
  threshold: number;
}

/** What is ranked: known before the scan starts. */
export interface ScanTotals {
  positives: number;
  negatives: number;
  /** Connected defects; 0 when they are not counted. */
  components?: number;
}

export interface ScanFigures {
  /** Area under the ROC curve, trapezoidal. */
  rocAuc: number;
  /** Σ (R_n − R_{n−1})·P_n over the thresholds: scikit-learn's `average_precision_score`. */
  averagePrecision: number;
  bestF1: BestF1;
  /** Null when components are not counted. */
  aupro: number | null;
}

/** AUPRO integrates up to this false-positive rate, and is divided by it (Bergmann et al., CVPR 2019). */
export const auproLimit = 0.3;

export class CurveScan {
  readonly #totals: Required<ScanTotals>;
  #tp = 0;
  #fp = 0;
  /** Σ over components of the covered fraction. */
  #covered = 0;
  #pairs = 0;
  #precision = 0;
  #proArea = 0;
  #best: BestF1 = { f1: Number.NEGATIVE_INFINITY, threshold: 0 };

  constructor({ positives, negatives, components = 0 }: ScanTotals) {
    this.#totals = { positives, negatives, components };
  }

  get tp(): number {
    return this.#tp;
  }

  get fp(): number {
    return this.#fp;
  }

  /**
   * The next lower value, with what has it.
   * @param covered Σ over components of the share of its pixels that have this value
   */
  add(value: number, positives: number, negatives: number, covered = 0): void {
    if (positives === 0 && negatives === 0) return;
    const { positives: P, negatives: N, components } = this.#totals;
    this.#pairs += negatives * (this.#tp + positives / 2);
    if (components > 0) this.#addPro(negatives / N, covered / components);
    this.#tp += positives;
    this.#fp += negatives;
    this.#covered += covered;
    if (positives === 0) return;
    const called = this.#tp + this.#fp;
    this.#precision += positives * (this.#tp / called);
    // A quotient of whole numbers: equal rates compare as equal.
    const f1 = (2 * this.#tp) / (called + P);
    if (f1 >= this.#best.f1) this.#best = { f1, threshold: value };
  }

  /** The trapezoid of one step, cut where the false-positive rate passes the limit. */
  #addPro(stepFpr: number, stepPro: number): void {
    const fpr = this.#fp / this.#totals.negatives;
    const pro = this.#covered / this.#totals.components;
    if (stepFpr === 0 || fpr >= auproLimit) return;
    const share = Math.min(1, (auproLimit - fpr) / stepFpr);
    this.#proArea += share * stepFpr * (pro + (share * stepPro) / 2);
  }

  /** Null when there are no positives or no negatives. */
  figures(): ScanFigures | null {
    const { positives, negatives, components } = this.#totals;
    if (positives === 0 || negatives === 0) return null;
    return {
      rocAuc: this.#pairs / (positives * negatives),
      averagePrecision: this.#precision / positives,
      bestF1: this.#best,
      aupro: components > 0 ? this.#proArea / auproLimit : null,
    };
  }
}
