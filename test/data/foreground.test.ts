import { existsSync, mkdirSync, readdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { estimateForeground, openDataSet, subset, withForegrounds } from '../../src/data/index.js';
import { createStoreBuilder } from '../../src/data/store.js';
import type { StoredImages } from '../../src/engine/types.js';
import { seededRandom } from '../../src/evaluation/random.js';
import { temporaryFolder } from './fixtures.js';

const folder = temporaryFolder();
const side = 120;

/** Pictures of `level(image, y, x)`, with grain of ±6 levels, one channel. */
function pictures(count: number, level: (image: number, y: number, x: number) => number): StoredImages {
  const random = seededRandom(4);
  const builder = createStoreBuilder(1, 0);
  for (let image = 0; image < count; image++) {
    const pixels = new Uint8Array(side * side);
    for (let i = 0; i < pixels.length; i++) {
      const value = level(image, Math.floor(i / side), i % side) + random.below(13) - 6;
      pixels[i] = Math.max(0, Math.min(255, value));
    }
    builder.add({ pixels, height: side, width: side, label: 0 });
  }
  return builder.finish();
}

/** Intersection over union. */
function overlap(plane: Uint8Array, inside: (y: number, x: number) => boolean): number {
  let both = 0;
  let either = 0;
  plane.forEach((value, i) => {
    const truth = inside(Math.floor(i / side), i % side);
    if (value === 1 && truth) both++;
    if (value === 1 || truth) either++;
  });
  return both / either;
}

/** A ring that wanders from image to image: its hole is part of the object. */
const disc =
  (image: number, radius = 34) =>
  (y: number, x: number): boolean =>
    Math.hypot(y - 50 - 3 * image, x - 66 + 4 * image) < radius;

describe('the foreground of normal images', () => {
  it.each([
    ['dark on a light table', 40, 200],
    ['light on a dark one', 190, 15],
    ['a little darker', 110, 150],
  ])('is found: %s, under changing light', (_, object, table) => {
    const store = pictures(6, (image, y, x) => {
      const hole = disc(image, 8)(y, x);
      return (disc(image)(y, x) && !hole ? object : table) - 6 * image + (x / side) * 10;
    });
    const found = estimateForeground(store);
    expect(found.whole).toBe(0);
    for (const [image, plane] of found.planes.entries())
      expect(overlap(plane!, disc(image))).toBeGreaterThan(0.85);
    expect(found.share).toBeGreaterThan(0.2);
    expect(found.share).toBeLessThan(0.35);
    expect(found.summary).toMatch(/\d\d % of the pixels of 6 normal images are the object/);
  });

  it.each([
    ['grain', () => 120],
    ['stripes', (_: number, y: number, x: number) => (Math.floor((x + y) / 9) % 2) * 120 + 40],
    ['a slow shading', (_: number, _y: number, x: number) => 60 + x],
    ['pictures that are all object', (image: number, y: number) => 90 + 10 * image + (y > 60 ? 60 : 0)],
  ])('of %s is the whole picture', (_, level) => {
    const found = estimateForeground(pictures(5, level));
    expect(found.planes.every((plane) => plane === null)).toBe(true);
    expect([found.share, found.threshold]).toEqual([1, null]);
    expect(found.summary).toMatch(/whole picture/);
  });

  it('is the whole picture for an image that shows no object, and says so', () => {
    const store = pictures(6, (image, y, x) => (image < 5 && disc(image)(y, x) ? 40 : 200));
    const found = estimateForeground(store);
    expect(found.planes.map((plane) => plane === null)).toEqual([false, false, false, false, false, true]);
    expect(found.summary).toMatch(/1 of them as a whole/);
  });

  it('goes with the images into stores and their parts', () => {
    const store = pictures(3, (image, y, x) => (disc(image)(y, x) ? 40 : 200));
    const { planes } = estimateForeground(store);
    const records = store.images.map((_, i) => ({ name: String(i), label: 0 as const, type: 'good' }));
    const images = withForegrounds(store, [planes[0]!, null, planes[2]!]);
    const part = subset({ images, records }, [2, 1]).images;
    const { foreground, pixels } = part.images[0]!;
    expect(Buffer.compare(part.bytes.subarray(foreground!, foreground! + side * side), planes[2]!)).toBe(0);
    const from = store.images[2]!.pixels;
    expect(
      Buffer.compare(part.bytes.subarray(pixels, pixels + 99), store.bytes.subarray(from, from + 99)),
    ).toBe(0);
    expect(part.images[1]!.foreground).toBeUndefined();
  });

  const tiles = fileURLToPath(new URL('../../../shared/data/magnetic-tile', import.meta.url));
  it.skipIf(!existsSync(tiles))(
    'of magnetic tiles, a texture, is the whole picture (needs ../shared/data)',
    async () => {
      const good = join(folder, 'tiles', 'train', 'good');
      mkdirSync(good, { recursive: true });
      const names = readdirSync(join(tiles, 'train', 'good')).sort();
      for (const name of names.filter((_, i) => i % 8 === 0))
        symlinkSync(join(tiles, 'train', 'good', name), join(good, name));
      const { train } = await openDataSet('mvtec', { dir: join(folder, 'tiles'), seed: 0, only: 'train' });
      expect(train.records).toHaveLength(20);
      expect(estimateForeground(train.images).share).toBeGreaterThan(0.9);
    },
  );
});
