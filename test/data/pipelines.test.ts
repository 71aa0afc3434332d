import { describe, expect, it } from 'vitest';
import { dataSetNames, publishedConstants, trainingDefaults, withConstants } from '../../src/data/index.js';
import { compareNatural } from '../../src/data/natural-order.js';
import { cifarPipelines, fashionMnistPipelines, mvtecPipelines } from '../../src/data/pipelines.js';
import { createStoreBuilder, isGrey, subset } from '../../src/data/store.js';
import { FcddError } from '../../src/errors.js';

const four = (amount: number) => ({ brightness: amount, contrast: amount, saturation: amount, hue: amount });

describe('published pipelines', () => {
  it('fashion-mnist', () => {
    const { train, test } = fashionMnistPipelines('lcnaug1');
    expect(test).toEqual({ height: 28, width: 28, channels: 1, lcn: true, offset: [0], scale: [1] });
    expect(train).toEqual({ ...test, pad: 2, randomCrop: true, flip: true });
    const aug1 = fashionMnistPipelines('aug1');
    expect(aug1.test.lcn).toBe(false);
    expect(aug1.train).toMatchObject({
      pad: 3,
      jitter: [four(0.1)],
      jitterFirst: true,
      noise: { sigma: 0.01 },
    });
  });

  it('cifar10', () => {
    const { train, test } = cifarPipelines('aug1');
    expect(test).toEqual({
      height: 32,
      width: 32,
      channels: 3,
      lcn: false,
      offset: [0, 0, 0],
      scale: [1, 1, 1],
    });
    expect(train).toEqual({
      ...test,
      pad: 4,
      randomCrop: true,
      flip: true,
      jitter: [four(0.01)],
      jitterFirst: true,
      noise: { sigma: 0.001 },
    });
  });

  it('mvtec', () => {
    const { train, test } = mvtecPipelines('lcnaug1');
    expect(test).toMatchObject({
      height: 224,
      width: 224,
      channels: 3,
      lcn: true,
      resize: { height: 224, width: 224 },
    });
    expect(train).toMatchObject({
      randomCrop: true,
      orResize: true,
      lcn: true,
      jitter: [four(0.04), { brightness: 0.005, contrast: 0.0005, saturation: 0.0005, hue: 0.0005 }],
      noise: { sigma: 0.1, probability: 0.5, relative: true, clamp: true },
    });
    expect(train.flip).toBeUndefined();
    expect(train.resize).toBeUndefined();
    expect(train.jitterFirst).toBeUndefined();
  });

  it('get their affine stage from the constants', () => {
    const constants = publishedConstants('mvtec', 'bottle')!;
    const { test } = mvtecPipelines('lcnaug1');
    const lcn = withConstants(test, 'lcnaug1', constants);
    expect(lcn.offset).toEqual(constants.lcnMin);
    expect(lcn.scale[0]).toBe(1.3779616355895996 + 1.3336724042892456);
    const plain = withConstants(test, 'aug1', constants);
    expect([plain.offset, plain.scale]).toEqual([constants.mean, constants.std]);
    expect(test.offset).toEqual([0, 0, 0]);
    const flat = { mean: [0.5], std: [0], lcnMin: [1], lcnMax: [1] };
    expect(withConstants(fashionMnistPipelines('aug1').test, 'aug1', flat).scale).toEqual([1]);
    expect(() => withConstants(test, 'aug1', flat)).toThrow(FcddError);
  });
});

describe('training defaults', () => {
  it('are those of the paper', () => {
    expect(dataSetNames).toEqual([
      'demo',
      'fashion-mnist',
      'cifar10',
      'cifar100',
      'emnist',
      'mvtec',
      'imagenet',
      'pascal-voc',
      'folder',
    ]);
    expect(trainingDefaults('fashion-mnist')).toMatchObject({
      batch: 128,
      epochs: 400,
      lr: 0.01,
      model: 'cnn28-w',
    });
    expect(trainingDefaults('cifar10').schedule).toEqual({ kind: 'milestones', at: [400, 500], factor: 0.1 });
    expect(trainingDefaults('mvtec')).toMatchObject({
      weightDecay: 1e-4,
      sigma: 12,
      quantile: 0.99,
      noise: 'confetti',
    });
    expect(trainingDefaults('folder')).toMatchObject({ weightDecay: 1e-6, sigma: 10, preprocessing: 'aug1' });
    expect(() => trainingDefaults('toString')).toThrow(/expected one of demo/);
  });

  it('cannot be changed by a caller', () => {
    trainingDefaults('cifar10').epochs = 1;
    expect(trainingDefaults('cifar10').epochs).toBe(600);
  });
});

describe('order and stores', () => {
  it('sorts numbers by value', () => {
    const names = ['10.png', '2.png', '1.png', '02.png', 'a10b2', 'a10b10', 'a9', 'A', '', 'a'];
    expect(names.sort(compareNatural)).toEqual([
      '',
      '1.png',
      '02.png',
      '2.png',
      '10.png',
      'A',
      'a',
      'a9',
      'a10b2',
      'a10b10',
    ]);
  });

  it('cuts subsets with their masks, in the order asked for', () => {
    const builder = createStoreBuilder(1, 0);
    for (const value of [1, 2, 3]) {
      const mask = value === 2 ? { mask: Uint8Array.from([0, 1]) } : {};
      builder.add({
        pixels: Uint8Array.from([value, value * 10]),
        height: 1,
        width: 2,
        label: value === 2 ? 1 : 0,
        ...mask,
      });
    }
    const images = builder.finish();
    expect([...images.bytes]).toEqual([1, 10, 2, 20, 0, 1, 3, 30]);
    const records = ['a', 'b', 'c'].map((name) => ({ name, label: 0 as const, type: 'x' }));
    const cut = subset({ images, records }, [2, 1]);
    expect(cut.records.map(({ name }) => name)).toEqual(['c', 'b']);
    expect([...cut.images.bytes]).toEqual([3, 30, 2, 20, 0, 1]);
    expect(cut.images.images[1]).toEqual({ pixels: 2, mask: 4, height: 1, width: 2, label: 1 });
    expect(isGrey(images)).toBe(true);
  });
});
