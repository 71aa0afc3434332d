/** The figures of a test set that metrics.json reports, with the reason wherever one cannot be computed. */
import type { ImageRecord } from '../data/types.js';
import { FcddError } from '../errors.js';
import type { BestF1 } from './curve-scan.js';
import type { PixelRoc } from './pixel-roc.js';
import { type RocCurve, rankingFigures, rocCurve } from './roc.js';

/** Figures of a ranking; all null where one of the labels is absent. */
export interface RankingFigures {
  rocAuc: number | null;
  averagePrecision: number | null;
  /** Chosen with the test labels: how well a threshold could do, not one to use. */
  bestF1: BestF1 | null;
}

export interface TypeFigure extends RankingFigures {
  /** Anomalous images of the type. */
  n: number;
}

export interface PixelTypeFigure extends TypeFigure {
  aupro: number | null;
}

export interface Figures extends RankingFigures {
  /** Why the figures are null. */
  reason: string | null;
  curve: RocCurve | null;
}

export interface SampleMetrics extends Figures {
  perType: Record<string, TypeFigure>;
  normal: number;
  anomalous: number;
}

export interface PixelMetrics extends Figures {
  /** Area under the per-region overlap up to 30 % false positives: every defect counts alike, whatever its size. */
  aupro: number | null;
  perType: Record<string, PixelTypeFigure>;
  pixels: number;
  anomalousPixels: number;
  /** Connected defects in the masks. */
  components: number;
}

const none: RankingFigures = { rocAuc: null, averagePrecision: null, bestF1: null };

/**
 * Image figures, in all and per anomaly type (that type's images against all normal ones).
 * @param scores one per record, higher = more anomalous
 */
export function sampleMetrics(records: readonly ImageRecord[], scores: ArrayLike<number>): SampleMetrics {
  if (records.length !== scores.length) {
    throw new FcddError(
      'FCDD_INVALID_ARGUMENT',
      `expected one score per image, received ${scores.length} scores for ${records.length} images`,
    );
  }
  const labels = records.map((r) => r.label);
  const anomalous = labels.filter((label) => label === 1).length;
  const normal = labels.length - anomalous;
  return {
    ...rankingOf(scores, labels),
    reason: missingLabel(normal, anomalous),
    curve: rocCurve(scores, labels),
    perType: perType(records, scores),
    normal,
    anomalous,
  };
}

/** Pixel figures; `missing` says why there are no masks, if so. */
export function pixelMetrics(roc: PixelRoc | null, missing: string | null = null): PixelMetrics {
  if (roc === null) {
    const counts = { pixels: 0, anomalousPixels: 0, components: 0 };
    return {
      ...none,
      aupro: null,
      curve: null,
      perType: {},
      ...counts,
      reason: missing ?? 'no masks were given',
    };
  }
  const { perType, images, ...figures } = roc.result();
  return {
    ...figures,
    reason: images === 0 ? 'no test images' : missingPixels(figures.pixels, figures.anomalousPixels),
    perType: Object.fromEntries(
      Object.entries(perType).map(([type, { images: n, ...values }]) => [type, { n, ...values }]),
    ),
  };
}

function rankingOf(scores: ArrayLike<number>, labels: ArrayLike<number>): RankingFigures {
  const figures = rankingFigures(scores, labels);
  if (figures === null) return none;
  const { rocAuc, averagePrecision, bestF1 } = figures;
  return { rocAuc, averagePrecision, bestF1 };
}

function perType(records: readonly ImageRecord[], scores: ArrayLike<number>): Record<string, TypeFigure> {
  const types = [...new Set(records.filter((r) => r.label === 1).map((r) => r.type))].sort();
  return Object.fromEntries(
    types.map((type) => {
      const at = records.map((_, i) => i).filter((i) => records[i]!.label === 0 || records[i]!.type === type);
      const labels = at.map((i) => records[i]!.label);
      const ranking = rankingOf(
        at.map((i) => scores[i]!),
        labels,
      );
      return [type, { n: labels.filter((label) => label === 1).length, ...ranking }];
    }),
  );
}

function missingLabel(normal: number, anomalous: number): string | null {
  if (normal + anomalous === 0) return 'no test images';
  if (anomalous === 0) return 'no anomalous test images';
  return normal === 0 ? 'no normal test images' : null;
}

function missingPixels(pixels: number, anomalous: number): string | null {
  if (anomalous === 0) return 'no anomalous pixels in the masks';
  return anomalous === pixels ? 'no normal pixels in the masks' : null;
}
