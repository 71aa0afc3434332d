import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import type { ImageRecord } from '../../src/data/types.js';
import { jet } from '../../src/reports/colour.js';
import { colourise, overlay, renderOverlay, stretch } from '../../src/reports/heatmaps.js';
import { renderPreview } from '../../src/reports/preview.js';
import { type HeatmapSource, renderSheets } from '../../src/reports/sheets.js';

const scale = { min: 0, max: 1 };

async function decode(png: Buffer) {
  const { data, info } = await sharp(png).raw().toBuffer({ resolveWithObject: true });
  return { data, width: info.width, height: info.height, channels: info.channels };
}

describe('stretch', () => {
  it('is bilinear between pixel centres and keeps constants', () => {
    const row = stretch({ data: Float32Array.of(0, 4), height: 1, width: 2 }, 1, 4);
    expect(Array.from(row)).toEqual([0, 1, 3, 4]);
    const flat = stretch({ data: new Float32Array(6).fill(7), height: 2, width: 3 }, 5, 5);
    expect(new Set(flat)).toEqual(new Set([7]));
    const column = stretch({ data: Float32Array.of(0, 4), height: 2, width: 1 }, 4, 1);
    expect(Array.from(column)).toEqual([0, 1, 3, 4]);
    expect(() => stretch({ data: Float32Array.of(1), height: 2, width: 1 }, 1, 1)).toThrow(/2×1/);
  });
});

describe('overlay', () => {
  it('mixes the image with jet, more where the map is high', () => {
    const pixels = new Uint8Array(2 * 3).fill(100);
    const { data } = overlay({
      pixels,
      height: 1,
      width: 2,
      map: Float32Array.of(0, 1),
      mapHeight: 1,
      mapWidth: 2,
      scale,
    });
    const mixed = (entry: number, alpha: number) =>
      Array.from(jet.subarray(3 * entry, 3 * entry + 3), (c) => Math.round(alpha * c + (1 - alpha) * 100));
    expect(Array.from(data)).toEqual([...mixed(0, 0.15), ...mixed(255, 0.65)]);
  });

  it('has the image’s size, for grey images and other map sizes too', async () => {
    const png = await renderOverlay({
      pixels: new Uint8Array(20 * 30).fill(50),
      height: 20,
      width: 30,
      channels: 1,
      map: new Float32Array(49).fill(0.3),
      mapHeight: 7,
      mapWidth: 7,
      scale,
    });
    expect(await decode(png)).toMatchObject({ height: 20, width: 30, channels: 3 });
    expect(() =>
      overlay({
        pixels: new Uint8Array(5),
        height: 1,
        width: 2,
        map: Float32Array.of(1),
        mapHeight: 1,
        mapWidth: 1,
        scale,
      }),
    ).toThrow(/1×2×3 bytes/);
  });

  it('paints a constant map in the lowest colour, however high it is', () => {
    const flat = { data: Float32Array.of(9, 9), height: 1, width: 2 };
    expect(Array.from(colourise(flat, { min: 9, max: 9 }, 1, 2).data)).toEqual([0, 0, 127, 0, 0, 127]);
  });
});

/** Images whose score and brightness is their index; the odd ones anomalous. */
function source(count: number, label: (i: number) => 0 | 1, withMasks: boolean): HeatmapSource {
  const records: ImageRecord[] = Array.from({ length: count }, (_, i) => ({
    name: `${i}.png`,
    label: label(i),
    type: label(i) === 1 ? '<crack> & "co"' : 'good',
  }));
  return {
    records,
    scores: records.map((_, i) => i),
    pixels: (i) => ({ data: new Uint8Array(6 * 4).fill(i), height: 6, width: 4, channels: 1 }),
    map: (i) => ({ data: new Float32Array(16).fill(i), height: 4, width: 4 }),
    mask: () => (withMasks ? { data: new Uint8Array(24), height: 6, width: 4 } : null),
  };
}

describe('renderSheets', () => {
  it('renders every sheet of a labelled set on one scale', async () => {
    const { sheets, scale: used } = await renderSheets(
      source(50, (i) => (i % 2) as 0 | 1, true),
      {
        quantile: 0.9,
        threshold: 40,
      },
    );
    expect(sheets.map((s) => s.name)).toEqual([
      'ranks-global.png',
      'first-anomalous.png',
      'extremes-anomalous.png',
      'first-normal.png',
      'extremes-normal.png',
      'ranks-local.png',
    ]);
    expect(used).toEqual({ min: 0, max: 44 });
    for (const { png } of sheets) {
      const { width, height } = await decode(png);
      expect(width).toBeLessThan(1400);
      expect(height).toBeGreaterThan(width / 3);
    }
  });

  it('puts each picture where it belongs', async () => {
    const { sheets } = await renderSheets(
      source(6, () => 0, false),
      { quantile: 1 },
    );
    const { data, width } = await decode(sheets.find((s) => s.name === 'first-normal.png')!.png);
    const at = (y: number, x: number) =>
      Array.from(data.subarray((y * width + x) * 3, (y * width + x) * 3 + 3));
    // Find the first row of cells: 6 images of brightness 0…5 in the order of the set.
    const y = 96 + 56;
    expect([0, 1, 2, 3, 4, 5].map((i) => at(y, 86 + 56 + i * 120)[0])).toEqual([0, 1, 2, 3, 4, 5]);
    // Below them their maps on the common scale 0…5: lowest and highest colour of jet.
    expect(at(y + 120, 86 + 56)).toEqual([0, 0, 127]);
    expect(at(y + 120, 86 + 56 + 5 * 120)).toEqual([127, 0, 0]);
  });

  it('copes with one image, one label and an empty set', async () => {
    const one = await renderSheets(
      source(1, () => 1, true),
      { quantile: 0.85 },
    );
    expect(one.sheets.map((s) => s.name)).toEqual([
      'ranks-global.png',
      'first-anomalous.png',
      'extremes-anomalous.png',
      'ranks-local.png',
    ]);
    expect(one.scale).toEqual({ min: 0, max: 0 });
    expect(
      await renderSheets(
        source(0, () => 0, false),
        { quantile: 0.85 },
      ),
    ).toEqual({ sheets: [], scale: null });
  });

  it('is a function of its input alone', async () => {
    const render = async () =>
      (
        await renderSheets(
          source(9, (i) => (i % 2) as 0 | 1, true),
          { quantile: 0.9, seed: 1 },
        )
      ).sheets;
    expect((await render()).map((s) => s.png)).toEqual((await render()).map((s) => s.png));
  });
});

describe('renderPreview', () => {
  it('shows samples with and without masks', async () => {
    const samples = {
      count: 9,
      height: 8,
      width: 8,
      channels: 3 as const,
      bytes: new Uint8Array(9 * 192),
      labels: Uint8Array.from({ length: 9 }, (_, i) => i % 2),
    };
    const withMasks = await decode(
      await renderPreview({ ...samples, masks: new Uint8Array(9 * 64).fill(1) }, 'confetti'),
    );
    const without = await decode(await renderPreview({ ...samples, masks: null }, 'unsupervised'));
    expect(withMasks.width).toBe(without.width);
    // Two bands of one more row each.
    expect(withMasks.height - without.height).toBe(240);
  });
});
