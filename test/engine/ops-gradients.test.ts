/**
 * Every backward of `reference` against central differences of its forward, element by element: the gradient of
 * f(x) = Σ r·y(x) with random r. `cpu` is compared with `reference` elsewhere.
 */
import { afterAll, describe, expect, test } from 'vitest';
import { openDevice, ops } from '../../src/engine/index.js';
import { distance, random, tolerances } from './helpers.js';

const device = openDevice('reference');
afterAll(() => device.dispose());

const STEP = 1e-5;
const draw = random(7);

const dot = (a: Float64Array, b: Float64Array) =>
  a.reduce((sum, value, i) => sum + value * (b[i] as number), 0);

/** Central differences of the scalar function `f` at `at`. */
async function numerical(at: Float64Array, f: (x: Float64Array) => Promise<number>): Promise<Float64Array> {
  const gradient = new Float64Array(at.length);
  for (let i = 0; i < at.length; i++) {
    const side = async (sign: number) => {
      const moved = at.slice();
      moved[i] = (moved[i] as number) + sign * STEP;
      return f(moved);
    };
    gradient[i] = ((await side(1)) - (await side(-1))) / (2 * STEP);
  }
  return gradient;
}

async function expectGradient(
  gradient: Float64Array | undefined,
  at: Float64Array,
  f: (x: Float64Array) => Promise<number>,
): Promise<void> {
  expect(distance(gradient, await numerical(at, f))).toBeLessThan(tolerances.finiteDifference);
}

describe.each([
  { kernel: 3, stride: 1, padding: 1 },
  { kernel: 5, stride: 1, padding: 2 },
  { kernel: 3, stride: 2, padding: 0 },
  { kernel: 2, stride: 2, padding: 1 },
  { kernel: 1, stride: 1, padding: 0 },
])('conv2d %o', (window) => {
  const p = { batch: 2, height: 5, width: 6, channels: 2, filters: 3, ...window };
  const x = draw.values(2 * 5 * 6 * 2);
  const w = draw.values(3 * 2 * window.kernel ** 2);
  const bias = draw.values(3);
  const forward = async (at: { x?: Float64Array; w?: Float64Array; bias?: Float64Array }) =>
    (await ops.conv2d(device, p, { x, w, bias, ...at })).y;

  test('by input, weights and bias', async () => {
    const r = draw.values((await forward({})).length);
    const { dx } = await ops.conv2dInputGrad(device, p, { dy: r, w });
    const { dw, dbias } = await ops.conv2dWeightGrad(device, p, { x, dy: r, bias: true });
    await expectGradient(dx, x, async (at) => dot(await forward({ x: at }), r));
    await expectGradient(dw, w, async (at) => dot(await forward({ w: at }), r));
    await expectGradient(dbias, bias, async (at) => dot(await forward({ bias: at }), r));
  });
});

describe.each([
  { slope: 0.01, pool: { kernel: 2 } },
  { slope: 0, pool: { kernel: 3, stride: 2, padding: 1 } },
  { slope: 0.3 },
  {},
])('post %o', (stages) => {
  const p = { batch: 2, height: 5, width: 4, channels: 3, ...stages };
  const x = draw.values(2 * 5 * 4 * 3);
  const gamma = draw.values(3).map((v) => v + 2);
  const beta = draw.values(3);
  const zeros = new Float64Array(3);

  test('with batch statistics, by input, gamma and beta', async () => {
    const normalised = { ...p, norm: 'batch' as const };
    const forward = async (at: { x?: Float64Array; gamma?: Float64Array; beta?: Float64Array }) => {
      const operands = { x, gamma, beta, ...at };
      const statistics = { x: operands.x, runningMean: zeros, runningVar: zeros };
      const { mean, invStd } = await ops.batchNormStats(device, normalised, statistics);
      return { ...(await ops.post(device, normalised, { ...operands, mean, invStd })), mean, invStd };
    };
    const { y, argmax, mean, invStd } = await forward({});
    const r = draw.values(y.length);
    const operands = { dy: r, x, mean, invStd, gamma, beta, ...(argmax && { argmax }) };
    const { dx, dgamma, dbeta } = await ops.postBackward(device, normalised, operands);
    await expectGradient(dx, x, async (at) => dot((await forward({ x: at })).y, r));
    await expectGradient(dgamma, gamma, async (at) => dot((await forward({ gamma: at })).y, r));
    await expectGradient(dbeta, beta, async (at) => dot((await forward({ beta: at })).y, r));
  });

  test('without normalisation', async () => {
    const { y, argmax } = await ops.post(device, p, { x });
    const r = draw.values(y.length);
    const { dx } = await ops.postBackward(device, p, { dy: r, x, ...(argmax && { argmax }) });
    await expectGradient(dx, x, async (at) => dot((await ops.post(device, p, { x: at })).y, r));
  });
});

describe('fcddLoss', () => {
  const p = { batch: 3, inHeight: 3, inWidth: 4, height: 12, width: 16, taps: 16, jump: 4, shift: 1 };
  const z = draw.values(3 * 3 * 4).map((v) => 2 * v);
  const labels = Uint8Array.of(0, 1, 1);
  const mean = (losses: Float64Array) => losses.reduce((sum, loss) => sum + loss, 0) / losses.length;

  test('sample-wise', async () => {
    const map = { batch: 3, inHeight: 3, inWidth: 4 };
    const { dz } = await ops.fcddLoss(device, map, { z, labels });
    await expectGradient(dz, z, async (at) =>
      mean((await ops.fcddLoss(device, map, { z: at, labels })).losses),
    );
  });

  test('pixel-wise', async () => {
    const taps = ops.gaussianTaps(16, 3);
    const masks = draw.bytes(3 * 12 * 16, 1);
    const { dz } = await ops.fcddLoss(device, p, { z, labels, taps, masks });
    await expectGradient(dz, z, async (at) =>
      mean((await ops.fcddLoss(device, p, { z: at, labels, taps, masks })).losses),
    );
  });
});

test('gaussianUpsampleBackward is the adjoint', async () => {
  const p = { batch: 2, inHeight: 4, inWidth: 3, height: 13, width: 11, taps: 9, jump: 3, shift: -1 };
  const taps = ops.gaussianTaps(9, 2);
  const low = draw.values(2 * 4 * 3);
  const r = draw.values(2 * 13 * 11);
  const forward = async (x: Float64Array) => dot((await ops.gaussianUpsample(device, p, { x, taps })).y, r);
  const { y } = await ops.gaussianUpsampleBackward(device, p, { x: r, taps });
  await expectGradient(y, low, forward);
});
