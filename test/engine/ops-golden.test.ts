/** Every step against PyTorch in float64 (test/golden/README.md): `reference` and, in float32, `cpu`. */
import { readFileSync } from 'node:fs';
import { afterAll, describe, expect, test } from 'vitest';
import { openDevice, ops } from '../../src/engine/index.js';
import type { Device } from '../../src/engine/types.js';
import { distance, isas, tolerances } from './helpers.js';

interface Tensor {
  shape: number[];
  data: number[];
}

/** One golden case: tensors and numbers by name. */
type Case<Tensors extends string, Numbers extends string = never> = Record<Tensors, Tensor> &
  Record<Numbers, number> & { name: string };
type Window = 'kernel' | 'stride' | 'padding';
type Field = 'jump' | 'extent' | 'start' | 'sigma';
type Statistic = 'runningMean' | 'runningVar' | 'newRunningMean' | 'newRunningVar';

const read = (name: string) =>
  JSON.parse(readFileSync(new URL(`../golden/${name}.json`, import.meta.url), 'utf8'));
const values = (tensor: Tensor) => Float64Array.from(tensor.data);
const nhwc = ({ shape: [batch, height, width, channels] }: Tensor) =>
  ({ batch, height, width, channels }) as Record<'batch' | 'height' | 'width' | 'channels', number>;

const devices: [string, Device, number][] = [
  ['reference', openDevice('reference'), tolerances.opFloat64],
  ...isas.map((isa): [string, Device, number] => [isa, openDevice('cpu', { isa }), tolerances.opFloat32]),
];
afterAll(() => {
  for (const [, device] of devices) device.dispose();
});

describe.each(devices)('%s', (_name, device, tolerance) => {
  const expectEqual = (found: ArrayLike<number> | undefined, golden: Tensor | number[]) =>
    expect(distance(found, Array.isArray(golden) ? golden : golden.data)).toBeLessThan(tolerance);

  test.each<
    Case<'x' | 'weight' | 'y' | 'dy' | 'dx' | 'dweight', Window> & {
      bias: Tensor | null;
      dbias: Tensor | null;
    }
  >(read('ops-conv').conv)('convolution $name', async (g) => {
    const { kernel, stride, padding } = g;
    const p = { ...nhwc(g.x), filters: g.weight.shape[0]!, kernel, stride, padding };
    const x = values(g.x);
    const w = values(g.weight);
    const dy = values(g.dy);
    expectEqual((await ops.conv2d(device, p, { x, w, ...(g.bias && { bias: values(g.bias) }) })).y, g.y);
    expectEqual((await ops.conv2dInputGrad(device, p, { dy, w })).dx, g.dx);
    const { dw, dbias } = await ops.conv2dWeightGrad(device, p, { x, dy, bias: g.dbias !== null });
    expectEqual(dw, g.dweight);
    if (g.dbias) expectEqual(dbias, g.dbias);
  });

  test.each<
    Case<
      'x' | 'gamma' | 'beta' | Statistic | 'evaluated' | 'y' | 'dy' | 'dx' | 'dgamma' | 'dbeta',
      'eps' | 'momentum'
    >
  >(read('ops-norm').batchnorm)('batch normalisation $name', async (g) => {
    const p = { ...nhwc(g.x), eps: g.eps, momentum: g.momentum };
    const [x, gamma, beta] = [values(g.x), values(g.gamma), values(g.beta)];
    const running = { runningMean: values(g.runningMean), runningVar: values(g.runningVar) };
    const { mean, invStd, ...after } = await ops.batchNormStats(
      device,
      { ...p, norm: 'batch' },
      { x, ...running },
    );
    expectEqual(after.runningMean, g.newRunningMean);
    expectEqual(after.runningVar, g.newRunningVar);
    const operands = { x, mean, invStd, gamma, beta };
    expectEqual((await ops.post(device, { ...p, norm: 'batch' }, operands)).y, g.y);
    const back = await ops.postBackward(device, { ...p, norm: 'batch' }, { ...operands, dy: values(g.dy) });
    expectEqual(back.dx, g.dx);
    expectEqual(back.dgamma, g.dgamma);
    expectEqual(back.dbeta, g.dbeta);
    const inference = { x, mean: running.runningMean, variance: running.runningVar, gamma, beta };
    expectEqual((await ops.post(device, { ...p, norm: 'running' }, inference)).y, g.evaluated);
  });

  test.each<Case<'x' | 'y' | 'dy' | 'dx', 'slope'>>(read('ops-norm').activation)(
    'activation $name',
    async (g) => {
      const p = { ...nhwc(g.x), slope: g.slope };
      expectEqual((await ops.post(device, p, { x: values(g.x) })).y, g.y);
      expectEqual((await ops.postBackward(device, p, { x: values(g.x), dy: values(g.dy) })).dx, g.dx);
    },
  );

  test.each<Case<'x' | 'y' | 'dy' | 'dx', Window>>(read('ops-norm').maxpool)(
    'max pooling $name',
    async (g) => {
      const { kernel, stride, padding } = g;
      const p = { ...nhwc(g.x), pool: { kernel, stride, padding } };
      const { y, argmax } = await ops.maxPool(
        device,
        { ...nhwc(g.x), kernel, stride, padding },
        { x: values(g.x) },
      );
      expectEqual(y, g.y);
      expectEqual((await ops.postBackward(device, p, { x: values(g.x), dy: values(g.dy), argmax })).dx, g.dx);
    },
  );

  test('pseudo-Huber map', async () => {
    const [g] = read('ops-loss').pseudoHuber as Record<'z' | 'a' | 'da', Tensor>[];
    const p = { batch: 1, inHeight: 1, inWidth: g!.z.data.length };
    expectEqual((await ops.score(device, p, { z: values(g!.z), low: true })).low, g!.a);
    // A single normal map of n values: dz = dA/dz / n.
    const { dz } = await ops.fcddLoss(device, p, { z: values(g!.z), labels: Uint8Array.of(0) });
    expectEqual(
      dz.map((v) => v * dz.length),
      g!.da,
    );
  });

  test.each<Case<'z' | 'scores' | 'losses' | 'dz'> & { labels: number[] }>(read('ops-loss').samplewise)(
    'sample-wise loss $name',
    async (g) => {
      const [batch, inHeight, inWidth] = g.z.shape as [number, number, number];
      const p = { batch, inHeight, inWidth };
      const labels = Uint8Array.from(g.labels);
      const { losses, dz } = await ops.fcddLoss(device, p, { z: values(g.z), labels });
      expectEqual(losses, g.losses);
      expectEqual(dz, g.dz);
      expectEqual((await ops.score(device, p, { z: values(g.z) })).scores, g.scores);
    },
  );

  test.each<Case<'z' | 'masks' | 'losses' | 'dz', Field>>(read('ops-loss').pixelwise)(
    'pixel-wise loss $name',
    async (g) => {
      const [batch, inHeight, inWidth] = g.z.shape as [number, number, number];
      const [, height, width] = g.masks.shape as [number, number, number];
      const p = {
        batch,
        inHeight,
        inWidth,
        height,
        width,
        taps: g.extent,
        jump: g.jump,
        shift: Math.floor(g.start),
      };
      const taps = ops.gaussianTaps(g.extent, g.sigma);
      const masks = Uint8Array.from(g.masks.data);
      const { losses, dz } = await ops.fcddLoss(device, p, {
        z: values(g.z),
        labels: new Uint8Array(batch),
        taps,
        masks,
      });
      expectEqual(losses, g.losses);
      expectEqual(dz, g.dz);
    },
  );

  test.each<Case<'a' | 'y' | 'dy' | 'da', Field> & { taps: number[] }>(read('ops-loss').upsample)(
    'Gaussian upsampling $name',
    async (g) => {
      const [batch, inHeight, inWidth] = g.a.shape as [number, number, number];
      const [, height, width] = g.y.shape as [number, number, number];
      const p = {
        batch,
        inHeight,
        inWidth,
        height,
        width,
        taps: g.extent,
        jump: g.jump,
        shift: Math.floor(g.start),
      };
      const taps = ops.gaussianTaps(g.extent, g.sigma);
      expect(distance(taps, g.taps)).toBeLessThan(tolerances.opFloat64);
      expectEqual((await ops.gaussianUpsample(device, p, { x: values(g.a), taps })).y, g.y);
      expectEqual((await ops.gaussianUpsampleBackward(device, p, { x: values(g.dy), taps })).y, g.da);
    },
  );

  test.each<{
    name: string;
    kind: 'sgd' | 'adam';
    lr: number;
    weightDecay: number;
    momentum?: number;
    start: number[];
    gradients: number[][];
    after: number[][];
  }>(read('ops-update').update)('optimiser $name', async ({ name: _, start, gradients, after, ...rule }) => {
    let w: Float64Array = Float64Array.from(start);
    let m: Float64Array = new Float64Array(w.length);
    let v = m;
    for (let step = 1; step <= gradients.length; step++) {
      const second = rule.kind === 'adam' ? { v } : {};
      const operands = { w, grad: Float64Array.from(gradients[step - 1]!), m, ...second };
      const next = await ops.update(device, { ...rule, step }, operands);
      [w, m, v] = [next.w, next.m, next.v ?? v];
      expectEqual(w, after[step - 1]!);
    }
  });

  test('L1 local contrast normalisation, as the input pipeline does it', async () => {
    const [g] = read('ops-norm').lcn as Case<'x' | 'y'>[];
    const [count, height, width] = g!.x.shape as [number, number, number];
    const area = height * width;
    // LCN does not mind scale: the multiples of 1/128 become bytes.
    const bytes = Uint8Array.from(g!.x.data, (value) => 128 * value);
    const at = (i: number) => ({ pixels: 3 * i * area, mask: null, height, width, label: 0 as const });
    using images = device.createImageStore({
      channels: 3,
      bytes,
      images: Array.from({ length: count }, (_, i) => at(i)),
    });
    using network = device.createNetwork([{ kind: 'conv', name: 'c', filters: 1, kernel: 1 }], {
      channels: 3,
      height,
      width,
    });
    using trainer = network.createTrainer({
      batch: count,
      objective: { pixelwise: false },
      optimiser: { kind: 'sgd' },
      seed: 0,
      images,
      pipeline: { height, width, channels: 3, lcn: true, offset: [0, 0, 0], scale: [1, 1, 1] },
      supervision: { mode: 'unsupervised', source: 'confetti' },
    });
    const { pixels, bytes: shuffled } = await trainer.augment(0, 0, count);
    const size = 3 * area;
    for (let i = 0; i < count; i++) {
      const original = bytes.slice(i * size, (i + 1) * size);
      const place = Array.from({ length: count }, (_, k) => k).find((k) =>
        original.every((byte, j) => shuffled[k * size + j] === byte),
      )!;
      const golden = g!.y.data.slice(i * size, (i + 1) * size);
      expect(distance(pixels.slice(place * size, (place + 1) * size), golden)).toBeLessThan(
        tolerances.augmentFloat32,
      );
    }
  });
});
