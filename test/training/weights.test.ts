/** Runs that start from imported weights. */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { readModel, type Tensor } from '../../src/models/index.js';
import { writeSafetensors } from '../../src/models/safetensors.js';
import type { TrainOptions } from '../../src/training/config.js';
import { train } from '../../src/training/train.js';
import { foldAll } from '../../src/weights/fold.js';
import { importWeights } from '../../src/weights/index.js';
import { relativeDistance, tolerances } from '../golden/files.js';
import { formulaBackbone } from '../weights/helpers.js';
import { temporaryFolder } from './helpers.js';

let folder: string;
const live = formulaBackbone('cnn28', 3);
const folded = foldAll(live.layers, live.tensors);
beforeAll(async () => {
  folder = await temporaryFolder();
  vi.stubEnv('FCDD_CACHE', join(folder, 'cache'));
  await writePictures(join(folder, 'data'));
  await writeSafetensors(join(folder, 'live.safetensors'), live.tensors);
  await writeSafetensors(join(folder, 'folded.safetensors'), folded);
  const other = new Map(live.tensors).set('conv1.bias', { shape: [8], data: new Float32Array(8) });
  await writeSafetensors(join(folder, 'other.safetensors'), other);
  await importWeights(join(folder, 'live.safetensors'), { name: 'mine', verify: false });
  await importWeights(join(folder, 'folded.safetensors'), { verify: false });
}, 60_000);
afterAll(() => void vi.unstubAllEnvs());

/** A data set of 14 small pictures: runs of a second, most of which is their report. */
async function writePictures(root: string): Promise<void> {
  const write = async (split: string, kind: string, count: number, sigma: number): Promise<void> => {
    const into = join(root, split, 'part', kind);
    await mkdir(into, { recursive: true });
    for (let i = 0; i < count; i++) {
      const noise = { type: 'gaussian', mean: 100 + i, sigma } as const;
      const picture = sharp({ create: { width: 64, height: 64, channels: 3, background: 'grey', noise } });
      await picture.png().toFile(join(into, `${i}.png`));
    }
  };
  await write('train', 'normal', 8, 10);
  await write('test', 'normal', 3, 10);
  await write('test', 'anomalous', 3, 30);
}

const small: TrainOptions = {
  dataset: 'folder',
  data: '',
  model: 'cnn28',
  epochs: 1,
  batchSize: 4,
  holdOut: 0,
  seed: 5,
  threads: 1,
};

let runs = 0;
async function run(options: TrainOptions) {
  const out = join(folder, `run-${runs++}`);
  const { metrics } = await train({ ...small, data: join(folder, 'data'), ...options }, { out });
  const { metadata, tensors } = await readModel(join(out, 'model.safetensors'));
  const config = JSON.parse(await readFile(join(out, 'config.json'), 'utf8')) as Record<string, unknown>;
  return { out, metrics: metrics!, metadata, tensors, config };
}

const valuesOf = (tensors: Map<string, Tensor>, name: string): Float32Array =>
  tensors.get(name)!.data as Float32Array;

describe('training from imported weights', () => {
  it('evaluates the untouched network with --epochs 0, and records what it started from', async () => {
    const { out, metrics, metadata, tensors, config } = await run({ weights: 'mine', epochs: 0 });
    for (const [name, { data }] of live.tensors) expect(valuesOf(tensors, name), name).toEqual(data);
    expect(config.weights).toBe('mine');
    expect(config.weightsSha256).toMatch(/^[0-9a-f]{64}$/);
    expect(metadata.start).toEqual({ weights: { sha256: config.weightsSha256, bn: 'live' } });
    expect(metrics.sample.rocAuc).toBeGreaterThanOrEqual(0);
    expect(JSON.parse(await readFile(join(out, 'history.json'), 'utf8'))).toEqual([]);
    // The same figures before the first step of a longer run, and other ones after it.
    // They do not depend on what is frozen.
    const weights = join(folder, 'live.safetensors');
    const longer = await run({ weights, epochs: 1, evaluateAt: [0, 1], freezeUntil: 'conv1' });
    expect(longer.metrics.evaluations.map(({ epoch }) => epoch)).toEqual([0, 1]);
    expect(longer.metrics.evaluations[0]!.sample).toBe(metrics.sample.rocAuc);
    expect(longer.config.weightsSha256).toBe(config.weightsSha256);
    expectFrozen(longer);
  });

  /** No gradient in the first block, while its normalisation keeps learning its statistics. */
  function expectFrozen({ tensors, metadata }: Awaited<ReturnType<typeof run>>): void {
    for (const name of ['conv1.weight', 'conv1.bias', 'bn2d1.weight', 'bn2d1.bias'])
      expect(valuesOf(tensors, name), name).toEqual(live.tensors.get(name)!.data);
    for (const name of ['bn2d1.running_mean', 'bn2d1.running_var', 'conv2.weight'])
      expect(valuesOf(tensors, name), name).not.toEqual(live.tensors.get(name)!.data);
    expect(metadata.start).toMatchObject({ freezeUntil: 'conv1' });
    expect(metadata.layers.slice(0, 4).every(({ frozen }) => frozen)).toBe(true);
  }

  it('takes folded weights for --frozen-bn fixed, and folds live ones the same', async () => {
    const options = { epochs: 1, freezeUntil: 'conv1', frozenBn: 'fixed' } as const;
    const ours = await run({ ...options, weights: 'mine' });
    const theirs = await run({ ...options, weights: 'cnn28-folded' });
    expect(theirs.metadata.layers.map(({ kind }) => kind)).toEqual([
      'conv',
      'lrelu',
      'maxpool',
      'conv',
      'maxpool',
      'conv',
    ]);
    expect(theirs.metadata.start).toMatchObject({ weights: { bn: 'folded' }, frozenBn: 'fixed' });
    for (const { tensors } of [ours, theirs])
      expect(valuesOf(tensors, 'conv1.weight')).toEqual(folded.get('conv1.weight')!.data);
    const same = relativeDistance(
      valuesOf(ours.tensors, 'conv2.weight'),
      valuesOf(theirs.tensors, 'conv2.weight'),
    );
    expect(same).toBeLessThan(tolerances.foldFloat32);
  });

  it.each<[string, TrainOptions, RegExp]>([
    ['folded weights for live batch normalisation', { weights: 'cnn28-folded' }, /folded/],
    ['weights of another network', { weights: 'mine', model: 'cnn28-w' }, /are of cnn28, not of cnn28-w/],
    ['weights that do not exist', { weights: 'absent' }, /no weights "absent"/],
    ['biases without biases', { weights: 'mine', bias: false }, /--no-bias/],
  ])('refuses %s', async (_, options, message) => {
    await expect(run(options)).rejects.toThrow(message);
  });

  it('refuses to repeat a run with weights of another content, by name or by file', async () => {
    const { config } = await run({ weights: join(folder, 'live.safetensors'), epochs: 0 });
    const { versions: _, ...repeated } = config;
    await writeFile(join(folder, 'live.safetensors'), await readFile(join(folder, 'other.safetensors')));
    await expect(run(repeated as TrainOptions)).rejects.toMatchObject({
      message: expect.stringMatching(/others than this run was started with/),
      hint: expect.stringContaining(String(config.weightsSha256)),
    });
    // A file that has gone is found in the cache by its content.
    const moved = await run({ ...(repeated as TrainOptions), weights: join(folder, 'gone.safetensors') });
    expect(moved.config.weightsSha256).toBe(config.weightsSha256);
  });

  it('starts a VGG net from random values only when told', async () => {
    const vgg = { model: 'vgg11-f', epochs: 0 } as const;
    await expect(run(vgg)).rejects.toMatchObject({
      code: 'FCDD_INVALID_ARGUMENT',
      hint: expect.stringMatching(/weights pull vgg11_bn.*--weights random/),
    });
  });
});
