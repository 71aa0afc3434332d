/** The figures of a test set that metrics.json reports, with the reason wherever one cannot be computed. */
import type { ImageRecord } from '../data/types.js';
import { FcddError } from '../errors.js';
import type { PixelRoc } from './pixel-roc.js';
import { type RocCurve, rocAuc, rocCurve } from './roc.js';

export interface TypeFigure {
  /** Anomalous images of the type. */
  n: number;
  /** Of these images against all normal ones; null without normal ones. */
  rocAuc: number | null;
}

export interface Figures {
  rocAuc: number | null;
  /** Why rocAuc is null. */
  reason: string | null;
  curve: RocCurve | null;
  perType: Record<string, TypeFigure>;
}

export interface SampleMetrics extends Figures {
  normal: number;
  anomalous: number;
}

export interface PixelMetrics extends Figures {
  pixels: number;
  anomalousPixels: number;
}

/**
 * Image ROC-AUC, in all and per anomaly type (that type's images against all normal ones).
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
    rocAuc: rocAuc(scores, labels),
    reason: missingLabel(normal, anomalous),
    curve: rocCurve(scores, labels),
    perType: perType(records, scores),
    normal,
    anomalous,
  };
}

/** Pixel ROC-AUC; `missing` says why there are no masks, if so. */
export function pixelMetrics(roc: PixelRoc | null, missing: string | null = null): PixelMetrics {
  const none = { rocAuc: null, curve: null, perType: {}, pixels: 0, anomalousPixels: 0 };
  if (roc === null) return { ...none, reason: missing ?? 'no masks were given' };
  const { rocAuc, curve, perType, images, pixels, anomalousPixels } = roc.result();
  return {
    rocAuc,
    reason: images === 0 ? 'no test images' : missingPixels(pixels, anomalousPixels),
    curve,
    perType: Object.fromEntries(
      Object.entries(perType).map(([type, f]) => [type, { n: f.images, rocAuc: f.rocAuc }]),
    ),
    pixels,
    anomalousPixels,
  };
}

function perType(records: readonly ImageRecord[], scores: ArrayLike<number>): Record<string, TypeFigure> {
  const types = [...new Set(records.filter((r) => r.label === 1).map((r) => r.type))].sort();
  return Object.fromEntries(
    types.map((type) => {
      const at = records.map((_, i) => i).filter((i) => records[i]!.label === 0 || records[i]!.type === type);
      const labels = at.map((i) => records[i]!.label);
      return [
        type,
        {
          n: labels.filter((label) => label === 1).length,
          rocAuc: rocAuc(
            at.map((i) => scores[i]!),
            labels,
          ),
        },
      ];
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
