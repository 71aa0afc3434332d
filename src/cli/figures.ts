import type { PixelMetrics, RankingFigures, SampleMetrics } from '../evaluation/summary.js';
import { figure } from './output.js';

const f1 = ({ bestF1 }: RankingFigures): number | null => bestF1?.f1 ?? null;

/** The test figures as lines for people: all images, then each anomaly type against the normal ones. */
export function figureLines(sample: SampleMetrics, pixel: PixelMetrics): string[] {
  const reason = (text: string | null): string => (text ? ` (${text})` : '');
  const lines = [
    `image ROC-AUC ${figure(sample.rocAuc)}, average precision ${figure(sample.averagePrecision)}, ` +
      `best F1 ${figure(f1(sample))}${reason(sample.reason)}`,
  ];
  for (const [type, { rocAuc, n }] of Object.entries(sample.perType)) {
    const { rocAuc: pixels, aupro } = pixel.perType[type] ?? {};
    lines.push(
      `  ${type.padEnd(16)} ${figure(rocAuc)}  pixel ${figure(pixels)}  AUPRO ${figure(aupro)}  (${n} images)`,
    );
  }
  lines.push(
    `pixel ROC-AUC ${figure(pixel.rocAuc)}, AUPRO ${figure(pixel.aupro)}, average precision ` +
      `${figure(pixel.averagePrecision)}, best F1 ${figure(f1(pixel))}${reason(pixel.reason)}`,
  );
  return lines;
}
