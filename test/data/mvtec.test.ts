import { cpSync, mkdirSync, renameSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { openDataSet } from '../../src/data/index.js';
import { resizeNearest } from '../../src/data/resample.js';
import type { OpenOptions } from '../../src/data/types.js';
import { bmp } from './encoders.js';
import {
  encode,
  expectSameBytes,
  expectSameSplit,
  failure,
  pattern,
  temporaryFolder,
  write,
  writeMask,
  writePicture,
} from './fixtures.js';

const folder = temporaryFolder();
const open = (dir: string, options: Partial<OpenOptions> = {}) =>
  openDataSet('mvtec', { dir, seed: 0, ...options });

/** A category: 3 good training pictures, 2 good ones and 2+1 defects for test, with masks. */
async function category(name: string): Promise<string> {
  const root = join(folder, name);
  for (const i of [10, 2, 1]) await writePicture(join(root, 'train/good', `${i}.png`), { seed: i });
  for (const i of [0, 1]) await writePicture(join(root, 'test/good', `${i}.png`), { seed: 20 + i });
  for (const i of [0, 1]) {
    await writePicture(join(root, 'test/scratch', `${i}.png`), { seed: 30 + i });
    await writeMask(join(root, 'ground_truth/scratch', `${i}_mask.png`), 12, 16);
  }
  await writePicture(join(root, 'test/dent', '0.png'), { seed: 40, height: 30, width: 20 });
  await writeMask(join(root, 'ground_truth/dent', '0_mask.png'), 30, 20, 3);
  return root;
}

describe('a category', () => {
  it('opens with roles, labels, types and masks of their own sizes', async () => {
    const set = await open(await category('own product'));
    expect(set).toMatchObject({
      name: 'mvtec',
      className: 'own product',
      classIndex: null,
      channels: 3,
      grey: false,
      pixelwise: true,
      constants: null,
      repeat: 10,
      preprocessing: 'lcnaug1',
      stored: { fit: 'exact', height: 240, width: 240, interpolation: 'area' },
      warnings: [],
    });
    expect(set.train.records.map(({ name }) => name)).toEqual([
      'train/good/1.png',
      'train/good/2.png',
      'train/good/10.png',
    ]);
    expect(set.test!.records.map(({ name, label, type }) => [name, label, type])).toEqual([
      ['test/dent/0.png', 1, 'dent'],
      ['test/good/0.png', 0, 'good'],
      ['test/good/1.png', 0, 'good'],
      ['test/scratch/0.png', 1, 'scratch'],
      ['test/scratch/1.png', 1, 'scratch'],
    ]);
    const masks = set.test!.masks!;
    expect(masks.map(({ height, width }) => [height, width])).toEqual([
      [30, 20],
      [12, 16],
      [12, 16],
      [12, 16],
      [12, 16],
    ]);
    expect(masks.map(({ data }) => data.reduce((sum, value) => sum + value, 0))).toEqual([60, 0, 0, 32, 32]);
    expect(set.summary.join('\n')).toMatch(
      /train\/good: 3 normal.*\n.*test\/dent: 1 anomalous pictures, 1 masks/,
    );
  });

  it('stores the labelled anomalies with masks brought to 240×240 by ⌊i·in/out⌋', async () => {
    const set = await open(await category('anomalies'));
    const { images, records } = set.anomalies!;
    expect(records.map(({ name }) => name)).toEqual([
      'test/dent/0.png',
      'test/scratch/0.png',
      'test/scratch/1.png',
    ]);
    const { mask, height, width } = images.images[1]!;
    const stored = images.bytes.subarray(mask!, mask! + height * width);
    const original = {
      height: 12,
      width: 16,
      channels: 1 as const,
      data: new Uint8Array(192).fill(1, 0, 32),
    };
    expectSameBytes(stored, resizeNearest(original, 240, 240).data);
    expect((await open(join(folder, 'anomalies'), { anomalies: false })).anomalies).toBeNull();
  });

  it('reads png, jpg, bmp and tiff, grey and colour, side by side', async () => {
    const root = await category('formats');
    await writePicture(join(root, 'train/good/a.JPG'), { format: 'jpeg', height: 40, width: 9 });
    await writePicture(join(root, 'train/good/b.tif'), { format: 'tiff', channels: 1 });
    write(join(root, 'train/good/c.bmp'), bmp(5, 7, 24, false).file);
    await writePicture(join(root, 'train/good/no-extension'), {});
    write(join(root, 'train/good/notes.txt'), 'x');
    const set = await open(root);
    expect(set.train.records).toHaveLength(7);
    expect(set.warnings).toEqual(['train/good: ignored 1 .txt']);
  });

  it('knows grey training pictures', async () => {
    const root = join(folder, 'grey');
    for (const i of [0, 1]) await writePicture(join(root, 'train/good', `${i}.png`), { channels: 1 });
    const set = await open(root);
    expect(set.grey).toBe(true);
    const { bytes } = set.train.images;
    expect(bytes.length).toBe(2 * 240 * 240 * 3);
    expect(bytes[0] === bytes[1] && bytes[1] === bytes[2]).toBe(true);
  });

  it('needs good pictures only', async () => {
    const root = join(folder, 'good only');
    await writePicture(join(root, 'train/good/0.png'));
    const set = await open(root);
    expect(set.test).toBeNull();
    expect(set.testMissing).toMatch(/no test pictures/);
    await failure(open(root, { only: 'test' }), 'FCDD_BAD_DATA', /no test pictures/);
  });

  it('gives the same bytes whatever the order of decoding, and follows links', async () => {
    const root = await category('linked');
    symlinkSync(join(root, 'train/good/1.png'), join(root, 'train/good/99.png'));
    symlinkSync(root, join(root, 'train/good/loop'));
    const [a, b] = [await open(root), await open(root)];
    expectSameSplit(a.train, b.train);
    expect(a.train.records.at(-1)!.name).toBe('train/good/99.png');
  });

  it('loads one part, and reports progress', async () => {
    const root = await category('parts');
    const steps: number[][] = [];
    const train = await open(root, { only: 'train', onProgress: (done, total) => steps.push([done, total]) });
    expect([train.train.records.length, train.test, train.anomalies]).toEqual([3, null, null]);
    expect(steps).toEqual([
      [1, 3],
      [2, 3],
      [3, 3],
    ]);
    rmSync(join(root, 'train'), { recursive: true });
    const test = await open(root, { only: 'test' });
    expect([test.train.records.length, test.test!.records.length]).toEqual([0, 5]);
  });

  it('reads names with spaces and any script', async () => {
    const root = await category('Größe 你好 (1)');
    await writePicture(join(root, 'test/scratch/kratzer #1 ä.png'));
    await writeMask(join(root, 'ground_truth/scratch/kratzer #1 a\u0308_mask.png'), 12, 16);
    const set = await open(root);
    expect(set.test!.masks).toHaveLength(6);
  });
});

describe('published categories', () => {
  it('are known by name: nearest resizing and published constants, and the summary says so', async () => {
    const set = await open(await category('hazelnut'));
    expect(set.stored.interpolation).toBe('nearest');
    expect(set.classIndex).toBe(5);
    expect(set.constants!.mean[0]).toBe(0.2390524297952652);
    expect(set.summary.join()).toMatch(/published constants of MVTec AD's 'hazelnut'/);
    const { pixels } = set.train.images.images[0]!;
    const source = { height: 12, width: 16, channels: 3 as const, data: pattern(12, 16, 3, 1) };
    expectSameBytes(
      set.train.images.bytes.subarray(pixels, pixels + 172800),
      resizeNearest(source, 240, 240).data,
    );
  });

  it('lose the published constants with area resizing; one own category can be forced to nearest', async () => {
    const area = await open(await category('tile'), { resize: 'area' });
    expect([area.constants, area.stored.interpolation]).toEqual([null, 'area']);
    const nearest = await open(await category('mine'), { resize: 'nearest' });
    expect([nearest.constants, nearest.stored.interpolation]).toEqual([null, 'nearest']);
  });
});

describe('a root of categories', () => {
  it('needs a class when it holds several', async () => {
    const one = await category('mvtec/bottle');
    expect((await open(join(folder, 'mvtec'))).className).toBe('bottle');
    cpSync(one, join(folder, 'mvtec/cable'), { recursive: true });
    await failure(open(join(folder, 'mvtec')), 'FCDD_INVALID_ARGUMENT', /0 bottle, 1 cable/, /--class/);
    expect((await open(join(folder, 'mvtec'), { className: '1' })).className).toBe('cable');
    // The folder above holds mvtec/ among other things.
    mkdirSync(join(folder, 'roots'));
    renameSync(join(folder, 'mvtec'), join(folder, 'roots/mvtec'));
    expect((await open(join(folder, 'roots'), { className: 'Cable' })).className).toBe('cable');
    await failure(open(join(folder, 'roots'), { className: 'screw' }), 'FCDD_INVALID_ARGUMENT', /0 bottle/);
  });

  it('refuses a class that a single category is not', async () => {
    const root = await category('single');
    expect((await open(root, { className: 'single' })).className).toBe('single');
    await failure(open(root, { className: 'carpet' }), 'FCDD_INVALID_ARGUMENT', /'single' itself/);
  });
});

describe('typical mistakes', () => {
  const refused = (dir: string, ...texts: RegExp[]) => failure(open(dir), 'FCDD_NOT_FOUND', ...texts);

  it('pointing too deep or too high', async () => {
    const root = await category('line/part');
    await refused(
      join(root, 'train/good'),
      /3 pictures lie directly in it/,
      /pass the folder above train\/: .*part/,
    );
    await refused(join(root, 'train'), /it is the train folder/, /pass the folder above/);
    await writePicture(join(folder, 'high/deep/part/train/good/0.png'));
    await refused(join(folder, 'high'), /deep\/part is/, /high\/deep/);
  });

  it('other names for good', async () => {
    for (const [i, name] of ['train/Good', 'train/OK', 'Train/good', 'train/normal'].entries()) {
      await writePicture(join(folder, `named${i}`, name, '0.png'));
      await refused(join(folder, `named${i}`), new RegExp(`rename ${name} to train/good`));
    }
    const root = await category('test names');
    renameSync(join(root, 'test/good'), join(root, 'test/Good'));
    await failure(
      open(root),
      'FCDD_BAD_DATA',
      /test\/Good would count as a defect/,
      /rename it to test\/good/,
    );
  });

  it('no good folder at all', async () => {
    await writePicture(join(folder, 'flat train/train/0.png'));
    await refused(join(folder, 'flat train'), /directly in train/, /train\/good/);
    await writePicture(join(folder, 'flat/0.png'));
    await refused(join(folder, 'flat'), /1 pictures lie directly/, /--dataset folder/);
    mkdirSync(join(folder, 'nothing'));
    await refused(join(folder, 'nothing'), /neither folders nor pictures/);
    await writePicture(join(folder, 'classes/train/cat/0.png'));
    await refused(join(folder, 'classes'), /train\/ holds cat/, /--dataset folder/);
  });

  it('files of the wrong kind in train/good', async () => {
    write(join(folder, 'heic/train/good/a.heic'), 'ftyp');
    write(join(folder, 'heic/train/good/b.heic'), 'ftyp');
    await failure(
      open(join(folder, 'heic')),
      'FCDD_BAD_DATA',
      /none of its 2 files is a picture \(2 .heic\)/,
    );
    mkdirSync(join(folder, 'void/train/good'), { recursive: true });
    await failure(open(join(folder, 'void')), 'FCDD_BAD_DATA', /it is empty/);
  });

  it('a corrupt picture is named, not skipped', async () => {
    const root = await category('corrupt');
    write(join(root, 'train/good/5.png'), (await encode({ height: 50, width: 50 })).subarray(0, 2000));
    await failure(open(root), 'FCDD_BAD_IMAGE', /train\/good\/5\.png/);
  });
});

describe('masks', () => {
  it('are found as <stem>_mask.png and as <stem>.png', async () => {
    const root = await category('plain masks');
    renameSync(join(root, 'ground_truth/scratch/0_mask.png'), join(root, 'ground_truth/scratch/0.png'));
    expect((await open(root)).test!.masks![3]!.data.includes(1)).toBe(true);
  });

  it('one missing: pixel figures are off, and the reason names it', async () => {
    const root = await category('one missing');
    rmSync(join(root, 'ground_truth/scratch/1_mask.png'));
    const { test, warnings, anomalies } = await open(root);
    expect(test!.masks).toBeNull();
    expect(test!.masksMissing).toMatch(
      /1 of 3 .* test\/scratch\/1\.png .*ground_truth\/scratch\/1_mask\.png/,
    );
    expect(warnings.join()).toMatch(/no pixel figures: 1 of 3/);
    expect(anomalies!.images.images.map(({ mask }) => mask !== null)).toEqual([true, true, false]);
  });

  it('all missing, or in another folder', async () => {
    const root = await category('elsewhere');
    renameSync(join(root, 'ground_truth'), join(root, 'masks'));
    expect((await open(root)).test!.masksMissing).toMatch(/ground_truth.*not in masks/);
    const inside = await category('inside');
    renameSync(join(inside, 'ground_truth/scratch/0_mask.png'), join(inside, 'test/scratch/0_mask.png'));
    await failure(open(inside), 'FCDD_BAD_DATA', /masks among the pictures/, /ground_truth/);
  });

  it('without a picture are mentioned', async () => {
    const root = await category('orphans');
    await writeMask(join(root, 'ground_truth/scratch/7_mask.png'), 12, 16);
    expect((await open(root)).warnings.join()).toMatch(
      /1 masks belong to no picture of test\/scratch \(7_mask\)/,
    );
  });

  it('of another resolution are kept at it, of other proportions refused', async () => {
    const root = await category('sizes');
    await writeMask(join(root, 'ground_truth/scratch/0_mask.png'), 24, 32, 4);
    const { test, warnings } = await open(root);
    expect([test!.masks![3]!.height, test!.masks![3]!.width]).toEqual([24, 32]);
    expect(warnings.join()).toMatch(/mask of test\/scratch\/0\.png is 32×24, its picture 16×12/);
    await writeMask(join(root, 'ground_truth/scratch/0_mask.png'), 16, 16);
    await failure(
      open(root),
      'FCDD_BAD_DATA',
      /0_mask\.png is 16×16, its picture 16×12/,
      /proportions differ/,
    );
    await writeMask(join(root, 'ground_truth/scratch/0_mask.png'), 16, 12);
    await failure(open(root), 'FCDD_BAD_DATA', /EXIF/);
  });

  it('count from 128 on; 0 and 1 are understood; empty ones are mentioned', async () => {
    const root = await category('values');
    const write128 = (white: number) =>
      writeMask(join(root, 'ground_truth/scratch/0_mask.png'), 12, 16, 2, white);
    const marked = async () => {
      const { test, warnings } = await open(root);
      return [test!.masks![3]!.data.reduce((sum, value) => sum + value, 0), warnings.join()] as const;
    };
    await write128(128);
    expect(await marked()).toEqual([32, '']);
    await write128(127);
    expect((await marked())[0]).toBe(0);
    expect((await marked())[1]).toMatch(/marks nothing: its largest value is 127.*is empty/);
    await write128(1);
    expect((await marked())[0]).toBe(32);
    expect((await marked())[1]).toMatch(/values 0 and 1/);
  });

  it('may be painted in colour', async () => {
    const root = await category('red');
    const data = new Uint8Array(12 * 16 * 3);
    for (let i = 0; i < 10; i++) data[3 * i] = 255;
    write(join(root, 'ground_truth/scratch/0_mask.png'), await encode({ height: 12, width: 16, data }));
    expect((await open(root)).test!.masks![3]!.data.reduce((sum, value) => sum + value, 0)).toBe(10);
  });

  it('shared by two pictures of one name are mentioned', async () => {
    const root = await category('twins');
    await writePicture(join(root, 'test/scratch/0.jpg'), { format: 'jpeg' });
    expect((await open(root)).warnings.join()).toMatch(
      /test\/scratch\/0\.jpg and test\/scratch\/0\.png share one mask/,
    );
  });
});
