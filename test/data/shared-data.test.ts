/** The real data sets beside the repository, where there are some. */
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { openDataSet, openExposure } from '../../src/data/index.js';

const root = fileURLToPath(new URL('../../../shared/data/', import.meta.url));
const present = existsSync(root);
if (!present)
  console.info('shared/data is not beside the repository: the tests on real pictures are left out');

describe.runIf(present)('real data', () => {
  it('Fashion-MNIST, a tenth of it', async () => {
    const set = await openDataSet('fashion-mnist', {
      dir: `${root}fashion-mnist-mini`,
      className: '8',
      seed: 0,
    });
    expect([set.className, set.train.records.length, set.anomalies!.records.length]).toEqual([
      'Bag',
      300,
      2700,
    ]);
    expect(set.test!.records.filter(({ label }) => label === 0)).toHaveLength(100);
    expect(set.warnings).toEqual([]);
  });

  it('CIFAR-10 records, as data set and as outlier exposure', async () => {
    const set = await openDataSet('cifar10', { dir: `${root}oe-mini`, className: 'ship', seed: 0 });
    expect([set.train.records.length, set.test!.records.length]).toEqual([80, 200]);
    const exposure = await openExposure(`${root}oe-mini`, { height: 28, width: 28, channels: 1, seed: 0 });
    expect(exposure.images).toHaveLength(800);
  });

  it('magnetic tiles, an MVTec-like category of grey JPEG files of many sizes', async () => {
    const set = await openDataSet('mvtec', { dir: `${root}magnetic-tile`, seed: 0 });
    expect(set).toMatchObject({ className: 'magnetic-tile', grey: true, constants: null, warnings: [] });
    const types = new Map<string, number>();
    for (const { type } of set.test!.records) types.set(type, (types.get(type) ?? 0) + 1);
    expect(Object.fromEntries(types)).toEqual({
      blowhole: 40,
      break: 40,
      crack: 29,
      fray: 16,
      good: 40,
      uneven: 40,
    });
    expect([set.train.records.length, set.anomalies!.records.length, set.test!.masks!.length]).toEqual([
      160, 165, 205,
    ]);
    for (const [i, { data }] of set.test!.masks!.entries())
      expect(data.includes(1)).toBe(set.test!.records[i]!.label === 1);
  });
});
