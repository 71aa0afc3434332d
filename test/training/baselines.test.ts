/** `train --method`: the paper's baselines and the classifier, from options to a model that predicts. */
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { ops } from '../../src/engine/index.js';
import { Detector, evaluate } from '../../src/index.js';
import { autoencoder, convolutionalPart, encoder } from '../../src/models/baselines.js';
import { readModel } from '../../src/models/index.js';
import { compareBaselines } from '../../src/training/baselines.js';
import { resolveConfig, type TrainOptions } from '../../src/training/config.js';
import { train } from '../../src/training/train.js';
import { temporaryFolder } from './helpers.js';

const data = fileURLToPath(new URL('../../../shared/data/fashion-mnist-mini', import.meta.url));
const mini = existsSync(data);
if (!mini) console.warn(`tests of training baselines are skipped: there is no ${data}`);

const short: TrainOptions = {
  dataset: 'fashion-mnist',
  data,
  class: '0',
  model: 'cnn28',
  batchSize: 64,
  epochs: 2,
  seed: 3,
  threads: 1,
  supervise: 'malformed-normal',
  noise: 'confetti',
};
const alone: TrainOptions = { ...short, supervise: 'unsupervised' };

describe('networks', () => {
  const input = { channels: 3 as const, height: 32, width: 32 };
  it('have the published sizes', () => {
    const last = (layers: ReturnType<typeof encoder>, shape = input) =>
      ops.outputShapes(layers, shape).at(-1);
    expect(last(encoder('cnn32-lw3k', { input, bias: true }))).toMatchObject({
      channels: 64,
      height: 1,
      width: 1,
    });
    expect(last(autoencoder('cnn32', { input, bias: true }))).toEqual(input);
    const small = { channels: 1 as const, height: 28, width: 28 };
    expect(last(encoder('cnn28-w', { input: small, bias: true }), small as never)).toMatchObject({
      channels: 48,
    });
    expect(last(autoencoder('cnn28', { input: small, bias: true }), small as never)).toEqual(small);
    const large = { channels: 3 as const, height: 224, width: 224 };
    for (const model of ['cnn224', 'cnn224-w', 'vgg11-nopt'])
      expect(last(autoencoder(model, { input: large, bias: true }), large as never), model).toEqual(large);
    expect(last(encoder('vgg11-f', { input: large, bias: true }), large as never)).toMatchObject({
      channels: 4096,
    });
    expect(last(encoder('vgg11-nopt', { input: large, bias: true }), large as never)).toMatchObject({
      channels: 1000,
    });
  });

  it('blur heatmaps as wide as their convolutions see', () => {
    const layers = encoder('cnn28', { input: { channels: 1, height: 28, width: 28 }, bias: true });
    expect(ops.receptiveField(convolutionalPart(layers), { channels: 1, height: 28, width: 28 }).extent).toBe(
      16,
    );
  });

  it('take other square sizes, and say what they cannot take', () => {
    const shape = { channels: 1 as const, height: 64, width: 64 };
    expect(ops.outputShapes(autoencoder('cnn28', { input: shape, bias: true }), shape).at(-1)).toEqual(shape);
    expect(() => encoder('cnn28', { input: { ...shape, height: 30 }, bias: true })).toThrow(
      /multiple of 4.*30×64/,
    );
  });
});

describe('options that contradict a method', () => {
  it.each([
    [{ method: 'ae', supervise: 'noise' }, /normal images alone/],
    [{ method: 'dsvdd', bias: true }, /must not have biases/],
    [{ method: 'hsc', objective: 'pixel' }, /no loss per pixel/],
    [{ method: 'classify', supervise: 'noise' }, /learns from labels/],
  ] as const)('%o', (options, message) => {
    expect(() => resolveConfig(options)).toThrow(message);
  });
});

describe.runIf(mini)('a run', () => {
  it.each(['hsc', 'ae', 'dsvdd'] as const)(
    'of %s resumes to the same bits, evaluates and predicts',
    async (method) => {
      const folder = await temporaryFolder();
      const options = { ...(method === 'hsc' ? short : alone), method };
      const whole = await train(options, { out: join(folder, 'whole') });
      expect(whole.metrics?.sample.rocAuc).toBeGreaterThan(0);
      const stop = new AbortController();
      const broken = { out: join(folder, 'broken'), signal: stop.signal, onProgress: () => stop.abort() };
      expect((await train(options, broken)).finished).toBe(false);
      await train({}, { out: broken.out, resume: true });
      const model = join(whole.out, 'model.safetensors');
      expect(await readFile(join(broken.out, 'model.safetensors'))).toEqual(await readFile(model));
      const { metrics } = await evaluate(model, { data, threads: 1 });
      expect(metrics.sample.rocAuc).toBeCloseTo(whole.metrics!.sample.rocAuc!, 12);
      using detector = await Detector.load(model, { device: 'cpu', threads: 1 });
      const raw = { data: new Uint8Array(784).fill(90), height: 28, width: 28, channels: 1 } as const;
      const { score, map } = await detector.predict(raw);
      expect(score).toBeGreaterThan(0);
      expect(map.data).toHaveLength(784);
      expect(map.data.every((value) => value >= 0)).toBe(true);
      if (method === 'dsvdd') {
        const { metadata } = await readModel(model);
        expect(metadata.method?.centre).toHaveLength(48);
        expect(metadata.method!.centre!.every((value) => Math.abs(value) >= 0.1)).toBe(true);
      }
    },
  );

  it('of a classifier reports accuracy and leaves the backbone under its usual names', async () => {
    const out = join(await temporaryFolder(), 'run');
    const options: TrainOptions = { ...alone, method: 'classify', epochs: 4, optimizer: 'adam' };
    delete options.class;
    const { metrics } = await train(options, { out });
    expect(metrics?.accuracy?.n).toBe(1000);
    expect(metrics!.accuracy!.all).toBeGreaterThan(0.3); // ten classes; by chance 0.1
    const { tensors, metadata } = await readModel(join(out, 'model.safetensors'));
    expect([...tensors.keys()]).toEqual(
      expect.arrayContaining(['conv1.weight', 'bn2d1.running_var', 'conv2.bias', 'classifier.weight']),
    );
    expect(metadata.method?.classes).toHaveLength(10);
    await expect(Detector.load(join(out, 'model.safetensors'), { device: 'cpu' })).rejects.toThrow(
      /classifier/,
    );
  });

  it('of FCDD is repeated by its baselines, side by side', async () => {
    const out = join(await temporaryFolder(), 'run');
    await train(short, { out });
    const result = await compareBaselines(out, { epochs: 1 });
    expect(result.figures.map(({ method }) => method)).toEqual(['fcdd', 'hsc', 'ae']);
    for (const { sample } of result.figures) expect(sample).toBeGreaterThan(0);
    for (const file of ['comparison.png', 'index.html', 'baselines.json'])
      expect(existsSync(join(result.out, file)), file).toBe(true);
    await expect(compareBaselines(join(result.out, 'hsc'))).rejects.toThrow(/itself a run of the method hsc/);
  });
});
