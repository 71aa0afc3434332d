import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { seededRandom } from '../../src/evaluation/random.js';
import { calibrate, heldOut, isAnomalous, sortedSummary } from '../../src/evaluation/threshold.js';

const scores = fc.array(fc.double({ min: 0, max: 10, noNaN: true }), { minLength: 1, maxLength: 200 });

describe('calibrate', () => {
  it('takes the order statistic of split conformal prediction', () => {
    const hundred = Array.from({ length: 100 }, (_, i) => (i * 37) % 100);
    // ⌈101·0.95⌉ = 96, the 96th smallest of 0…99 is 95.
    expect(calibrate(hundred, { falseAlarmRate: 0.05 })).toMatchObject({
      threshold: 95,
      n: 100,
      guaranteedRate: 5 / 101,
      rule: expect.stringContaining('96th smallest of 100'),
    });
    // (n+1)(1−rate) = 18 exactly in decimals, not in binary fractions.
    expect(calibrate(hundred.slice(0, 19), { falseAlarmRate: 0.1 }).rule).toContain('18th smallest of 19');
  });

  it('calls at most the promised share of its own scores anomalous, and any monotone map the same ones', () => {
    fc.assert(
      fc.property(scores, fc.double({ min: 0.01, max: 0.5, noNaN: true }), (values, rate) => {
        const { threshold, guaranteedRate } = calibrate(values, { falseAlarmRate: rate });
        expect(values).toContain(threshold);
        const above = values.filter((v) => isAnomalous(v, threshold)).length;
        expect(above).toBeLessThanOrEqual(rate * (values.length + 1) + 1e-9);
        if (guaranteedRate > rate + 1e-9) expect(threshold).toBe(Math.max(...values));
        expect(
          calibrate(
            values.map((v) => 3 * v + 1),
            { falseAlarmRate: rate },
          ).threshold,
        ).toBe(3 * threshold + 1);
      }),
    );
  });

  it('keeps the rate on new scores of the same kind, on average', () => {
    const random = seededRandom(5);
    let alarms = 0;
    const repeats = 4000;
    for (let i = 0; i < repeats; i++) {
      const { threshold } = calibrate(
        Array.from({ length: 30 }, () => random.next() ** 3),
        { falseAlarmRate: 0.1 },
      );
      if (isAnomalous(random.next() ** 3, threshold)) alarms++;
    }
    // Expected 3/31 = 0.0968, standard error 0.0047.
    expect(Math.abs(alarms / repeats - 3 / 31)).toBeLessThan(4 * 0.0047);
  });

  it('says when there are too few images, and what they promise', () => {
    const { threshold, guaranteedRate, note } = calibrate([3, 1, 2], { falseAlarmRate: 0.01 });
    expect(threshold).toBe(3);
    expect(guaranteedRate).toBe(0.25);
    expect(note).toMatch(/3 held-out images are too few for 1 % \(needs 99\)/);
    expect(note).toContain('25 %');
    expect(
      calibrate(
        Array.from({ length: 99 }, (_, i) => i),
        { falseAlarmRate: 0.01 },
      ).note,
    ).not.toContain('too few');
    expect(calibrate([7], {}).note).toContain('1 held-out image is too few');
  });

  it('gives the 5 % and 95 % quantiles of Beta(n+1−k, k) as the likely rates', () => {
    // n = 1, k = 1: uniform.
    expect(calibrate([1]).likely.low).toBeCloseTo(0.05, 10);
    expect(calibrate([1]).likely.high).toBeCloseTo(0.95, 10);
    // scipy.stats.beta(5, 96).ppf([0.05, 0.95])
    const { likely } = calibrate(
      Array.from({ length: 100 }, (_, i) => i),
      { falseAlarmRate: 0.05 },
    );
    expect(likely.low).toBeCloseTo(0.019905563662, 8);
    expect(likely.high).toBeCloseTo(0.089196250159, 8);
  });

  it('refuses no scores, scores that are not finite, and rates outside (0, 1)', () => {
    expect(() => calibrate([])).toThrow(/received none/);
    expect(() => calibrate([1, Number.NaN])).toThrow(/finite/);
    for (const falseAlarmRate of [0, 1, -1, Number.NaN]) {
      expect(() => calibrate([1], { falseAlarmRate })).toThrow(/between 0 and 1/);
    }
  });
});

describe('heldOut', () => {
  it('draws different ascending indices, the same for the same seed, never all', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 300 }),
        fc.nat(),
        fc.double({ min: 0, max: 0.99, noNaN: true }),
        (n, seed, share) => {
          const held = heldOut(n, seed, share);
          expect(held).toEqual([...new Set(held)].sort((a, b) => a - b));
          expect(held.every((i) => i >= 0 && i < n)).toBe(true);
          expect(held.length).toBeLessThan(Math.max(n, 1));
          if (n >= 2 && share > 0) expect(held.length).toBeGreaterThanOrEqual(1);
          expect(heldOut(n, seed, share)).toEqual(held);
        },
      ),
    );
    expect(heldOut(1000, 1)).toHaveLength(100);
    expect(heldOut(1000, 1)).not.toEqual(heldOut(1000, 2));
    expect(heldOut(100, 1, 0)).toEqual([]);
    expect(() => heldOut(10, 0, 1)).toThrow(/fraction/);
  });

  it('never leaves an epoch with a tiny last batch where a shift of the share can prevent it', () => {
    // 300 - 30 would end in a batch of 14 of 128: 12 held out leave 128, 128 and 32.
    expect(heldOut(300, 1, 0.1, 128)).toHaveLength(12);
    expect(heldOut(6000, 1, 0.1, 128)).toHaveLength(592);
    // One batch, a full one and a large last one are left alone.
    expect([100, 142, 300].map((n) => heldOut(n, 1, 0.1, n === 300 ? 90 : 128).length)).toEqual([10, 14, 30]);
    // Holding fewer out would leave none: more, until every batch is full.
    expect(heldOut(270, 1, 0.01, 128)).toHaveLength(14);
    fc.assert(
      fc.property(
        fc.integer({ min: 2, max: 3000 }),
        fc.integer({ min: 1, max: 256 }),
        fc.double({ min: 0.01, max: 0.5, noNaN: true }),
        (n, batch, share) => {
          const held = heldOut(n, 7, share, batch).length;
          const unshifted = heldOut(n, 7, share).length;
          const last = (n - held) % batch;
          const tiny = n - held > batch && last > 0 && last < batch / 4;
          expect(held).toBeGreaterThanOrEqual(1);
          expect(held).toBeLessThan(n);
          expect(Math.abs(held - unshifted)).toBeLessThan(batch / 4);
          if (tiny) expect(held).toBe(unshifted);
        },
      ),
    );
  });

  it('holds every image out equally often', () => {
    const counts = new Array<number>(20).fill(0);
    for (let seed = 0; seed < 4000; seed++) for (const i of heldOut(20, seed, 0.25)) counts[i]!++;
    // Binomial(4000, ¼): mean 1000, standard deviation 27.
    for (const count of counts) expect(Math.abs(count - 1000)).toBeLessThan(5 * 27.4);
  });
});

describe('sortedSummary', () => {
  it('keeps few scores as they are and many at equal steps of rank', () => {
    expect(sortedSummary([3, 1, 2])).toEqual([1, 2, 3]);
    const many = sortedSummary(
      Float32Array.from({ length: 10_001 }, (_, i) => 10_000 - i),
      101,
    );
    expect(many).toEqual(Array.from({ length: 101 }, (_, i) => 100 * i));
    expect(sortedSummary([])).toEqual([]);
  });
});
