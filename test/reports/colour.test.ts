import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { jet, jetOffset } from '../../src/reports/colour.js';

describe('jet', () => {
  it('has matplotlib’s bytes', () => {
    // matplotlib 3.6.3: cm.get_cmap('jet')(i, bytes=True)
    const known: Record<number, number[]> = {
      0: [0, 0, 127],
      1: [0, 0, 132],
      32: [0, 0, 255],
      33: [0, 4, 255],
      64: [0, 128, 255],
      90: [2, 232, 244],
      128: [124, 255, 121],
      160: [228, 255, 18],
      200: [255, 118, 0],
      255: [127, 0, 0],
    };
    for (const [entry, rgb] of Object.entries(known)) {
      expect(Array.from(jet.subarray(3 * Number(entry), 3 * Number(entry) + 3))).toEqual(rgb);
    }
    // Of cm.get_cmap('jet')(np.arange(256), bytes=True)[:, :3].tobytes()
    expect(createHash('sha256').update(jet).digest('hex')).toBe(
      'c1b7b97444ebebfc30a590ce3eada7cffefb868960c6c39fd4ed1ff7a40712e9',
    );
  });

  it('clamps values outside [0, 1]', () => {
    expect([-1, 0, 0.5, 0.999, 1, 2].map(jetOffset)).toEqual([0, 0, 384, 765, 765, 765]);
  });
});
