import { describe, expect, it } from 'vitest';
import type { ImageRecord } from '../../src/data/types.js';
import { PixelRoc } from '../../src/evaluation/pixel-roc.js';
import { pixelMetrics, sampleMetrics } from '../../src/evaluation/summary.js';

function record(label: 0 | 1, type: string): ImageRecord {
  return { name: `${type}-${label}`, label, type };
}

describe('sampleMetrics', () => {
  it('compares each anomaly type with all normal images', () => {
    const records = [
      record(0, 'good'),
      record(0, 'good'),
      record(1, 'crack'),
      record(1, '__proto__'),
      record(1, 'crack'),
    ];
    const metrics = sampleMetrics(records, [1, 3, 4, 2, 5]);
    expect(metrics).toMatchObject({ rocAuc: 5 / 6, reason: null, normal: 2, anomalous: 3 });
    expect(Object.entries(metrics.perType)).toEqual([
      ['__proto__', { n: 1, rocAuc: 0.5, averagePrecision: 1 / 2, bestF1: { f1: 2 / 3, threshold: 2 } }],
      ['crack', { n: 2, rocAuc: 1, averagePrecision: 1, bestF1: { f1: 1, threshold: 4 } }],
    ]);
    expect(JSON.parse(JSON.stringify(metrics)).perType.crack.n).toBe(2);
  });

  it('gives the reason for a figure that cannot be', () => {
    expect(sampleMetrics([], [])).toMatchObject({
      rocAuc: null,
      reason: 'no test images',
      curve: null,
      perType: {},
    });
    expect(sampleMetrics([record(0, 'good')], [1]).reason).toBe('no anomalous test images');
    const anomalies = sampleMetrics([record(1, 'crack')], [1]);
    expect(anomalies.reason).toBe('no normal test images');
    expect(anomalies.perType).toEqual({
      crack: { n: 1, rocAuc: null, averagePrecision: null, bestF1: null },
    });
    expect(() => sampleMetrics([record(0, 'good')], [])).toThrow(/0 scores for 1 images/);
  });
});

describe('pixelMetrics', () => {
  it('passes on why there are no masks', () => {
    expect(pixelMetrics(null, 'two masks are missing')).toMatchObject({
      rocAuc: null,
      averagePrecision: null,
      bestF1: null,
      aupro: null,
      reason: 'two masks are missing',
    });
    expect(pixelMetrics(new PixelRoc()).reason).toBe('no test images');
  });

  it('gives figures per type, and the reason where masks are all of one kind', () => {
    const roc = new PixelRoc();
    const mask = (...data: number[]) => ({ height: 1, width: data.length, data: Uint8Array.from(data) });
    roc.add(Float32Array.of(1, 2), 1, 2, mask(0, 0), null);
    expect(pixelMetrics(roc).reason).toBe('no anomalous pixels in the masks');
    roc.add(Float32Array.of(3, 1), 1, 2, mask(1, 0), 'crack');
    expect(pixelMetrics(roc)).toMatchObject({
      rocAuc: 1,
      reason: null,
      averagePrecision: 1,
      bestF1: { f1: 1, threshold: 3 },
      aupro: 1,
      perType: { crack: { n: 1, rocAuc: 1, aupro: 1 } },
      pixels: 4,
      anomalousPixels: 1,
      components: 1,
    });
    const full = new PixelRoc();
    full.add(Float32Array.of(3), 1, 1, mask(1, 1), 'crack');
    expect(pixelMetrics(full).reason).toBe('no normal pixels in the masks');
  });
});
