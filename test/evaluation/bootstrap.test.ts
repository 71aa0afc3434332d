import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { bootstrapRanking, bootstrapRocAuc, interpolatedQuantile } from '../../src/evaluation/bootstrap.js';
import { PixelRoc } from '../../src/evaluation/pixel-roc.js';
import { seededRandom } from '../../src/evaluation/random.js';
import { rankingFigures, rocAuc } from '../../src/evaluation/roc.js';

/** The definition: draw groups with replacement, put their samples together, compute the ROC-AUC. */
function naive(
  scores: number[],
  labels: number[],
  groups: string[],
  replicates: number,
  seed: number,
  figure = rocAuc as (scores: number[], labels: number[]) => number | null,
) {
  const names = [...new Set(groups)];
  const random = seededRandom(seed);
  const areas: number[] = [];
  while (areas.length < replicates) {
    const drawn = names.map(() => names[random.below(names.length)]!);
    const chosen = drawn.flatMap((name) => scores.map((_, i) => i).filter((i) => groups[i] === name));
    const area = figure(
      chosen.map((i) => scores[i]!),
      chosen.map((i) => labels[i]!),
    );
    if (area !== null) areas.push(area);
  }
  areas.sort((a, b) => a - b);
  return { low: interpolatedQuantile(areas, 0.05), high: interpolatedQuantile(areas, 0.95) };
}

const sample = fc.tuple(
  fc.integer({ min: 0, max: 6 }),
  fc.constantFrom(0, 1),
  fc.constantFrom('a', 'b', 'c', 'd'),
);

describe('bootstrapRocAuc', () => {
  it('equals drawing the samples of whole groups again', () => {
    fc.assert(
      fc.property(
        fc.array(sample, { minLength: 4, maxLength: 20 }),
        fc.nat({ max: 1000 }),
        (samples, seed) => {
          const scores = samples.map(([s]) => s);
          const labels = samples.map(([, l]) => l);
          const groups = samples.map(([, , g]) => g);
          const interval = bootstrapRocAuc(scores, labels, groups, { replicates: 50, level: 0.9, seed });
          if (rocAuc(scores, labels) === null || new Set(groups).size < 2) {
            expect(interval).toBeNull();
            return;
          }
          const expected = naive(scores, labels, groups, 50, seed);
          expect(interval!.low).toBeCloseTo(expected.low, 12);
          expect(interval!.high).toBeCloseTo(expected.high, 12);
          expect(interval).toMatchObject({ level: 0.9, replicates: 50, groups: new Set(groups).size });
        },
      ),
      { numRuns: 40 },
    );
  });

  it('is wider when near-duplicates are grouped', () => {
    const random = seededRandom(1);
    const base = Array.from({ length: 30 }, (_, i) => ({
      label: i % 2,
      score: random.next() + 0.3 * (i % 2),
    }));
    const scores = base.flatMap(({ score }) => Array.from({ length: 10 }, (_, k) => score + k * 1e-6));
    const labels = base.flatMap(({ label }) => new Array<number>(10).fill(label));
    const groups = base.flatMap((_, i) => new Array<string>(10).fill(String(i)));
    const single = bootstrapRocAuc(scores, labels)!;
    const grouped = bootstrapRocAuc(scores, labels, groups)!;
    expect(grouped.high - grouped.low).toBeGreaterThan(2 * (single.high - single.low));
    expect(bootstrapRocAuc(scores, labels, groups)).toEqual(grouped);
    expect(bootstrapRocAuc(scores, labels, groups, { seed: 9 })).not.toEqual(grouped);
  });

  it('refuses options without meaning', () => {
    expect(() => bootstrapRocAuc([1, 2], [0, 1], ['a'])).toThrow(/1 groups for 2 scores/);
    expect(() => bootstrapRocAuc([1, 2], [0, 1], ['a', 'b'], { replicates: 0 })).toThrow(/replicates/);
    expect(() => bootstrapRocAuc([1, 2], [0, 1], ['a', 'b'], { level: 1 })).toThrow(/level/);
  });
});

describe('PixelRoc.intervals', () => {
  it('equals the intervals over the single pixels, in all and per type', () => {
    const random = seededRandom(3);
    const roc = new PixelRoc();
    const pixels: { score: number; label: number; group: string; type: string | null }[] = [];
    const groups: string[] = [];
    for (let i = 0; i < 12; i++) {
      const type = [null, 'crack', 'hole'][i % 3] ?? null;
      const map = Float32Array.from({ length: 4 }, () => random.below(5));
      const data = Uint8Array.from({ length: 16 }, () => (type !== null && random.next() < 0.4 ? 1 : 0));
      groups.push(`g${i % 5}`);
      roc.add(map, 2, 2, { height: 4, width: 4, data }, type);
      data.forEach((label, k) => {
        pixels.push({ score: map[(k >> 3) * 2 + ((k & 3) >> 1)]!, label, group: groups[i]!, type });
      });
    }
    const options = { replicates: 200, seed: 4 };
    const of = (chosen: typeof pixels) =>
      bootstrapRocAuc(
        chosen.map((p) => p.score),
        chosen.map((p) => p.label),
        chosen.map((p) => p.group),
        options,
      )!;
    const { all, perType } = roc.intervals(groups, options);
    const close = (actual: typeof all, expected: NonNullable<typeof all>) => {
      expect(actual!.low).toBeCloseTo(expected.low, 12);
      expect(actual!.high).toBeCloseTo(expected.high, 12);
      expect(actual!.groups).toBe(expected.groups);
    };
    close(all, of(pixels));
    for (const type of ['crack', 'hole']) {
      close(perType[type]!, of(pixels.filter((p) => (p.type ?? type) === type)));
    }
    expect(() => roc.intervals(['a'])).toThrow(/1 groups for 12 images/);
  });
});

describe('bootstrapRanking', () => {
  it('equals drawing the samples of whole groups again', () => {
    const random = seededRandom(7);
    const scores = Array.from({ length: 24 }, () => random.below(6));
    const labels = scores.map((score) => (score + random.below(4) > 4 ? 1 : 0));
    const groups = scores.map((_, i) => 'abcdef'[i % 6]!);
    const options = { replicates: 60, level: 0.9, seed: 3 };
    const found = bootstrapRanking(scores, labels, groups, options)!;
    const precision = naive(
      scores,
      labels,
      groups,
      60,
      3,
      (s, l) => rankingFigures(s, l)?.averagePrecision ?? null,
    );
    const f1 = naive(scores, labels, groups, 60, 3, (s, l) => rankingFigures(s, l)?.bestF1.f1 ?? null);
    expect(found.averagePrecision.low).toBeCloseTo(precision.low, 12);
    expect(found.averagePrecision.high).toBeCloseTo(precision.high, 12);
    expect(found.bestF1.low).toBeCloseTo(f1.low, 12);
    expect(found.bestF1.high).toBeCloseTo(f1.high, 12);
    expect(found.bestF1.low).toBeLessThan(found.bestF1.high);
  });

  it('is null with one label or one group', () => {
    expect(bootstrapRanking([1, 2], [0, 0])).toBeNull();
    expect(bootstrapRanking([1, 2], [0, 1], ['a', 'a'])).toBeNull();
  });
});
