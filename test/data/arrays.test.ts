import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterEach, describe, expect, it } from 'vitest';
import { openDataSet } from '../../src/data/index.js';
import {
  cifarRecords,
  expectSameSplit,
  failure,
  idxImages,
  idxLabels,
  pattern,
  temporaryFolder,
  write,
} from './fixtures.js';

const folder = temporaryFolder();
const before = process.env.FCDD_DATA;
afterEach(() => {
  if (before === undefined) delete process.env.FCDD_DATA;
  else process.env.FCDD_DATA = before;
});

const trainLabels = [0, 1, 0, 9, 1, 0];
const testLabels = [1, 0, 5];

/** A small Fashion-MNIST; `zip` decides which files are gzipped. */
function fashionMnist(name: string, zip: (file: string) => boolean = () => false): string {
  const root = join(folder, name);
  const files: [string, Buffer][] = [
    ['train-images-idx3-ubyte', idxImages(6, 28, 28, 1)],
    ['train-labels-idx1-ubyte', idxLabels(trainLabels)],
    ['t10k-images-idx3-ubyte', idxImages(3, 28, 28, 3)],
    ['t10k-labels-idx1-ubyte', idxLabels(testLabels)],
  ];
  for (const [file, data] of files)
    write(join(root, zip(file) ? `${file}.gz` : file), zip(file) ? gzipSync(data) : data);
  return root;
}

describe('fashion-mnist', () => {
  it('opens one-vs-rest: one class normal, all others anomalous', async () => {
    const set = await openDataSet('fashion-mnist', {
      dir: fashionMnist('fm-plain'),
      className: 'Trouser',
      seed: 0,
    });
    expect(set).toMatchObject({
      className: 'Trouser',
      classIndex: 1,
      channels: 1,
      grey: true,
      pixelwise: false,
    });
    expect(set.train.records.map(({ name }) => name)).toEqual([
      'train-images-idx3-ubyte[1]',
      'train-images-idx3-ubyte[4]',
    ]);
    expect(set.train.records.every(({ label, type }) => label === 0 && type === 'Trouser')).toBe(true);
    expect(set.anomalies!.records.map(({ label, type }) => [label, type])).toEqual([
      [1, 'T-shirt/top'],
      [1, 'T-shirt/top'],
      [1, 'Ankle boot'],
      [1, 'T-shirt/top'],
    ]);
    expect(set.test!.records.map(({ label }) => label)).toEqual([0, 1, 1]);
    expect(set.test!.masks).toBeNull();
    expect(set.test!.masksMissing).toMatch(/no masks/);
  });

  it('keeps the pixels as they are in the file', async () => {
    const set = await openDataSet('fashion-mnist', {
      dir: fashionMnist('fm-pixels'),
      className: '1',
      seed: 0,
    });
    const all = pattern(6, 784, 1, 1);
    const { bytes, images } = set.train.images;
    expect(bytes.subarray(images[1]!.pixels, images[1]!.pixels + 784)).toEqual(
      all.subarray(4 * 784, 5 * 784),
    );
    expect(images.map(({ height, width, mask, label }) => [height, width, mask, label])).toEqual([
      [28, 28, null, 0],
      [28, 28, null, 0],
    ]);
  });

  it('reads gzipped and plain files alike, whatever their extension', async () => {
    const plain = await openDataSet('fashion-mnist', { dir: fashionMnist('fm-a'), seed: 0 });
    const zipped = await openDataSet('fashion-mnist', { dir: fashionMnist('fm-b', () => true), seed: 0 });
    const mixed = await openDataSet('fashion-mnist', {
      dir: fashionMnist('fm-c', (f) => /labels/.test(f)),
      seed: 0,
    });
    expectSameSplit(zipped.train, plain.train);
    expectSameSplit(mixed.test!, plain.test!);
    const disguised = fashionMnist('fm-d');
    write(join(disguised, 'train-images-idx3-ubyte'), gzipSync(idxImages(6, 28, 28, 1)));
    expectSameSplit((await openDataSet('fashion-mnist', { dir: disguised, seed: 0 })).train, plain.train);
  });

  it('counts a file and its gzipped twin once', async () => {
    const dir = fashionMnist('fm-twins');
    fashionMnist('fm-twins', () => true);
    expect((await openDataSet('fashion-mnist', { dir, className: '0', seed: 0 })).train.records).toHaveLength(
      3,
    );
  });

  it('finds it in a root that holds fashion-mnist/, in raw/, and through FCDD_DATA', async () => {
    fashionMnist('root/fashion-mnist');
    fashionMnist('torch/FashionMNIST/raw');
    const direct = await openDataSet('fashion-mnist', { dir: join(folder, 'root/fashion-mnist'), seed: 0 });
    const root = await openDataSet('fashion-mnist', { dir: join(folder, 'root'), seed: 0 });
    const torch = await openDataSet('fashion-mnist', { dir: join(folder, 'torch'), seed: 0 });
    process.env.FCDD_DATA = join(folder, 'root');
    const variable = await openDataSet('fashion-mnist', { seed: 0 });
    for (const set of [root, torch, variable]) expectSameSplit(set.train, direct.train);
  });

  it('carries the published constants of its class', async () => {
    const set = await openDataSet('fashion-mnist', {
      dir: fashionMnist('fm-constants'),
      className: 'T-shirt/top',
      seed: 0,
    });
    expect(set.constants).toEqual({
      mean: [0.3256056010723114],
      std: [0.35073918104171753],
      lcnMin: [-2.681239128112793],
      lcnMax: [24.85430908203125],
    });
  });

  it('takes classes by name, index or loosely written name, and lists them otherwise', async () => {
    const dir = fashionMnist('fm-classes');
    for (const className of ['9', 'Ankle boot', 'ankle-boot']) {
      expect((await openDataSet('fashion-mnist', { dir, className, seed: 0 })).classIndex).toBe(9);
    }
    for (const className of ['10', '-1', 'boots', '']) {
      const error = await failure(
        openDataSet('fashion-mnist', { dir, className, seed: 0 }),
        'FCDD_INVALID_ARGUMENT',
      );
      expect(error.message).toMatch(/0 T-shirt\/top, 1 Trouser.*9 Ankle boot/);
    }
    await failure(
      openDataSet('fashion-mnist', { dir, className: 'Bag', seed: 0 }),
      'FCDD_BAD_DATA',
      /no training image.*'Bag'/,
    );
  });

  it('loads only the part that is asked for', async () => {
    const dir = fashionMnist('fm-only');
    const test = await openDataSet('fashion-mnist', { dir, only: 'test', seed: 0 });
    expect([test.train.records.length, test.anomalies, test.test!.records.length]).toEqual([0, null, 3]);
    const train = await openDataSet('fashion-mnist', { dir, only: 'train', anomalies: false, seed: 0 });
    expect([train.train.records.length, train.anomalies, train.test]).toEqual([3, null, null]);
    expect(train.testMissing).toMatch(/not asked for/);
  });

  it('does without test files, and says so', async () => {
    const dir = join(folder, 'fm-train-only');
    write(join(dir, 'train-images-idx3-ubyte'), idxImages(2, 28, 28));
    write(join(dir, 'train-labels-idx1-ubyte'), idxLabels([0, 0]));
    const set = await openDataSet('fashion-mnist', { dir, seed: 0 });
    expect(set.test).toBeNull();
    expect(set.testMissing).toMatch(/no test pictures/);
    await failure(
      openDataSet('fashion-mnist', { dir, only: 'test', seed: 0 }),
      'FCDD_NOT_FOUND',
      /no test part of fashion-mnist/,
    );
  });
});

describe('broken idx files', () => {
  const images = 'train-images-idx3-ubyte';
  const labels = 'train-labels-idx1-ubyte';
  const open = (name: string, files: Record<string, Uint8Array>) => {
    for (const [file, data] of Object.entries(files)) write(join(folder, name, file), data);
    return openDataSet('fashion-mnist', { dir: join(folder, name), seed: 0 });
  };

  it.each([
    [
      'a truncated file',
      { [images]: idxImages(2, 28, 28).subarray(0, 900) },
      /announces 2×28×28 = 1568 bytes, 884 follow/,
    ],
    ['a truncated header', { [images]: idxImages(2, 28, 28).subarray(0, 9) }, /header is truncated/],
    [
      'truncated gzip',
      { [`${images}.gz`]: gzipSync(idxImages(2, 28, 28)).subarray(0, 700) },
      /gzip data is truncated/,
    ],
    [
      'another number of labels',
      { [images]: idxImages(2, 28, 28), [labels]: idxLabels([0]) },
      /2 images.*1 labels/,
    ],
    ['no labels', { [images]: idxImages(2, 28, 28) }, /no label file/],
    [
      'labels out of range',
      { [images]: idxImages(2, 28, 28), [labels]: idxLabels([0, 26]) },
      /label 26 of image 1/,
    ],
    ['another size', { [images]: idxImages(2, 32, 32), [labels]: idxLabels([0, 0]) }, /28×28.*32×32/],
    ['four dimensions', { [images]: Buffer.from([0, 0, 8, 4, 0, 0, 0, 0]) }, /4 dimensions/],
  ])('%s', async (name, files, reason) => {
    await failure(open(`broken ${name}`, files), 'FCDD_BAD_DATA', /train-/, reason);
  });
});

describe('cifar', () => {
  it('opens CIFAR-10 records: planes become interleaved pixels', async () => {
    const dir = join(folder, 'c10');
    write(join(dir, 'data_batch_1.bin'), cifarRecords([3, 0], 1));
    write(join(dir, 'data_batch_2.bin.gz'), gzipSync(cifarRecords([3, 7], 11)));
    write(join(dir, 'test_batch.bin'), cifarRecords([3, 1, 2], 21));
    write(join(dir, 'batches.meta.txt'), 'airplane\n');
    write(join(dir, 'readme.html'), '<html></html>');
    const set = await openDataSet('cifar10', { dir, className: 'cat', seed: 0 });
    expect(set).toMatchObject({ classIndex: 3, channels: 3, grey: false });
    expect(set.train.records.map(({ name }) => name)).toEqual(['data_batch_1.bin[0]', 'data_batch_2.bin[0]']);
    expect(set.test!.records.map(({ type }) => type)).toEqual(['cat', 'automobile', 'bird']);
    const planes = pattern(3, 1024, 1, 11);
    const { bytes, images } = set.train.images;
    for (const p of [0, 1, 500, 1023]) {
      const pixel = [...bytes.subarray(images[1]!.pixels + 3 * p, images[1]!.pixels + 3 * p + 3)];
      expect(pixel).toEqual([planes[p], planes[1024 + p], planes[2048 + p]]);
    }
  });

  it('tells CIFAR-100 from CIFAR-10 by its records and uses the fine label', async () => {
    const dir = join(folder, 'c100');
    write(
      join(dir, 'train.bin'),
      cifarRecords([
        [4, 0],
        [19, 99],
        [4, 0],
      ]),
    );
    write(
      join(dir, 'test.bin'),
      cifarRecords([
        [4, 0],
        [1, 50],
      ]),
    );
    const set = await openDataSet('cifar100', { dir, className: 'apple', seed: 0 });
    expect(set.train.records).toHaveLength(2);
    expect(set.anomalies!.records.map(({ type }) => type)).toEqual(['worm']);
    expect(set.constants).toBeNull();
    await failure(openDataSet('cifar10', { dir, seed: 0 }), 'FCDD_NOT_FOUND', /train\.bin \(cifar100\)/);
  });

  it('says what lies there instead', async () => {
    const cut = join(folder, 'c-cut');
    write(join(cut, 'data_batch_1.bin'), cifarRecords([1, 2]).subarray(0, 5000));
    await failure(openDataSet('cifar10', { dir: cut, seed: 0 }), 'FCDD_NOT_FOUND', /5000 bytes.*truncated/);
    const python = join(folder, 'c-python');
    write(join(python, 'data_batch_1'), Buffer.from([0x80, 2, 0x7d, 0x71, 1, 0x2e]));
    await failure(
      openDataSet('cifar10', { dir: python, seed: 0 }),
      'FCDD_NOT_FOUND',
      /pickle.*binary version/,
    );
    const packed = join(folder, 'c-packed');
    const tar = Buffer.alloc(1024);
    tar.write('ustar', 257, 'latin1');
    write(join(packed, 'cifar-10-binary.tar.gz'), gzipSync(tar));
    await failure(openDataSet('cifar10', { dir: packed, seed: 0 }), 'FCDD_NOT_FOUND', /tar archive: unpack/);
    mkdirSync(join(folder, 'c-empty'));
    await failure(
      openDataSet('cifar10', { dir: join(folder, 'c-empty'), seed: 0 }),
      'FCDD_NOT_FOUND',
      /3073 bytes/,
    );
  });
});

describe('finding data sets', () => {
  it('names what is missing', async () => {
    delete process.env.FCDD_DATA;
    await failure(openDataSet('cifar10', { seed: 0 }), 'FCDD_NOT_FOUND', /no folder given/, /--data DIR/);
    await failure(
      openDataSet('cifar10', { dir: join(folder, 'nowhere'), seed: 0 }),
      'FCDD_NOT_FOUND',
      /nowhere does not exist/,
    );
    const file = write(join(folder, 'cifar-10-binary.tar.gz'), 'x');
    await failure(openDataSet('cifar10', { dir: file, seed: 0 }), 'FCDD_NOT_FOUND', /is a file/, /unpack/);
    process.env.FCDD_DATA = join(folder, 'gone');
    await failure(
      openDataSet('cifar10', { seed: 0 }),
      'FCDD_NOT_FOUND',
      /gone \(from FCDD_DATA\) does not exist/,
    );
    await failure(openDataSet('mnist', { seed: 0 }), 'FCDD_INVALID_ARGUMENT', /demo, fashion-mnist, cifar10/);
  });
});
