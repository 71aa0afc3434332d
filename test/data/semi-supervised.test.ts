import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { drawAnomalies, openDataSet } from '../../src/data/index.js';
import { FcddError } from '../../src/errors.js';
import { cifarRecords, temporaryFolder, write, writeMask, writePicture } from './fixtures.js';

const folder = temporaryFolder();

async function category() {
  for (const i of [0, 1]) await writePicture(join(folder, 'part/train/good', `${i}.png`), { seed: i + 1 });
  await writePicture(join(folder, 'part/test/good/0.png'));
  for (const type of ['dent', 'scratch']) {
    for (let i = 0; i < 4; i++) {
      await writePicture(join(folder, 'part/test', type, `${i}.png`), { seed: i + 3 });
      await writeMask(join(folder, 'part/ground_truth', type, `${i}_mask.png`), 12, 16, i + 1);
    }
  }
  return openDataSet('mvtec', { dir: join(folder, 'part'), seed: 0 });
}

describe('labelled anomalies', () => {
  it('are drawn per type from the seed and leave the test split', async () => {
    const set = await category();
    const { anomalies, test, removed } = drawAnomalies(set, { limit: 1, seed: 3 });
    expect(anomalies.records.map(({ type }) => type)).toEqual(['dent', 'scratch']);
    expect(removed).toBe(2);
    const names = test!.records.map(({ name }) => name);
    for (const { name } of anomalies.records) expect(names).not.toContain(name);
    expect(test!.records).toHaveLength(7);
    for (const [i, { name, label }] of test!.records.entries()) {
      const at = set.test!.records.findIndex((record) => record.name === name);
      expect(test!.masks![i]).toBe(set.test!.masks![at]);
      expect(test!.images.images[i]!.label).toBe(label);
    }
    expect(drawAnomalies(set, { limit: 1, seed: 3 }).anomalies.records).toEqual(anomalies.records);
    const seeds = [1, 2, 3, 4, 5, 6].map(
      (seed) => drawAnomalies(set, { limit: 1, seed }).anomalies.records[0]!.name,
    );
    expect(new Set(seeds).size).toBeGreaterThan(1);
  });

  it('stay in the test split as published, on request', async () => {
    const set = await category();
    const { test, removed, kept } = drawAnomalies(set, { limit: 1, seed: 3, keepInTest: true });
    expect([test!.records.length, removed, kept]).toEqual([9, 0, 2]);
  });

  it('can be named, in that order, to repeat a run', async () => {
    const set = await category();
    const names = ['test/scratch/2.png', 'test/dent/1.png'];
    const { anomalies, test } = drawAnomalies(set, { limit: 1, seed: 9, names });
    expect(anomalies.records.map(({ name }) => name)).toEqual(names);
    expect(test!.records).toHaveLength(7);
    expect(() => drawAnomalies(set, { seed: 9, names: ['test/dent/77.png'] })).toThrow(/dent\/77.png/);
  });

  it('come with their masks, or are anomalous everywhere', async () => {
    const set = await category();
    const masks = (options: 'without' | 'needed') =>
      drawAnomalies(set, { limit: 1, seed: 3, masks: options }).anomalies.images.images.map(
        ({ mask }) => mask !== null,
      );
    expect(masks('needed')).toEqual([true, true]);
    expect(masks('without')).toEqual([false, false]);
    const bare = { ...set, anomalies: drawAnomalies(set, { limit: 2, seed: 1, masks: 'without' }).anomalies };
    expect(() => drawAnomalies(bare, { limit: 1, seed: 0, masks: 'needed' })).toThrow(/has a mask/);
  });

  it('cannot all be taken from the test split', async () => {
    const set = await category();
    expect(() => drawAnomalies(set, { seed: 0 })).toThrow(/all 8 anomalous test pictures/);
    expect(() => drawAnomalies({ ...set, anomalies: null }, { seed: 0 })).toThrow(FcddError);
  });

  it('of a training split leave the test split alone', async () => {
    write(join(folder, 'c/data_batch_1.bin'), cifarRecords([0, 1, 2, 0]));
    write(join(folder, 'c/test_batch.bin'), cifarRecords([0, 1, 2, 0]));
    const set = await openDataSet('cifar10', { dir: join(folder, 'c'), seed: 0 });
    const { anomalies, test, removed } = drawAnomalies(set, { seed: 0 });
    expect([anomalies.records.length, test!.records.length, removed]).toEqual([2, 4, 0]);
  });
});
