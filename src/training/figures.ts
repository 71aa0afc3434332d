import type { Mask, TestSplit } from '../data/types.js';
import { PixelRoc } from '../evaluation/pixel-roc.js';
import { type PixelMetrics, pixelMetrics, type SampleMetrics, sampleMetrics } from '../evaluation/summary.js';
import { type Calibration, calibrate } from '../evaluation/threshold.js';
import { mapOf, type Scored } from './scoring.js';
import type { Selected } from './selection.js';
import type { SyntheticFigures } from './synthetic.js';

/** What metrics.json holds: every figure, or null and the reason. */
export interface Metrics {
  dataset: string;
  class: string;
  model: string;
  /** Figures on labelled test images. */
  sample: SampleMetrics;
  pixel: PixelMetrics;
  /** With --select best: the epoch that the model and all figures here are of; `last` has those of the last one. */
  selected?: Selected;
  last?: EpochFigures;
  /** With --keep-oe-in-test: the figures without the test images that were trained on. */
  withoutOe?: { sample: SampleMetrics; pixel: PixelMetrics; removed: number };
  /** Held-out normal images against the same with synthetic anomalies: never mixed up with test figures. */
  synthetic: SyntheticFigures | null;
  /** Of a classifier on the test images; absent for detectors. */
  accuracy?: Accuracy;
  threshold: Calibration | null;
  /** Of the test images at that threshold; null without one of them. */
  verdicts: { falseAlarms: number; normal: number; detected: number; anomalous: number } | null;
  /** Image ROC-AUC of scores that know nothing of the method, where they were computed (demo). */
  baselines: Record<string, number | null> | null;
  /** Test figures of the epochs asked for with --evaluate-at. */
  evaluations: EpochFigures[];
  warnings: string[];
}

export interface Accuracy {
  all: number;
  n: number;
  perClass: Record<string, { accuracy: number; n: number }>;
}

export interface EpochFigures {
  epoch: number;
  /** ROC-AUC. */
  sample: number | null;
  pixel: number | null;
  /** Absent in the records of earlier versions. */
  averagePrecision?: { sample: number | null; pixel: number | null };
  bestF1?: { sample: number | null; pixel: number | null };
  aupro?: number | null;
  perType: Record<string, { sample: number | null; pixel: number | null; aupro?: number | null }>;
}

/** Image and pixel figures of a scored test split; without a split, null figures with the reason. */
export function testFigures(
  test: TestSplit | null,
  missing: string | null,
  scored: Scored | null,
): { sample: SampleMetrics; pixel: PixelMetrics } {
  if (test === null || scored === null) {
    const reason = missing ?? 'there is no labelled test split';
    return { sample: { ...sampleMetrics([], []), reason }, pixel: pixelMetrics(null, reason) };
  }
  const { masks, masksMissing, records } = test;
  return {
    sample: sampleMetrics(records, scored.scores),
    pixel: pixelMetrics(masks && addAll(test, masks, scored), masksMissing),
  };
}

function addAll(test: TestSplit, masks: readonly Mask[], scored: Scored): PixelRoc {
  const roc = new PixelRoc();
  test.records.forEach((record, index) => {
    const type = record.label === 1 ? record.type : null;
    roc.add(mapOf(scored, index), scored.height, scored.width, masks[index]!, type);
  });
  return roc;
}

/** The short form kept per epoch of --evaluate-at. */
export function epochFigures(
  epoch: number,
  figures: { sample: SampleMetrics; pixel: PixelMetrics },
): EpochFigures {
  const { sample, pixel } = figures;
  const perType: EpochFigures['perType'] = {};
  for (const [type, { rocAuc }] of Object.entries(sample.perType)) {
    const pixels = pixel.perType[type];
    perType[type] = { sample: rocAuc, pixel: pixels?.rocAuc ?? null, aupro: pixels?.aupro ?? null };
  }
  return {
    epoch,
    sample: sample.rocAuc,
    pixel: pixel.rocAuc,
    averagePrecision: { sample: sample.averagePrecision, pixel: pixel.averagePrecision },
    bestF1: { sample: sample.bestF1?.f1 ?? null, pixel: pixel.bestF1?.f1 ?? null },
    aupro: pixel.aupro,
    perType,
  };
}

/** The threshold of held-out normal images, null when none were held out. */
export function calibration(held: Scored, falseAlarmRate: number): Calibration | null {
  return held.scores.length === 0 ? null : calibrate(held.scores, { falseAlarmRate });
}

/** How the verdicts at a threshold fare on labelled images. */
export function verdicts(
  test: TestSplit | null,
  scored: Scored | null,
  threshold: number | undefined,
): Metrics['verdicts'] {
  if (test === null || scored === null || threshold === undefined) return null;
  const result = { falseAlarms: 0, normal: 0, detected: 0, anomalous: 0 };
  test.records.forEach(({ label }, index) => {
    const positive = scored.scores[index]! > threshold ? 1 : 0;
    if (label === 0) {
      result.normal++;
      result.falseAlarms += positive;
    } else {
      result.anomalous++;
      result.detected += positive;
    }
  });
  return result;
}
