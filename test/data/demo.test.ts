import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { areaOf } from '../../src/data/demo/change.js';
import { MAX_AREA, MAX_CONTRAST, MIN_AREA } from '../../src/data/demo/defects.js';
import {
  createAnomalous,
  createClean,
  createDefective,
  type Marked,
  type PictureKey,
  parts,
} from '../../src/data/demo/generate.js';
import { CHANNELS, SIZE } from '../../src/data/demo/image.js';
import {
  demoDefaults,
  demoDefects,
  demoSurfaces,
  openDemo,
  TEST_DEFECTS_PER_KIND,
  TEST_NORMALS,
  TRAIN_ANOMALIES,
  TRAIN_IMAGES,
} from '../../src/data/demo/index.js';
import type { Split } from '../../src/data/types.js';
import { baselineScores } from '../../src/evaluation/baselines.js';
import { rocAuc } from '../../src/evaluation/roc.js';

/** SHA-256 of everything that `openDemo` generates for a surface. They change only when the data set does. */
const fingerprints: Record<string, string> = {
  metal: '72277b0c033a91e14b782d9e76636723f951e719cd0a4897a188558629359f97',
  fabric: 'ad2283ede02b9a2e54b82ba52537a19ad4ae579edfe3ed3cc236adc94518e2e5',
  wood: 'd3efca09e309a085e842d46b87b98c83cfddc4c4a1ade7ecaa8d497ee31a18b1',
  leather: 'e393795faa14550b1ebfa86c57c20949df051d81f41103372f61feb89cc85c00',
};

/** Surfaces of the default generator seed, each generated once for all tests. */
const opened = new Map<string, ReturnType<typeof openDemo>>();
function open(className: string): ReturnType<typeof openDemo> {
  const known = opened.get(className) ?? openDemo({ seed: 5, className });
  opened.set(className, known);
  return known;
}

const digest = (...parts: Uint8Array[]): string => {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest('hex');
};

/** How a marked picture differs from its clean twin: largest change inside and outside the mask, in grey levels. */
function difference(clean: Uint8Array, { pixels, mask }: Marked) {
  let inside = 0;
  let outside = 0;
  let visible = 0;
  for (let pixel = 0; pixel < mask.length; pixel += 1) {
    let largest = 0;
    for (let c = 0; c < CHANNELS; c += 1) {
      const at = pixel * CHANNELS + c;
      largest = Math.max(largest, Math.abs(pixels[at]! - clean[at]!));
    }
    if (mask[pixel] === 0) outside = Math.max(outside, largest);
    else inside = Math.max(inside, largest);
    if (mask[pixel] === 1 && largest >= 4) visible += 1;
  }
  const area = areaOf(mask);
  return { inside, outside, area, visible: visible / (area * mask.length) };
}

const pictures = (split: Split): string[] =>
  split.images.images.map(({ pixels }) =>
    digest(split.images.bytes.subarray(pixels, pixels + SIZE * SIZE * CHANNELS)),
  );

describe('openDemo', () => {
  it.each(demoSurfaces)(
    'generates the same %s everywhere, whatever the seed of the training',
    async (name) => {
      const { train, anomalies, test } = await open(name);
      expect(digest(train.images.bytes, anomalies!.images.bytes, test!.images.bytes)).toBe(
        fingerprints[name],
      );
    },
  );

  it('holds every kind of defect, with masks that lie where the store says', async () => {
    const { test, train, anomalies } = await open('metal');
    expect(train.records).toHaveLength(TRAIN_IMAGES);
    expect(train.records.every(({ label }) => label === 0)).toBe(true);
    expect(anomalies!.records).toHaveLength(TRAIN_ANOMALIES);
    const { records, images, masks } = test!;
    expect(records.filter(({ label }) => label === 0)).toHaveLength(TEST_NORMALS);
    for (const kind of demoDefects) {
      expect(records.filter(({ type }) => type === kind)).toHaveLength(TEST_DEFECTS_PER_KIND);
    }
    expect(new Set(records.map(({ name }) => name)).size).toBe(records.length);
    records.forEach(({ label }, i) => {
      const place = images.images[i]!;
      expect(place.label).toBe(label);
      const stored = images.bytes.subarray(place.mask!, place.mask! + SIZE * SIZE);
      expect(digest(stored)).toBe(digest(masks![i]!.data));
      expect(areaOf(stored) > 0).toBe(label === 1);
    });
  });

  it('shows no picture twice', async () => {
    const { train, anomalies, test } = await open('metal');
    const further = await openDemo({ seed: 0, className: 'metal@2', only: 'train' });
    const all = [train, anomalies!, test!, further.train].flatMap(pictures);
    expect(new Set(all).size).toBe(all.length);
    expect(new Set(Object.values(parts)).size).toBe(Object.keys(parts).length);
  });

  it('takes a surface by name or number and another generator seed', async () => {
    const byNumber = await openDemo({ seed: 0, className: '1', only: 'test' });
    expect(byNumber.className).toBe('fabric');
    expect(byNumber.classIndex).toBe(1);
    expect(byNumber.train.records).toHaveLength(0);
    const further = await openDemo({ seed: 0, className: 'Fabric@2', only: 'test' });
    expect(further.className).toBe('fabric@2');
    expect(pictures(further.test!)).not.toEqual(pictures(byNumber.test!));
    const first = await openDemo({ seed: 0, only: 'test' });
    expect(first.className).toBe('metal');
    expect(first.anomalies).toBeNull();
    expect((await openDemo({ seed: 0, only: 'train', anomalies: false })).anomalies).toBeNull();
    // Another seed of the training, the same pictures.
    expect(pictures(first.test!)).toEqual(pictures((await open('metal')).test!));
  });

  it.each(['velvet', '4', '-1', 'metal@', 'metal@x', 'metal@1@2', ''])(
    'refuses the class "%s"',
    async (name) => {
      // Only the name: a data set in a failure message would fill the memory.
      const opening = openDemo({ seed: 0, className: name, only: 'test' }).then((set) => set.className);
      await expect(opening).rejects.toMatchObject({
        code: 'FCDD_INVALID_ARGUMENT',
        hint: expect.stringContaining('leather (3)'),
      });
    },
  );

  it('offers pipelines of the size that it stores', async () => {
    const { pipelines, stored } = await openDemo({ seed: 0, only: 'test' });
    for (const preprocessing of ['lcnaug1', 'aug1'] as const) {
      const { train, test } = pipelines(preprocessing);
      expect([train.height, train.width]).toEqual([stored.height, stored.width]);
      expect(train.lcn).toBe(preprocessing === 'lcnaug1');
      expect(test).not.toHaveProperty('noise');
      expect(test).not.toHaveProperty('flip');
    }
    expect(demoDefaults.epochs).toBeGreaterThan(0);
  });
});

describe.each(demoSurfaces)('defects on %s', (surface) => {
  it.each(demoDefects)('%s: faint, small, exactly masked, visible', (kind) => {
    for (let index = 0; index < 12; index += 1) {
      const key: PictureKey = { seed: 1, surface, part: 'testDefect', index };
      const { inside, outside, area, visible } = difference(createClean(key), createDefective(key, kind));
      expect(outside).toBe(0);
      expect(inside).toBeLessThanOrEqual(MAX_CONTRAST * 255);
      expect(inside).toBeGreaterThanOrEqual(0.05 * 255);
      expect(area).toBeGreaterThanOrEqual(MIN_AREA);
      expect(area).toBeLessThanOrEqual(MAX_AREA);
      expect(visible).toBeGreaterThan(0.6);
    }
  });

  it('synthetic anomalies change nothing outside their masks', () => {
    for (let index = 0; index < 12; index += 1) {
      const key: PictureKey = { seed: 1, surface, part: 'trainAnomaly', index };
      const { inside, outside, area } = difference(createClean(key), createAnomalous(key));
      expect(outside).toBe(0);
      expect(inside).toBeGreaterThan(0);
      expect(area).toBeGreaterThan(0);
    }
  });

  it.each(['', '@2'])('give nothing away to arithmetic (generator seed "%s")', async (seed) => {
    const { train, test } = await open(surface + seed);
    const labels = test!.records.map(({ label }) => label);
    const found = baselineScores(train.images, test!.images);
    expect(found).toHaveLength(4);
    for (const { name, scores } of found) {
      const auc = rocAuc(scores, labels)!;
      expect(Math.max(auc, 1 - auc), name).toBeLessThanOrEqual(0.75);
    }
  });
});
