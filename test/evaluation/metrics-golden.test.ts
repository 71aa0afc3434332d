import { describe, expect, it } from 'vitest';
import { maskComponents } from '../../src/evaluation/components.js';
import type { BestF1 } from '../../src/evaluation/curve-scan.js';
import { PixelRoc } from '../../src/evaluation/pixel-roc.js';
import { rankingFigures } from '../../src/evaluation/roc.js';
import golden from '../golden/metrics.json' with { type: 'json' };
import tolerances from '../tolerances.json' with { type: 'json' };
import { bruteComponents } from './brute.js';

interface Figures {
  rocAuc: number | null;
  averagePrecision: number | null;
  bestF1: BestF1 | null;
  aupro?: number | null;
}

const none = { rocAuc: null, averagePrecision: null, bestF1: null };

function expectFigures(actual: Figures, expected: Figures): void {
  for (const key of ['rocAuc', 'averagePrecision', 'aupro'] as const) {
    const want = expected[key];
    if (want === null || want === undefined) expect(actual[key] ?? null, key).toBeNull();
    else expect(Math.abs(actual[key]! - want), key).toBeLessThan(tolerances.metricGolden);
  }
  if (expected.bestF1 === null) {
    expect(actual.bestF1).toBeNull();
    return;
  }
  expect(Math.abs(actual.bestF1!.f1 - expected.bestF1.f1)).toBeLessThan(tolerances.metricGolden);
  expect(actual.bestF1!.threshold).toBe(expected.bestF1.threshold);
}

function collect(images: (typeof golden.pixels)[number]['images']): PixelRoc {
  const roc = new PixelRoc();
  for (const { map, mask, type } of images) {
    const [height, width] = map.shape as [number, number];
    const [maskHeight, maskWidth] = mask.shape as [number, number];
    const data = Uint8Array.from(mask.data);
    roc.add(Float32Array.from(map.data), height, width, { height: maskHeight, width: maskWidth, data }, type);
  }
  return roc;
}

describe('figures against scikit-learn and SciPy', () => {
  it.each(golden.images)('image level: $name', ({ labels, scores, ...expected }) => {
    expectFigures(rankingFigures(scores, labels) ?? none, expected);
  });

  it.each(golden.pixels)('pixel level: $name', ({ images, all, perType }) => {
    // A handful of values per block must give what one block gives.
    for (const blockValues of [undefined, 12]) {
      const result = collect(images).result(200, blockValues);
      expectFigures(result, all);
      for (const [type, expected] of Object.entries(perType)) {
        expectFigures(result.perType[type]!, expected as Figures);
      }
      expect(Object.keys(result.perType).sort()).toEqual(Object.keys(perType).sort());
    }
  });
});

describe('maskComponents', () => {
  it('equals a flood fill on random masks of every density', () => {
    for (let seed = 1; seed <= 200; seed++) {
      const [height, width] = [1 + (seed % 9), 1 + ((seed * 7) % 11)];
      const data = Uint8Array.from({ length: height * width }, (_, i) =>
        Math.imul(i + 1, 2654435761 + 2 * seed * seed) >>> 24 < (seed * 37) % 256 ? 1 : 0,
      );
      const mask = { height, width, data };
      const found = maskComponents(mask).map((runs) =>
        runs.flatMap(({ row, from, to }) =>
          Array.from({ length: to - from }, (_, k) => row * width + from + k),
        ),
      );
      expect(found.map((pixels) => pixels.sort((a, b) => a - b))).toEqual(bruteComponents(mask));
    }
  });
});
