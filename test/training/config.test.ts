import { describe, expect, it } from 'vitest';
import { checkOptions, resolveConfig } from '../../src/training/config.js';

describe('configuration of a run', () => {
  it('completes options with the settings of the report, section 3', () => {
    const { config } = resolveConfig({ dataset: 'fashion-mnist', class: '0', oe: 'somewhere' });
    expect(config).toMatchObject({
      model: 'cnn28-w',
      batchSize: 128,
      epochs: 400,
      optimizer: 'sgd',
      lr: 1e-2,
      weightDecay: 1e-6,
      schedule: { kind: 'exponential', rate: 0.98 },
      preprocessing: 'lcnaug1',
      sigma: 1.2,
      quantile: 0.85,
      supervise: 'noise',
      noise: 'oe',
    });
    expect(resolveConfig({ dataset: 'cifar10' }).config).toMatchObject({
      model: 'cnn32-lw3k',
      batchSize: 200,
      epochs: 600,
      optimizer: 'adam',
      lr: 1e-3,
      schedule: { kind: 'milestones', at: [400, 500], factor: 0.1 },
      noise: 'cifar100',
    });
  });

  it('keeps a tenth of the normal images back for the threshold, whatever the data set', () => {
    const share = (dataset: string) => resolveConfig({ dataset, model: 'cnn224' }).config.holdOut;
    const names = ['fashion-mnist', 'cifar10', 'cifar100', 'mvtec', 'folder', 'demo'];
    expect(names.map(share)).toEqual(names.map(() => 0.1));
    expect(resolveConfig({ dataset: 'fashion-mnist', class: '0', holdOut: 0.2 }).config.holdOut).toBe(0.2);
  });

  it('takes cnn224 where the published net needs weights, and says so in one line', () => {
    const { config, notes } = resolveConfig({ dataset: 'mvtec' });
    expect(config).toMatchObject({
      model: 'cnn224',
      epochs: 200,
      sigma: 12,
      supervise: 'malformed-normal',
      noise: 'confetti',
    });
    expect(notes).toHaveLength(1);
    expect(notes[0]).toMatch(/cnn224.*vgg11-f.*weights/);
  });

  it('refuses pretrained nets without weights, and takes them with --weights random', () => {
    expect(() => resolveConfig({ dataset: 'mvtec', model: 'vgg11-f' })).toThrow(/ImageNet weights/);
    expect(resolveConfig({ dataset: 'mvtec', model: 'vgg11-f', weights: 'random' }).config.model).toBe(
      'vgg11-f',
    );
  });

  it('gives a user who changes the optimiser the usual rate of that optimiser', () => {
    expect(resolveConfig({ dataset: 'fashion-mnist', optimizer: 'adam' }).config.lr).toBe(1e-3);
    expect(resolveConfig({ dataset: 'fashion-mnist', optimizer: 'adam', lr: 0.5 }).config.lr).toBe(0.5);
  });

  it.each([
    [{ supervise: 'unsupervised', oe: 'x' }, /--oe has no use/],
    [{ noise: 'blob', oe: 'x' }, /generated/],
    [{ dataset: 'mvtec', supervise: 'noise', noise: 'cut-paste' }, /changes a normal image/],
    [{ dataset: 'mvtec', supervise: 'noise', noise: 'mvtec-gt', onObject: true }, /--on-object has no use/],
    [{ dataset: 'mvtec', noise: 'confetti', texture: 'x' }, /--noise texture alone/],
    [{ dataset: 'mvtec', supervise: 'malformed-normal', noise: 'mvtec-gt' }, /does not go with/],
    [{ dataset: 'cifar10', supervise: 'noise', noise: 'mvtec' }, /mvtec and folder, not for cifar10/],
    [{ dataset: 'mvtec', keepOeInTest: true }, /--keep-oe-in-test has a use only where/],
    [{ dataset: 'mvtec', oeFiles: ['a'] }, /oeFiles has a use only where/],
    [{ dataset: 'mvtec', select: 'best', holdOut: 0 }, /--select best needs held-out/],
    [{ epochs: 0 }, /epochs/],
    [{ epochs: 1.5 }, /epochs/],
    [{ lr: -1 }, /lr/],
    [{ colour: 'red' }, /colour/],
    [{ dataset: 'imagnet' }, /imagnet/],
    [{ model: 'cnn27' }, /cnn27/],
  ])('refuses %j', (options, message) => {
    expect(() => resolveConfig(checkOptions(options))).toThrow(message);
  });

  it('resolves a resolved configuration to itself, so that config.json repeats a run', () => {
    const { config } = resolveConfig({ dataset: 'fashion-mnist', oe: 'folder', seed: 7, evaluateAt: [1, 2] });
    expect(resolveConfig(JSON.parse(JSON.stringify(config))).config).toEqual(config);
  });
});
