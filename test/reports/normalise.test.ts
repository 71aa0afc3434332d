import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { balanced, globalScale, heatmapScale, localScale, onScale } from '../../src/reports/normalise.js';

const value = fc.float({ noNaN: true, noDefaultInfinity: true }).map((v) => v + 0);
const maps = fc.array(
  fc.array(value, { minLength: 1, maxLength: 30 }).map((v) => Float32Array.from(v)),
  {
    minLength: 1,
    maxLength: 6,
  },
);
const quantile = fc.double({ min: 0.001, max: 1, noNaN: true });

describe('globalScale', () => {
  it('goes from the minimum to the k-th smallest value of all maps, k = ⌊q·N⌋', () => {
    fc.assert(
      fc.property(maps, quantile, (some, q) => {
        const sorted = some.flatMap((m) => Array.from(m)).sort((a, b) => a - b);
        const k = Math.max(1, Math.floor(q * sorted.length));
        const { min, max } = globalScale(some.length, (i) => some[i]!, { quantile: q });
        expect(min === sorted[0] && max === sorted[k - 1]).toBe(true);
      }),
    );
  });

  it('uses as many maps of each label, drawn by the seed', () => {
    const labels = Array.from({ length: 40 }, (_, i) => (i % 4 === 0 ? 1 : 0));
    const used = new Set<number>();
    const map = (i: number) => {
      used.add(i);
      return Float32Array.of(i);
    };
    const scale = globalScale(40, map, { quantile: 1, labels, seed: 3 });
    expect([...used].sort((a, b) => a - b)).toEqual(balanced(labels, 3));
    expect(used.size).toBe(20);
    expect([...used].filter((i) => labels[i] === 1)).toHaveLength(10);
    expect(scale).toEqual({ min: Math.min(...used), max: Math.max(...used) });
    expect(balanced(labels, 3)).not.toEqual(balanced(labels, 4));
    expect(
      heatmapScale(
        [0, 0, 0, 1].map((label, i) => ({ label: label as 0 | 1, map: Float32Array.of(i) })),
        { quantile: 1 },
      ).max,
    ).toBe(3);
  });

  it('uses all maps when there is one label only', () => {
    expect(balanced([0, 0, 0], 1)).toEqual([0, 1, 2]);
    expect(balanced([1, 1], 1)).toEqual([0, 1]);
    expect(balanced([], 1)).toEqual([]);
  });

  it('refuses no maps, values that are not finite, and quantiles without meaning', () => {
    const one = () => Float32Array.of(1);
    expect(() => globalScale(0, one, { quantile: 0.5 })).toThrow(/at least one map/);
    expect(() => globalScale(1, () => Float32Array.of(1, Number.NaN), { quantile: 0.5 })).toThrow(
      /received NaN/,
    );
    expect(() => globalScale(1, () => Float32Array.of(-Infinity), { quantile: 0.5 })).toThrow(
      /received -Infinity/,
    );
    for (const q of [0, 1.1, Number.NaN])
      expect(() => globalScale(1, one, { quantile: q })).toThrow(/quantile/);
    expect(() => globalScale(1, one, { quantile: 1, labels: [0, 1] })).toThrow(/2 labels for 1 maps/);
  });
});

describe('onScale', () => {
  it('clamps, and is 0 on a constant map', () => {
    const scale = localScale(Float32Array.of(2, 6, 4));
    expect(scale).toEqual({ min: 2, max: 6 });
    expect([1, 2, 4, 6, 9].map((v) => onScale(v, scale))).toEqual([0, 0, 0.5, 1, 1]);
    expect(onScale(5, localScale(Float32Array.of(5, 5)))).toBe(0);
  });
});
