import { describe, expect, it } from 'vitest';
import type { Layer } from '../../src/engine/types.js';
import { architecture } from '../../src/models/index.js';
import { checkOptions, resolveConfig } from '../../src/training/config.js';
import { runLayers } from '../../src/training/layers.js';
import type { WeightsInfo } from '../../src/weights/types.js';

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

  describe('with weights in the cache', () => {
    const weights = (bn: WeightsInfo['bn'], name = 'vgg11'): WeightsInfo => ({
      name,
      architecture: 'vgg11',
      channels: 3,
      bn,
      sha256: '0'.repeat(64),
      source: { file: 'x.onnx', sha256: '', format: 'onnx' },
    });

    it('takes the published net for mvtec and folder, pins the weights, and says so in one line', () => {
      for (const dataset of ['mvtec', 'folder']) {
        const { config, notes } = resolveConfig({ dataset }, [weights('live')]);
        expect(config).toMatchObject({ model: 'vgg11-f', weights: 'vgg11' });
        expect(notes).toEqual([expect.stringMatching(/vgg11-f.*at hand.*vgg11/)]);
      }
      expect(resolveConfig({ dataset: 'demo' }, [weights('live')]).config.weights).toBeUndefined();
      expect(
        resolveConfig({ dataset: 'mvtec', model: 'cnn224' }, [weights('live')]).config.weights,
      ).toBeUndefined();
    });

    it('never takes folded weights for live batch normalisation, and prints how to export', () => {
      const folded = [weights('folded', 'vgg11-folded')];
      expect(resolveConfig({ dataset: 'mvtec' }, folded).config.model).toBe('cnn224');
      for (const model of ['vgg11', 'vgg11-f']) {
        expect(() => resolveConfig({ dataset: 'mvtec', model }, folded)).toThrow(
          expect.objectContaining({
            code: 'FCDD_INVALID_ARGUMENT',
            message: expect.stringMatching(/folded/),
            hint: expect.stringMatching(
              /TrainingMode.PRESERVE, do_constant_folding=False.*safetensors.*--recover-bn.*--frozen-bn fixed/,
            ),
          }),
        );
      }
      const fixed = resolveConfig({ dataset: 'mvtec', frozenBn: 'fixed' }, folded).config;
      expect(fixed).toMatchObject({ model: 'vgg11-f', weights: 'vgg11-folded' });
    });

    it('prefers live ones to recovered ones, and asks where it could be either of two', () => {
      const live = (all: WeightsInfo[]) => resolveConfig({ dataset: 'mvtec' }, all).config.weights;
      expect(live([weights('recovered', 'a'), weights('live', 'b')])).toBe('b');
      expect(live([weights('live', 'a'), weights('live', 'vgg11')])).toBe('vgg11');
      expect(() => live([weights('live', 'a'), weights('live', 'b')])).toThrow(/several weights/);
    });

    it('gives each part of the ablation with one option', () => {
      const ablation = (options: object) =>
        resolveConfig({ dataset: 'mvtec', ...options }, [weights('live')]).config;
      expect(ablation({})).toMatchObject({ model: 'vgg11-f', weights: 'vgg11' }); // frozen, pretrained
      expect(ablation({ weights: 'random' })).toMatchObject({ model: 'vgg11-f', weights: 'random' }); // frozen, random
      expect(ablation({ model: 'vgg11-nopt' }).weights).toBeUndefined(); // from scratch
      expect(ablation({ epochs: 0 })).toMatchObject({ model: 'vgg11-f', weights: 'vgg11', epochs: 0 });
    });
  });

  it.each([
    ['vgg11', 'features.14', 4],
    ['vgg11', 'features.11', 4],
    ['vgg11-nopt', 'features.0', 1],
    ['cnn224', 'conv2', 2],
    ['vgg11-f', 'features.3', 1],
  ])('freezes %s up to %s', (model, freezeUntil, convolutions) => {
    const layers = runLayers({ model, bias: true, freezeUntil });
    const frozen = layers.filter((layer) => layer.frozen);
    expect(frozen.filter(({ kind }) => kind === 'conv')).toHaveLength(convolutions);
    expect(layers.slice(0, frozen.length)).toEqual(frozen);
    expect(layers[frozen.length]).toMatchObject({ kind: 'conv', frozen: false });
  });

  it('freezes vgg11 up to features.14 as vgg11-f is', () => {
    const kinds = (layers: Layer[]) => layers.map((layer) => [layer.kind, layer.frozen ?? false]);
    const published = architecture('vgg11-f').layers({ bias: true });
    expect(kinds(runLayers({ model: 'vgg11', bias: true, freezeUntil: 'features.14' }))).toEqual(
      kinds(published),
    );
  });

  it('takes batch normalisation out of the frozen layers alone with --frozen-bn fixed', () => {
    const layers = runLayers({ model: 'vgg11-f', bias: true, frozenBn: 'fixed' });
    const norms = layers.filter((layer) => layer.kind === 'batchnorm');
    expect(norms.map(({ name }) => name)).toEqual(['features.16', 'features.19']);
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
    [{ epochs: -1 }, /epochs/],
    [{ evaluateAt: [-1] }, /evaluateAt/],
    [{ epochs: 1.5 }, /epochs/],
    [{ lr: -1 }, /lr/],
    [{ colour: 'red' }, /colour/],
    [{ dataset: 'imagnet' }, /imagnet/],
    [{ model: 'cnn27' }, /cnn27/],
    [{ freezeUntil: 'conv7' }, /conv7: cnn32-s has no such layer/],
    [{ freezeUntil: 'conv_final' }, /conv_final/],
    [{ frozenBn: 'fixed' }, /no frozen batch normalisation/],
  ])('refuses %j', (options, message) => {
    expect(() => resolveConfig(checkOptions(options))).toThrow(message);
  });

  it('resolves a resolved configuration to itself, so that config.json repeats a run', () => {
    const { config } = resolveConfig({ dataset: 'fashion-mnist', oe: 'folder', seed: 7, evaluateAt: [1, 2] });
    expect(resolveConfig(JSON.parse(JSON.stringify(config))).config).toEqual(config);
  });
});
