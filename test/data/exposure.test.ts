import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { openExposure } from '../../src/data/index.js';
import { resizeBilinear, toChannels } from '../../src/data/resample.js';
import {
  cifarRecords,
  expectSameBytes,
  failure,
  idxImages,
  pattern,
  temporaryFolder,
  write,
  writeMask,
  writePicture,
} from './fixtures.js';

const folder = temporaryFolder();
const before = process.env.FCDD_DATA;
afterEach(() => {
  if (before === undefined) delete process.env.FCDD_DATA;
  else process.env.FCDD_DATA = before;
});

const sample = { height: 28, width: 28, channels: 1, seed: 0 } as const;

function cifar100(name: string): string {
  write(
    join(folder, name, 'train.bin'),
    cifarRecords(Array.from({ length: 20 }, (_, i) => [i, i] as [number, number])),
  );
  write(join(folder, name, 'test.bin'), cifarRecords([[0, 1]]));
  return join(folder, name);
}

/** The first record of `cifarRecords` with seed 1 as interleaved pixels. */
function firstRecord() {
  const planes = pattern(3, 1024, 1, 1);
  const data = Uint8Array.from({ length: 3072 }, (_, i) => planes[(i % 3) * 1024 + Math.floor(i / 3)]!);
  return { height: 32, width: 32, channels: 3 as const, data };
}

describe('outlier exposure', () => {
  it('resizes bilinearly to the sample size, then takes luma', async () => {
    const exposure = await openExposure(cifar100('oe'), sample);
    expect(exposure.images).toHaveLength(20);
    expect(exposure.images.every(({ label, mask }) => label === 1 && mask === null)).toBe(true);
    expectSameBytes(
      exposure.bytes.subarray(0, 784),
      toChannels(resizeBilinear(firstRecord(), 28, 28), 1).data,
    );
    expect(exposure.names[19]).toBe('train.bin[19]');
    expect(exposure.summary.join()).toMatch(/20 pictures of train\.bin/);
  });

  it('keeps colour for three channels, and makes three equal ones for grey data', async () => {
    const colour = await openExposure(cifar100('oe'), { ...sample, height: 32, width: 32, channels: 3 });
    expectSameBytes(colour.bytes.subarray(0, 3072), firstRecord().data);
    const grey = await openExposure(cifar100('oe'), { ...sample, channels: 3, grey: true });
    for (let i = 0; i < 300; i += 3)
      expect(grey.bytes[i] === grey.bytes[i + 1] && grey.bytes[i] === grey.bytes[i + 2]).toBe(true);
  });

  it('draws a limit from the seed', async () => {
    const dir = cifar100('oe');
    const names = async (seed: number) => (await openExposure(dir, { ...sample, limit: 5, seed })).names;
    expect(await names(1)).toHaveLength(5);
    expect(await names(1)).toEqual(await names(1));
    expect(await names(1)).not.toEqual(await names(2));
    expect(new Set(await names(3)).size).toBe(5);
    expect((await openExposure(dir, { ...sample, limit: 100 })).images).toHaveLength(20);
    await failure(openExposure(dir, { ...sample, limit: 0 }), 'FCDD_INVALID_ARGUMENT', /oe-limit/);
  });

  it('finds named sets below the data folder, beside it, and below FCDD_DATA', async () => {
    cifar100('root/cifar100');
    mkdirSync(join(folder, 'root/fashion-mnist'), { recursive: true });
    mkdirSync(join(folder, 'empty'), { recursive: true });
    for (const root of ['root', 'root/fashion-mnist']) {
      expect((await openExposure('cifar100', { ...sample, root: join(folder, root) })).images).toHaveLength(
        20,
      );
    }
    process.env.FCDD_DATA = join(folder, 'root');
    expect((await openExposure('cifar100', { ...sample, root: join(folder, 'empty') })).images).toHaveLength(
      20,
    );
  });

  it('never falls back in silence: an absent set is an error with remedies', async () => {
    delete process.env.FCDD_DATA;
    const error = await failure(
      openExposure('cifar100', { ...sample, root: join(folder, 'empty') }),
      'FCDD_NOT_FOUND',
    );
    expect(error.message).toMatch(/'cifar100' was not found: sought below and beside .*empty/);
    expect(error.hint).toMatch(/--oe.*--noise confetti/);
    await failure(openExposure('imagenet22k', sample), 'FCDD_NOT_FOUND', /--noise confetti/);
    mkdirSync(join(folder, 'root2/cifar100'), { recursive: true });
    await failure(
      openExposure('cifar100', { ...sample, root: join(folder, 'root2') }),
      'FCDD_NOT_FOUND',
      /holds no cifar100 files/,
    );
    mkdirSync(join(folder, 'no pictures'));
    await failure(openExposure(join(folder, 'no pictures'), sample), 'FCDD_NOT_FOUND', /it is empty/);
  });

  it('reads a folder of pictures, sub-folders included, masks excluded', async () => {
    const root = join(folder, 'pictures');
    await writePicture(join(root, 'a/2.png'), { height: 50, width: 20 });
    await writePicture(join(root, '10.jpg'), { format: 'jpeg' });
    await writeMask(join(root, 'ground_truth/x/0_mask.png'), 12, 16);
    const lines: string[] = [];
    const exposure = await openExposure(root, {
      ...sample,
      channels: 3,
      onWarning: (line) => lines.push(line),
    });
    expect(exposure.names).toEqual(['10.jpg', 'a/2.png']);
    expect(exposure.images.map(({ height, width }) => [height, width])).toEqual([
      [28, 28],
      [28, 28],
    ]);
    expect(lines.join()).toMatch(/1 masks/);
    write(join(root, 'broken.png'), 'nothing');
    await failure(openExposure(root, sample), 'FCDD_BAD_IMAGE', /broken\.png/);
  });

  it('reads idx files, EMNIST letters upright', async () => {
    const dir = join(folder, 'emnist');
    write(join(dir, 'emnist-letters-train-images-idx3-ubyte'), idxImages(2, 28, 28));
    write(join(dir, 'emnist-digits-train-images-idx3-ubyte'), idxImages(5, 28, 28));
    const exposure = await openExposure('emnist', { ...sample, root: folder });
    expect(exposure.images).toHaveLength(2);
    const file = pattern(2, 784, 1);
    expect([exposure.bytes[1], exposure.bytes[28]]).toEqual([file[28], file[1]]);
  });

  it('takes the demo', async () => {
    const exposure = await openExposure('demo', { ...sample, limit: 3 });
    expect(exposure.images).toHaveLength(3);
  });
});
