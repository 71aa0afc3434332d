import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type Raster,
  resizeArea,
  resizeBilinear,
  resizeNearest,
  toChannels,
} from '../../src/data/resample.js';
import { pattern } from './fixtures.js';

const raster = (
  height: number,
  width: number,
  channels: 1 | 3 = 1,
  data = pattern(height, width, channels),
): Raster => ({
  height,
  width,
  channels,
  data,
});

const anySize = fc.record({
  height: fc.integer({ min: 1, max: 20 }),
  width: fc.integer({ min: 1, max: 20 }),
  toHeight: fc.integer({ min: 1, max: 25 }),
  toWidth: fc.integer({ min: 1, max: 25 }),
  channels: fc.constantFrom<1 | 3>(1, 3),
});

/** The area mean by definition: each source pixel weighted by how much of it the output pixel covers. */
function areaMean(source: Raster, y: number, x: number, c: number, height: number, width: number): number {
  const cover = (i: number, from: number, to: number) => Math.max(0, Math.min(i + 1, to) - Math.max(i, from));
  const [sy, sx] = [source.height / height, source.width / width];
  let sum = 0;
  for (let i = 0; i < source.height; i++) {
    for (let j = 0; j < source.width; j++) {
      const weight = cover(i, y * sy, (y + 1) * sy) * cover(j, x * sx, (x + 1) * sx);
      sum += weight * source.data[(i * source.width + j) * source.channels + c]!;
    }
  }
  return sum / (sy * sx);
}

describe('resizing', () => {
  it('nearest takes ⌊i·in/out⌋ on both axes', () => {
    fc.assert(
      fc.property(anySize, ({ height, width, toHeight, toWidth, channels }) => {
        const source = raster(height, width, channels);
        const result = resizeNearest(source, toHeight, toWidth);
        for (let y = 0; y < toHeight; y++) {
          for (let x = 0; x < toWidth; x++) {
            const from = Math.floor((y * height) / toHeight) * width + Math.floor((x * width) / toWidth);
            for (let c = 0; c < channels; c++) {
              expect(result.data[(y * toWidth + x) * channels + c]).toBe(source.data[from * channels + c]);
            }
          }
        }
      }),
      { numRuns: 60 },
    );
  });

  it('area is the mean of the covered pixels when shrinking', () => {
    fc.assert(
      fc.property(anySize, ({ height, width, toHeight, toWidth, channels }) => {
        const [h, w] = [Math.min(height, toHeight), Math.min(width, toWidth)];
        const source = raster(height, width, channels);
        const { data } = resizeArea(source, h, w);
        for (let i = 0; i < data.length; i++) {
          const [c, x, y] = [i % channels, Math.floor(i / channels) % w, Math.floor(i / channels / w)];
          expect(Math.abs(data[i]! - areaMean(source, y, x, c, h, w))).toBeLessThanOrEqual(0.5 + 1e-9);
        }
      }),
      { numRuns: 60 },
    );
  });

  it('keeps constants and the range of values, whatever the sizes', () => {
    fc.assert(
      fc.property(anySize, fc.nat(255), ({ height, width, toHeight, toWidth, channels }, value) => {
        const flat = raster(height, width, channels, new Uint8Array(height * width * channels).fill(value));
        for (const resize of [resizeArea, resizeBilinear, resizeNearest]) {
          const { data } = resize(flat, toHeight, toWidth);
          expect(data).toEqual(new Uint8Array(toHeight * toWidth * channels).fill(value));
        }
      }),
      { numRuns: 60 },
    );
  });

  it('bilinear equals PIL: enlarging, shrinking, and both at once', () => {
    // PIL 9.4: Image.fromarray(uint8).resize((width, height), BILINEAR)
    const ramp = raster(1, 4, 1, Uint8Array.from([0, 100, 200, 40]));
    expect([...resizeBilinear(ramp, 1, 8).data]).toEqual([0, 25, 75, 125, 175, 160, 80, 40]);
    expect([...resizeBilinear(ramp, 1, 2).data]).toEqual([71, 117]);
    const rows = [0, 7, 28, 63, 112, 175, 0, 31, 62, 93, 124, 155, 250, 210, 170, 130, 90, 50];
    const expected = [3, 25, 75, 151, 7, 37, 85, 148, 12, 55, 100, 143, 146, 129, 113, 96, 235, 179, 121, 65];
    const { data } = resizeBilinear(raster(3, 6, 1, Uint8Array.from(rows)), 5, 4);
    // PIL rounds between its two passes.
    for (const [i, value] of expected.entries()) expect(Math.abs(data[i]! - value)).toBeLessThanOrEqual(1);
  });

  it('returns the same picture for the same size', () => {
    const source = raster(6, 5, 3);
    for (const resize of [resizeArea, resizeBilinear, resizeNearest])
      expect(resize(source, 6, 5).data).toEqual(source.data);
  });
});

describe('channels', () => {
  it('repeats one channel and takes luma of three', () => {
    expect([...toChannels(raster(1, 2, 1, Uint8Array.from([7, 9])), 3).data]).toEqual([7, 7, 7, 9, 9, 9]);
    const colours = Uint8Array.from([255, 255, 255, 255, 0, 0, 10, 20, 30]);
    expect([...toChannels(raster(1, 3, 3, colours), 1).data]).toEqual([255, 76, 18]);
  });
});
