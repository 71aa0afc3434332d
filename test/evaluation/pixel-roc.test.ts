import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Mask } from '../../src/data/types.js';
import { areaOfPairs } from '../../src/evaluation/bootstrap.js';
import { pixelEntry } from '../../src/evaluation/pixel-counts.js';
import { pairsOfGroups } from '../../src/evaluation/pixel-pairs.js';
import { PixelRoc } from '../../src/evaluation/pixel-roc.js';
import { rocAuc } from '../../src/evaluation/roc.js';
import { ValueTable } from '../../src/evaluation/value-table.js';
import tolerances from '../tolerances.json' with { type: 'json' };

interface Image {
  map: Float32Array;
  height: number;
  width: number;
  mask: Mask;
  type: string | null;
}

/** Few distinct values, so that ties are common; masks from empty to full, larger and smaller than the map. */
const image: fc.Arbitrary<Image> = fc
  .record({
    height: fc.integer({ min: 1, max: 6 }),
    width: fc.integer({ min: 1, max: 6 }),
    maskHeight: fc.integer({ min: 1, max: 15 }),
    maskWidth: fc.integer({ min: 1, max: 15 }),
    type: fc.constantFrom(null, 'crack', 'hole'),
    density: fc.constantFrom(0, 0.1, 0.5, 1),
    seed: fc.infiniteStream(fc.double({ min: 0, max: 1, noNaN: true })),
  })
  .map(({ height, width, maskHeight, maskWidth, type, density, seed }) => ({
    height,
    width,
    type,
    map: Float32Array.from({ length: height * width }, () => Math.floor(7 * next(seed)) / 3 - 1),
    mask: {
      height: maskHeight,
      width: maskWidth,
      data: Uint8Array.from({ length: maskHeight * maskWidth }, () =>
        type !== null && next(seed) < density ? 1 : 0,
      ),
    },
  }));

function next(stream: fc.Stream<number> | Iterator<number>): number {
  return (stream as Iterator<number>).next().value as number;
}

/** Every original pixel by itself. */
function bruteForce(images: Image[], weights: number[] = images.map(() => 1)): number | null {
  const scores: number[] = [];
  const labels: number[] = [];
  images.forEach(({ map, height, width, mask }, n) => {
    for (let y = 0; y < mask.height; y++) {
      for (let x = 0; x < mask.width; x++) {
        const source = Math.floor((y * height) / mask.height) * width + Math.floor((x * width) / mask.width);
        for (let k = 0; k < weights[n]!; k++) {
          scores.push(map[source]!);
          labels.push(mask.data[y * mask.width + x]!);
        }
      }
    }
  });
  return rocAuc(scores, labels);
}

function collect(images: Image[]): PixelRoc {
  const roc = new PixelRoc();
  for (const { map, height, width, mask, type } of images) roc.add(map, height, width, mask, type);
  return roc;
}

function expectEqual(actual: number | null, expected: number | null): void {
  if (expected === null) expect(actual).toBeNull();
  else expect(Math.abs(actual! - expected)).toBeLessThan(tolerances.metric);
}

describe('PixelRoc', () => {
  it('equals the ROC-AUC of really upsampled maps, in all and per type', () => {
    fc.assert(
      fc.property(fc.array(image, { maxLength: 6 }), (images) => {
        const { rocAuc: all, perType } = collect(images).result();
        expectEqual(all, bruteForce(images));
        const types = new Set(images.map((i) => i.type).filter((t) => t !== null));
        expect(new Set(Object.keys(perType))).toEqual(types);
        for (const type of types) {
          expectEqual(perType[type]!.rocAuc, bruteForce(images.filter((i) => (i.type ?? type) === type)));
        }
      }),
    );
  });

  it('gives pair counts that equal counting images several times', () => {
    fc.assert(
      fc.property(
        fc.array(image, { minLength: 2, maxLength: 5 }),
        fc.array(fc.integer({ min: 0, max: 3 }), { minLength: 5, maxLength: 5 }),
        (images, weights) => {
          const entries = images.map((i) => pixelEntry(i.map, i.height, i.width, i.mask, i.type));
          const values = entries.flatMap((e) => Array.from(e.at, (i) => e.map[i]!));
          const table = new ValueTable(Float32Array.from(values));
          const pairs = pairsOfGroups(
            entries.map((entry) => [entry]),
            table,
          );
          const used = weights.slice(0, images.length);
          expectEqual(areaOfPairs(pairs, Float64Array.from(used)), bruteForce(images, used));
        },
      ),
    );
  });

  it('has a curve whose thresholds reproduce its rates', () => {
    const images = fc.sample(image, { numRuns: 30, seed: 3 });
    const { curve, pixels, anomalousPixels } = collect(images).result();
    const scores: number[] = [];
    const labels: number[] = [];
    for (const { map, height, width, mask } of images) {
      for (let i = 0; i < mask.data.length; i++) {
        const y = Math.floor((Math.floor(i / mask.width) * height) / mask.height);
        const x = Math.floor(((i % mask.width) * width) / mask.width);
        scores.push(map[y * width + x]!);
        labels.push(mask.data[i]!);
      }
    }
    expect(pixels).toBe(scores.length);
    curve!.thresholds.forEach((threshold, k) => {
      const called = scores.map((s, i) => (s >= threshold ? labels[i]! : -1));
      expect(curve!.tpr[k]).toBeCloseTo(called.filter((l) => l === 1).length / anomalousPixels, 12);
      expect(curve!.fpr[k]).toBeCloseTo(
        called.filter((l) => l === 0).length / (pixels - anomalousPixels),
        12,
      );
    });
  });

  it('is null without anomalous or without normal pixels, and refuses what does not fit', () => {
    const roc = new PixelRoc();
    expect(roc.result().rocAuc).toBeNull();
    roc.add(Float32Array.of(1, 2), 1, 2, { height: 1, width: 2, data: Uint8Array.of(0, 0) });
    expect(roc.result()).toMatchObject({ rocAuc: null, curve: null, pixels: 2, anomalousPixels: 0 });
    const mask = { height: 1, width: 1, data: Uint8Array.of(1) };
    expect(() => roc.add(Float32Array.of(1, 2), 1, 3, mask)).toThrow(/1×3/);
    expect(() => roc.add(Float32Array.of(1), 1, 1, { ...mask, width: 2 })).toThrow(/mask of 1×2/);
    expect(() => roc.add(Float32Array.of(Number.NaN), 1, 1, mask)).toThrow(/finite/);
  });

  it('counts 16 million original pixels in seconds', () => {
    const roc = new PixelRoc();
    const map = Float32Array.from({ length: 224 * 224 }, (_, i) => Math.imul(i, 2654435761) >>> 8);
    const data = new Uint8Array(4000 * 4000).fill(1, 0, 4000 * 100);
    const start = performance.now();
    roc.add(map, 224, 224, { height: 4000, width: 4000, data }, 'large');
    expect(roc.result().pixels).toBe(16e6);
    expect(performance.now() - start).toBeLessThan(10_000);
  });
});

describe('ValueTable', () => {
  it('finds the slot that a linear search finds', () => {
    const value = fc.oneof(
      fc.float({ noNaN: true, noDefaultInfinity: true }),
      fc.constantFrom(0, -0, 1, 1e-45),
    );
    fc.assert(
      fc.property(fc.array(value, { maxLength: 40 }), value, (values, sought) => {
        const table = new ValueTable(Float32Array.from(values));
        for (const v of [...values, sought]) {
          const below = table.values.filter((t) => t < v).length;
          expect(table.slot(v)).toBe(2 * below + (table.values.some((t) => t === v) ? 1 : 0));
        }
      }),
    );
  });
});
