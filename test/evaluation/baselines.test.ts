import { describe, expect, it } from 'vitest';
import type { Split } from '../../src/data/types.js';
import { baselineScores } from '../../src/evaluation/baselines.js';

/** A split of grey pictures given as rows of pixels. */
function split(pictures: number[][][], labels: (0 | 1)[]): Split {
  const bytes = Uint8Array.from(pictures.flat(2));
  let pixels = 0;
  const images = pictures.map((rows, i) => {
    const place = { pixels, mask: null, height: rows.length, width: rows[0]!.length, label: labels[i]! };
    pixels += rows.flat().length;
    return place;
  });
  const records = labels.map((label, i) => ({ name: `${i}`, label, type: label === 0 ? 'good' : 'bad' }));
  return { images: { channels: 1, bytes, images }, records };
}

const flat = (value: number) => Array.from({ length: 3 }, () => [value, value, value]);
const dot = (value: number) => [
  [value, value, value],
  [value, value + 9, value],
  [value, value, value],
];

describe('baselineScores', () => {
  const train = split([flat(10), flat(20), flat(30)], [0, 0, 0]);
  const test = split([flat(20), flat(50), dot(20)], [0, 1, 1]);
  const scores = Object.fromEntries(
    baselineScores(train.images, test.images).map(({ name, scores }) => [name, [...scores]]),
  );
  const std = Math.sqrt(200 / 3);

  it('mean intensity is the distance from the training mean', () => {
    expect(scores['mean intensity']).toEqual([0, 30, 1]);
  });

  it('z-scores compare value by value', () => {
    const [normal, bright, dotted] = scores['pixel z-score (mean)']!;
    expect(normal).toBeCloseTo(0, 12);
    expect(bright).toBeCloseTo(30 / std, 12);
    expect(dotted).toBeCloseTo(1 / std, 12);
    expect(scores['pixel z-score (maximum)']![2]).toBeCloseTo(9 / std, 12);
  });

  it('Laplacian energy sees edges only', () => {
    expect(scores['Laplacian energy']).toEqual([0, 0, 36 * 36]);
  });

  it('refuses what cannot be compared', () => {
    const other = split([[[1, 2]]], [0]);
    expect(() => baselineScores(train.images, other.images)).toThrow(/one size, received 3×3 and 1×2/);
    expect(() => baselineScores(split([], []).images, test.images)).toThrow(/at least one image/);
    const colour = { ...test.images, channels: 3 as const };
    expect(() => baselineScores(train.images, colour)).toThrow(/channels/);
  });
});
