/** Every step on random shapes: `cpu`, with each instruction set of this machine, against `reference`. */
import fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import { openDevice, ops } from '../../src/engine/index.js';
import type { Device } from '../../src/engine/types.js';
import { distance, expectClose, isas, random, tolerances } from './helpers.js';

const settings = { seed: 20210501, numRuns: 40 };
const reference = openDevice('reference');
const devices = new Map(isas.map((isa) => [isa, openDevice('cpu', { isa, threads: 2 })]));
afterAll(() => {
  for (const device of [reference, ...devices.values()]) device.dispose();
});

const seed = fc.integer({ min: 0, max: 2 ** 31 });
const small = fc.integer({ min: 1, max: 3 });
const extent = fc.integer({ min: 1, max: 13 });
/** Below, at and beyond vector widths. */
const channels = fc.constantFrom(1, 2, 3, 5, 8, 15, 16, 17, 33, 64);

const convolutions = fc
  .record({
    batch: small,
    height: extent,
    width: extent,
    channels,
    filters: channels,
    kernel: fc.integer({ min: 1, max: 5 }),
    stride: fc.constantFrom(1, 2),
    padding: fc.integer({ min: 0, max: 3 }),
  })
  .filter((p) => Math.min(p.height, p.width) + 2 * p.padding >= p.kernel);

const pools = fc.constantFrom(
  undefined,
  { kernel: 2 },
  { kernel: 3, stride: 2, padding: 1 },
  { kernel: 3, stride: 1 },
  { kernel: 4, stride: 3, padding: 2 },
);
const posts = fc
  .record({
    batch: small,
    height: extent,
    width: extent,
    channels,
    pool: pools,
    slope: fc.constantFrom(undefined, 0, 0.01),
  })
  .filter(
    ({ pool, height, width }) => !pool || Math.min(height, width) + 2 * (pool.padding ?? 0) >= pool.kernel,
  )
  .map(({ pool, slope, ...rest }) => ({
    ...rest,
    ...(pool && { pool }),
    ...(slope !== undefined && { slope }),
  }));

const upsamplings = fc.record({
  batch: small,
  inHeight: fc.integer({ min: 1, max: 6 }),
  inWidth: fc.integer({ min: 1, max: 6 }),
  height: fc.integer({ min: 1, max: 30 }),
  width: fc.integer({ min: 1, max: 30 }),
  taps: fc.integer({ min: 1, max: 40 }),
  jump: fc.integer({ min: 1, max: 8 }),
  shift: fc.integer({ min: -3, max: 6 }),
});

const outExtent = (size: number, kernel: number, stride: number, padding: number) =>
  Math.floor((size + 2 * padding - kernel) / stride) + 1;

describe.each([...devices])('%s', (_isa, cpu) => {
  const compare = async (run: (device: Device) => Promise<object>) => {
    expectClose(await run(cpu), await run(reference), tolerances.opFloat32);
  };

  test('conv2d: forward with bias, activation and sums; both gradients', async () => {
    const property = fc.asyncProperty(convolutions, seed, async (p, s) => {
      const draw = random(s);
      const height = outExtent(p.height, p.kernel, p.stride, p.padding);
      const width = outExtent(p.width, p.kernel, p.stride, p.padding);
      const x = draw.values(p.batch * p.height * p.width * p.channels);
      const w = draw.values(p.filters * p.channels * p.kernel ** 2);
      const bias = draw.values(p.filters);
      const dy = draw.values(p.batch * height * width * p.filters);
      await compare((device) => ops.conv2d(device, p, { x, w, bias, slope: 0.1 }));
      await compare((device) => ops.conv2d(device, p, { x, w, sums: true }));
      await compare((device) => ops.conv2dInputGrad(device, p, { dy, w }));
      await compare((device) => ops.conv2dWeightGrad(device, p, { x, dy, bias: true }));
    });
    await fc.assert(property, settings);
  });

  test('conv2dFold', async () => {
    const property = fc.asyncProperty(
      channels,
      fc.integer({ min: 1, max: 60 }),
      seed,
      async (filters, fanIn, s) => {
        const draw = random(s);
        const [bias, gamma, beta, runningMean] = [1, 2, 3, 4].map(() => draw.values(filters));
        const runningVar = draw.values(filters).map((v) => v + 1.5);
        const w = draw.values(filters * fanIn);
        const operands = {
          w,
          bias: bias!,
          gamma: gamma!,
          beta: beta!,
          runningMean: runningMean!,
          runningVar,
        };
        await compare((device) => ops.conv2dFold(device, { filters, fanIn }, operands));
        const plain = { w, runningMean: runningMean!, runningVar };
        await compare((device) => ops.conv2dFold(device, { filters, fanIn, eps: 1e-4 }, plain));
      },
    );
    await fc.assert(property, settings);
  });

  test('batchNormStats, post and postBackward with batch statistics', async () => {
    const property = fc.asyncProperty(posts, seed, async (shape, s) => {
      if (shape.batch * shape.height * shape.width < 2) return;
      const draw = random(s);
      const p = { ...shape, norm: 'batch' as const };
      const [gamma, beta, runningMean] = [1, 2, 3].map(() => draw.values(p.channels));
      const runningVar = draw.values(p.channels).map((v) => v + 1.5);
      const x = draw.values(p.batch * p.height * p.width * p.channels);
      const running = { runningMean: runningMean!, runningVar };
      const found = await ops.batchNormStats(cpu, p, { x, ...running });
      const stats = await ops.batchNormStats(reference, p, { x, ...running });
      expectClose(found, stats, tolerances.opFloat32);
      const operands = { x, mean: stats.mean, invStd: stats.invStd, gamma: gamma!, beta: beta! };
      const forward = await ops.post(reference, p, operands);
      expect(distance((await ops.post(cpu, p, operands)).y, forward.y)).toBeLessThan(tolerances.opFloat32);
      const dy = draw.values(forward.y.length);
      const winners = forward.argmax && { argmax: forward.argmax };
      await compare((device) => ops.postBackward(device, p, { ...operands, ...winners, dy }));
    });
    await fc.assert(property, settings);
  });

  test('post with running statistics and without normalisation, and its backward', async () => {
    const property = fc.asyncProperty(posts, seed, async (p, s) => {
      const draw = random(s);
      const x = draw.values(p.batch * p.height * p.width * p.channels);
      const [mean, gamma, beta] = [1, 2, 3].map(() => draw.values(p.channels));
      const variance = draw.values(p.channels).map((v) => v + 1.5);
      const running = { ...p, norm: 'running' as const };
      const operands = { x, mean: mean!, variance, gamma: gamma!, beta: beta! };
      const truth = await ops.post(reference, running, operands);
      expect(distance((await ops.post(cpu, running, operands)).y, truth.y)).toBeLessThan(
        tolerances.opFloat32,
      );

      const plain = await ops.post(reference, p, { x });
      expect(distance((await ops.post(cpu, p, { x })).y, plain.y)).toBeLessThan(tolerances.opFloat32);
      const dy = draw.values(plain.y.length);
      const winners = plain.argmax && { argmax: plain.argmax };
      await compare((device) => ops.postBackward(device, p, { x, dy, ...winners }));
    });
    await fc.assert(property, settings);
  });

  test('maxPool: values and winners are equal, ties included', async () => {
    const withPool = posts.filter((p) => p.pool !== undefined);
    const property = fc.asyncProperty(withPool, seed, async ({ pool, slope: _, ...p }, s) => {
      const x = Float64Array.from(random(s).bytes(p.batch * p.height * p.width * p.channels, 3));
      const problem = { ...p, ...pool! };
      expect(await ops.maxPool(cpu, problem, { x })).toEqual(await ops.maxPool(reference, problem, { x }));
    });
    await fc.assert(property, settings);
  });

  test('fcddLoss and score, sample- and pixel-wise', async () => {
    const property = fc.asyncProperty(upsamplings, seed, async (p, s) => {
      const draw = random(s);
      const z = draw.values(p.batch * p.inHeight * p.inWidth).map((v) => 3 * v);
      const labels = draw.bytes(p.batch, 1);
      const masks = draw.bytes(p.batch * p.height * p.width, 1);
      const taps = ops.gaussianTaps(p.taps, p.taps / 4);
      const map = { batch: p.batch, inHeight: p.inHeight, inWidth: p.inWidth };
      await compare((device) => ops.fcddLoss(device, map, { z, labels }));
      await compare((device) => ops.fcddLoss(device, p, { z, labels, taps, masks }));
      await compare((device) => ops.score(device, map, { z, low: true }));
      await compare((device) => ops.score(device, p, { z, taps }));
    });
    await fc.assert(property, settings);
  });

  test('gaussianUpsample and its backward', async () => {
    const property = fc.asyncProperty(upsamplings, seed, async (p, s) => {
      const draw = random(s);
      const taps = ops.gaussianTaps(p.taps, p.taps / 4);
      const low = draw.values(p.batch * p.inHeight * p.inWidth);
      const high = draw.values(p.batch * p.height * p.width);
      await compare((device) => ops.gaussianUpsample(device, p, { x: low, taps }));
      await compare((device) => ops.gaussianUpsampleBackward(device, p, { x: high, taps }));
    });
    await fc.assert(property, settings);
  });

  test('update: SGD and Adam', async () => {
    const property = fc.asyncProperty(
      fc.integer({ min: 1, max: 300 }),
      fc.integer({ min: 1, max: 50 }),
      seed,
      async (n, step, s) => {
        const draw = random(s);
        const [w, grad, m] = [1, 2, 3].map(() => draw.values(n));
        const v = draw.values(n).map(Math.abs);
        const common = { step, lr: 0.01, weightDecay: 1e-3 };
        const state = { w: w!, grad: grad!, m: m! };
        await compare((device) => ops.update(device, { kind: 'sgd', ...common }, state));
        await compare((device) => ops.update(device, { kind: 'adam', ...common }, { ...state, v }));
      },
    );
    await fc.assert(property, settings);
  });
});

test('reference: a folded convolution equals convolution and normalisation with running statistics', async () => {
  const property = fc.asyncProperty(convolutions, seed, async (p, s) => {
    const draw = random(s);
    const x = draw.values(p.batch * p.height * p.width * p.channels);
    const w = draw.values(p.filters * p.channels * p.kernel ** 2);
    const [bias, gamma, beta, mean] = [1, 2, 3, 4].map(() => draw.values(p.filters)) as Float64Array[];
    const variance = draw.values(p.filters).map((v) => v + 1.5);
    const operands = { w, bias: bias!, gamma: gamma!, beta: beta!, runningMean: mean!, runningVar: variance };
    const shape = { filters: p.filters, fanIn: p.channels * p.kernel ** 2, eps: 1e-4 };
    const folded = await ops.conv2dFold(reference, shape, operands);
    const { y } = await ops.conv2d(reference, p, { x, ...folded });
    const plain = await ops.conv2d(reference, p, { x, w, bias: bias! });
    const pixels = { batch: 1, height: plain.y.length / p.filters, width: 1, channels: p.filters };
    const norm = { ...pixels, norm: 'running' as const, eps: 1e-4 };
    const expected = await ops.post(reference, norm, {
      x: plain.y,
      mean: mean!,
      variance,
      gamma: gamma!,
      beta: beta!,
    });
    expect(distance(y, expected.y)).toBeLessThan(tolerances.opFloat64);
  });
  await fc.assert(property, settings);
});
