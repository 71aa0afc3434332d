import { mkdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { openDataSet } from '../../src/data/index.js';
import type { OpenOptions } from '../../src/data/types.js';
import { failure, temporaryFolder, write, writeMask, writePicture } from './fixtures.js';

const folder = temporaryFolder();
const open = (dir: string, options: Partial<OpenOptions> = {}) =>
  openDataSet('folder', { dir, seed: 0, ...options });

/** train|test/screw/{normal,anomalous}, the anomalous test pictures in two kinds. */
async function labelled(name: string): Promise<string> {
  const root = join(folder, name);
  for (const i of [0, 1, 2])
    await writePicture(join(root, 'train/screw/normal', `${i}.png`), { seed: i + 1 });
  await writePicture(join(root, 'train/screw/anomalous/9.png'), { seed: 9 });
  for (const i of [0, 1]) await writePicture(join(root, 'test/screw/normal', `${i}.png`), { seed: i + 11 });
  await writePicture(join(root, 'test/screw/anomalous/bent/0.png'), { seed: 20 });
  await writePicture(join(root, 'test/screw/anomalous/1.png'), { seed: 21 });
  return root;
}

async function oneVsRest(name: string): Promise<string> {
  const root = join(folder, name);
  for (const kind of ['cat', 'dog', 'eel']) {
    for (const i of [0, 1]) {
      await writePicture(join(root, 'train', kind, `${i}.png`), { seed: i + 1 });
      await writePicture(join(root, 'test', kind, `${i}.png`), { seed: i + 5 });
    }
  }
  return root;
}

describe('train|test/<class>/{normal,anomalous}', () => {
  it('opens with the anomalies by kind', async () => {
    const set = await open(await labelled('labelled'));
    expect(set).toMatchObject({
      name: 'folder',
      className: 'screw',
      classIndex: 0,
      pixelwise: false,
      constants: null,
      repeat: 1,
      preprocessing: 'aug1',
      stored: { fit: 'exact', height: 248, width: 248, interpolation: 'area' },
      warnings: [],
    });
    expect(set.train.records.map(({ name }) => name)).toEqual(
      [0, 1, 2].map((i) => `train/screw/normal/${i}.png`),
    );
    expect(set.anomalies!.records).toEqual([
      { name: 'train/screw/anomalous/9.png', label: 1, type: 'anomalous' },
    ]);
    expect(set.test!.records.map(({ name, label, type }) => [name, label, type])).toEqual([
      ['test/screw/anomalous/1.png', 1, 'anomalous'],
      ['test/screw/anomalous/bent/0.png', 1, 'bent'],
      ['test/screw/normal/0.png', 0, 'normal'],
      ['test/screw/normal/1.png', 0, 'normal'],
    ]);
    expect(set.test!.masksMissing).toMatch(/no masks/);
  });

  it('takes masks of equal names, whatever their extension', async () => {
    const root = await labelled('masked');
    await writeMask(join(root, 'test_maps/screw/anomalous/bent/0.png'), 12, 16);
    await writePicture(join(root, 'test/screw/anomalous/1.jpg'), { format: 'jpeg' });
    rmSync(join(root, 'test/screw/anomalous/1.png'));
    await writeMask(join(root, 'test_maps/screw/anomalous/1.png'), 12, 16, 3);
    await writeMask(join(root, 'train_maps/screw/anomalous/9.png'), 12, 16);
    const set = await open(root);
    expect(set.pixelwise).toBe(true);
    expect(set.test!.masks!.map(({ data }) => data.reduce((sum, value) => sum + value, 0))).toEqual([
      48, 32, 0, 0,
    ]);
    expect(set.anomalies!.images.images[0]!.mask).not.toBeNull();
    expect(set.summary.join()).toMatch(/4 normal|2 normal, 2 anomalous pictures, 2 masks/);
  });

  it('with a mask missing has no pixel figures; masks without picture are mentioned', async () => {
    const root = await labelled('half masked');
    await writeMask(join(root, 'test_maps/screw/anomalous/1.png'), 12, 16);
    await writeMask(join(root, 'test_maps/screw/anomalous/77.png'), 12, 16);
    const { test, warnings, pixelwise } = await open(root);
    expect(pixelwise).toBe(true);
    expect(test!.masks).toBeNull();
    expect(test!.masksMissing).toMatch(/1 of 2 .*bent\/0\.png.*test_maps\/screw\/anomalous\/bent\/0\.png/);
    expect(warnings.join()).toMatch(/1 masks belong to no picture of test\/ \(screw\/anomalous\/77\.png\)/);
  });

  it('names strange and mixed folders', async () => {
    const root = await labelled('strange');
    renameSync(join(root, 'test/screw/normal'), join(root, 'test/screw/Normal'));
    await failure(open(root), 'FCDD_BAD_DATA', /normal and anomalous, found Normal/);
    const mixed = await labelled('mixed');
    await writePicture(join(mixed, 'train/nut/0.png'));
    await failure(
      open(mixed, { className: 'screw' }),
      'FCDD_BAD_DATA',
      /screw have a folder normal\/, nut have not/,
    );
    const none = await labelled('none normal');
    rmSync(join(none, 'train/screw/normal'), { recursive: true });
    await failure(open(none), 'FCDD_BAD_DATA', /no normal training pictures.*train\/screw\/normal/);
  });
});

describe('train|test/<class>', () => {
  it('opens one-vs-rest', async () => {
    const root = await oneVsRest('classes');
    const set = await open(root, { className: 'dog' });
    expect([set.className, set.classIndex]).toEqual(['dog', 1]);
    expect(set.train.records.map(({ type }) => type)).toEqual(['dog', 'dog']);
    expect(set.anomalies!.records.map(({ type }) => type)).toEqual(['cat', 'cat', 'eel', 'eel']);
    expect(set.test!.records.map(({ label }) => label)).toEqual([1, 1, 0, 0, 1, 1]);
    expect((await open(root, { className: '2' })).className).toBe('eel');
    expect((await open(root, { className: '2', anomalies: false })).anomalies).toBeNull();
  });

  it('asks which class is normal', async () => {
    const root = await oneVsRest('which');
    await failure(open(root), 'FCDD_INVALID_ARGUMENT', /0 cat, 1 dog, 2 eel/, /--class/);
    await failure(open(root, { className: '3' }), 'FCDD_INVALID_ARGUMENT', /received '3'/);
  });

  it('takes test classes that training does not have for anomalies; one training class needs no choice', async () => {
    const root = join(folder, 'one class');
    await writePicture(join(root, 'train/good/0.png'));
    await writePicture(join(root, 'test/good/0.png'));
    await writePicture(join(root, 'test/broken/0.png'));
    mkdirSync(join(root, 'ground_truth'));
    const set = await open(root);
    expect(set.test!.records.map(({ label, type }) => [label, type])).toEqual([
      [1, 'broken'],
      [0, 'good'],
    ]);
    expect(set.warnings.join()).toMatch(/--dataset mvtec/);
  });

  it('prefers a class name to an index', async () => {
    const root = join(folder, 'digits');
    for (const name of ['1', '2']) await writePicture(join(root, 'train', name, '0.png'));
    expect((await open(root, { className: '1' })).className).toBe('1');
    expect((await open(root, { className: '0' })).className).toBe('1');
  });
});

describe('one flat folder', () => {
  it('is all normal, without test', async () => {
    const root = join(folder, 'just pictures');
    for (const i of [2, 10, 1]) await writePicture(join(root, `${i}.png`), { channels: 1 });
    await writePicture(join(root, 'old/3.png'));
    write(join(root, 'readme.md'), 'x');
    const set = await open(root);
    expect(set.train.records).toEqual(
      ['1.png', '2.png', '10.png'].map((name) => ({ name, label: 0, type: 'good' })),
    );
    expect(set).toMatchObject({ test: null, anomalies: null, classIndex: null, grey: true });
    expect(set.testMissing).toMatch(/one folder of good pictures/);
    expect(set.warnings.join()).toMatch(/ignored 1 \.md.*not its folders old/);
    await failure(open(root, { className: 'cat' }), 'FCDD_INVALID_ARGUMENT', /one folder of pictures/);
    await failure(open(root, { only: 'test' }), 'FCDD_BAD_DATA', /no test pictures/);
  });
});

describe('layouts that are none', () => {
  it('are told apart', async () => {
    await writePicture(join(folder, 'upper/Train/a/0.png'));
    await failure(open(join(folder, 'upper')), 'FCDD_NOT_FOUND', /rename Train to train/);
    await writePicture(join(folder, 'no class/train/0.png'));
    await failure(open(join(folder, 'no class')), 'FCDD_NOT_FOUND', /directly in train/);
    await writePicture(join(folder, 'inner/train/a/0.png'));
    await failure(open(join(folder, 'inner/train')), 'FCDD_NOT_FOUND', /it is the train folder/);
    mkdirSync(join(folder, 'hollow/train'), { recursive: true });
    await failure(open(join(folder, 'hollow')), 'FCDD_NOT_FOUND', /train\/ has no pictures: it is empty/);
    await writePicture(join(folder, 'other/a/0.png'));
    await failure(open(join(folder, 'other')), 'FCDD_NOT_FOUND', /only folders \(a\)/);
    await failure(open(join(folder, 'absent')), 'FCDD_NOT_FOUND', /does not exist/);
  });
});

describe('sizes and pipelines', () => {
  it('inspects whole pictures, trained on crops and whole ones', async () => {
    const { pipelines } = await open(await labelled('whole'));
    expect(pipelines('aug1').test).toMatchObject({
      height: 224,
      width: 224,
      resize: { height: 224, width: 224 },
    });
    expect(pipelines('aug1').train).toMatchObject({ randomCrop: true, orResize: true, flip: true });
    expect(pipelines('aug1').train.jitterFirst).toBeUndefined();
  });

  it('crops the centre of short side 248 as published, on request', async () => {
    const root = await labelled('published');
    await writePicture(join(root, 'train/screw/normal/0.png'), { height: 10, width: 25 });
    const set = await open(root, { referencePreprocessing: true });
    expect(set.stored).toEqual({ fit: 'short-side', height: 248, width: 248, interpolation: 'bilinear' });
    expect(set.train.images.images.map(({ height, width }) => [height, width])).toEqual([
      [248, 620],
      [248, 330],
      [248, 330],
    ]);
    const { train, test } = set.pipelines('aug1');
    expect(test.resize).toBeUndefined();
    expect(train).toMatchObject({ randomCrop: true, flip: true, jitterFirst: true });
    expect(train.orResize).toBeUndefined();
  });

  it('stores by nearest neighbour as published where there are masks', async () => {
    const root = await labelled('published masks');
    await writeMask(join(root, 'train_maps/screw/anomalous/9.png'), 12, 16);
    const set = await open(root, { referencePreprocessing: true });
    expect(set.stored).toEqual({ fit: 'exact', height: 248, width: 248, interpolation: 'nearest' });
    expect(set.pipelines('aug1').test.resize).toEqual({ height: 224, width: 224 });
  });
});
