import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { rocAuc, rocCurve } from '../../src/evaluation/roc.js';
import tolerances from '../tolerances.json' with { type: 'json' };

interface Golden {
  name: string;
  labels: number[];
  scores: number[];
  rocAuc: number;
  fpr: number[];
  tpr: number[];
}

const golden = JSON.parse(readFileSync(new URL('../golden/rocauc.json', import.meta.url), 'utf8')) as {
  cases: Golden[];
};

/** Scores with many ties, both labels present. */
const samples = fc
  .array(fc.tuple(fc.integer({ min: -4, max: 4 }), fc.integer({ min: 0, max: 1 })), {
    minLength: 2,
    maxLength: 60,
  })
  .filter((pairs) => new Set(pairs.map(([, label]) => label)).size === 2)
  .map((pairs) => ({ scores: pairs.map(([s]) => s / 3), labels: pairs.map(([, label]) => label) }));

function area(fpr: number[], tpr: number[]): number {
  return fpr.slice(1).reduce((sum, x, i) => sum + ((x - fpr[i]!) * (tpr[i + 1]! + tpr[i]!)) / 2, 0);
}

describe('rocAuc', () => {
  it.each(golden.cases)('equals scikit-learn: $name', ({ scores, labels, rocAuc: expected }) => {
    expect(Math.abs(rocAuc(scores, labels)! - expected)).toBeLessThan(tolerances.metric);
  });

  it('is the share of pairs that are ranked right, ties counting one half', () => {
    fc.assert(
      fc.property(samples, ({ scores, labels }) => {
        let won = 0;
        let pairs = 0;
        scores.forEach((p, i) => {
          scores.forEach((n, k) => {
            if (labels[i] !== 1 || labels[k] !== 0) return;
            pairs++;
            won += p > n ? 1 : p === n ? 0.5 : 0;
          });
        });
        expect(Math.abs(rocAuc(scores, labels)! - won / pairs)).toBeLessThan(tolerances.metric);
      }),
    );
  });

  it('does not change under strictly monotone maps, and complements under negation and swapped labels', () => {
    fc.assert(
      fc.property(samples, ({ scores, labels }) => {
        const auc = rocAuc(scores, labels)!;
        expect(
          rocAuc(
            scores.map((s) => Math.exp(2 * s) - 7),
            labels,
          ),
        ).toBe(auc);
        expect(
          rocAuc(
            scores.map((s) => -s),
            labels,
          ),
        ).toBeCloseTo(1 - auc, 12);
        expect(
          rocAuc(
            scores,
            labels.map((l) => 1 - l),
          ),
        ).toBeCloseTo(1 - auc, 12);
      }),
    );
  });

  it('is null when a label is absent', () => {
    expect(rocAuc([], [])).toBeNull();
    expect(rocAuc([1, 2], [0, 0])).toBeNull();
    expect(rocAuc([1], [1])).toBeNull();
    expect(rocCurve([1, 2], [1, 1])).toBeNull();
  });

  it('refuses what has no order or no meaning', () => {
    expect(() => rocAuc([1, Number.NaN], [0, 1])).toThrow(/finite scores, received NaN for sample 1/);
    expect(() => rocAuc([Number.POSITIVE_INFINITY, 1], [0, 1])).toThrow(/finite/);
    expect(() => rocAuc([1, 2], [0, 2])).toThrow(/labels 0 or 1, received 2/);
    expect(() => rocAuc([1, 2], [0])).toThrow(/1 labels for 2 scores/);
  });
});

describe('rocCurve', () => {
  it.each(golden.cases)('runs through points of scikit-learn’s curve: $name', (c) => {
    const { fpr, tpr, thresholds } = rocCurve(c.scores, c.labels, 1000)!;
    const points = new Set(c.fpr.map((x, i) => `${x.toFixed(12)} ${c.tpr[i]!.toFixed(12)}`));
    fpr.forEach((x, i) => {
      expect(points).toContain(`${x.toFixed(12)} ${tpr[i]!.toFixed(12)}`);
    });
    expect(Math.abs(area(fpr, tpr) - c.rocAuc)).toBeLessThan(tolerances.metric);
    expect(thresholds[0]).toBe(Number.POSITIVE_INFINITY);
  });

  it('has the rates that its thresholds give', () => {
    fc.assert(
      fc.property(samples, ({ scores, labels }) => {
        const curve = rocCurve(scores, labels)!;
        curve.thresholds.forEach((threshold, i) => {
          for (const [label, rates] of [
            [0, curve.fpr],
            [1, curve.tpr],
          ] as const) {
            const own = scores.filter((_, k) => labels[k] === label);
            expect(rates[i]).toBeCloseTo(own.filter((s) => s >= threshold).length / own.length, 12);
          }
        });
      }),
    );
  });

  it('keeps ends and shape when thinned', () => {
    const scores = Array.from({ length: 20_000 }, (_, i) => Math.sin(i * 12.9898) * 43758.5453);
    const labels = scores.map((s, i) => (s % 1 > 0.3 + (i % 5) / 10 ? 1 : 0));
    const full = rocCurve(scores, labels, 1e6)!;
    const thin = rocCurve(scores, labels, 100)!;
    expect(full.fpr.length).toBeGreaterThan(1000);
    expect(thin.fpr.length).toBeLessThanOrEqual(101);
    expect([thin.fpr[0], thin.tpr[0], thin.fpr.at(-1), thin.tpr.at(-1)]).toEqual([0, 0, 1, 1]);
    full.fpr.forEach((x, i) => {
      const nearest = Math.min(
        ...thin.fpr.map((u, k) => Math.abs(u - x) + Math.abs(thin.tpr[k]! - full.tpr[i]!)),
      );
      expect(nearest).toBeLessThanOrEqual(2 / 99);
    });
  });
});
