/** Precision bf16 of the cpu: what it rounds, how far that moves a network, and what is refused. */
import { describe, expect, test } from 'vitest';
import { openDevice, ops } from '../../src/engine/index.js';
import type { Device, Layer } from '../../src/engine/types.js';
import { distance, expectClose, isas, random, tolerances } from './helpers.js';

const hasBf16 = (() => {
  try {
    openDevice('cpu', { precision: 'bf16' }).dispose();
    return true;
  } catch {
    console.warn('skipped: bf16 on the cpu wants AVX-512 BF16, which this machine lacks');
    return false;
  }
})();

const input = { channels: 3, height: 32, width: 28 };
const layers: Layer[] = [
  { kind: 'conv', name: 'first', filters: 24, kernel: 3, padding: 1 },
  { kind: 'batchnorm', name: 'norm' },
  { kind: 'lrelu' },
  { kind: 'maxpool', kernel: 2, stride: 2 },
  { kind: 'conv', name: 'second', filters: 33, kernel: 3, padding: 1 },
  { kind: 'lrelu' },
  { kind: 'conv', name: 'third', filters: 40, kernel: 5, padding: 2 },
  { kind: 'lrelu' },
  { kind: 'conv', name: 'head', filters: 1, kernel: 1 },
];
const pixels = random(3).values(4 * input.height * input.width * input.channels);
const labels = Uint8Array.of(0, 1, 0, 1);

async function run(device: Device): Promise<{ low: ArrayLike<number>; losses: number[] }> {
  using _ = device;
  using network = device.createNetwork(layers, input);
  await network.initialise(1);
  const { low } = await network.infer(pixels, { low: true });
  using trainer = network.createTrainer({
    ...{ batch: 4, objective: { pixelwise: false }, seed: 0 },
    optimiser: { kind: 'adam' },
  });
  const losses: number[] = [];
  for (let step = 0; step < 5; step++)
    losses.push((await trainer.trainStep({ count: 4, pixels, labels }, 1e-3)).loss);
  return { low: low!, losses };
}

describe.skipIf(!hasBf16)('bf16 on the cpu', () => {
  const bf16 = (threads: number): Device => openDevice('cpu', { precision: 'bf16', threads });

  test('stays near float32, in inference and over training steps, with the same bits for any number of threads', async () => {
    const [rounded, again, plain] = await Promise.all([run(bf16(1)), run(bf16(3)), run(openDevice('cpu'))]);
    expect(again).toEqual(rounded);
    expect(distance(rounded.low, plain.low)).toBeGreaterThan(tolerances.opFloat32); // it does round
    expect(distance(rounded.low, plain.low)).toBeLessThan(tolerances.opBf16Winograd);
    expect(distance(rounded.losses, plain.losses)).toBeLessThan(tolerances.runLossesBf16);
  });

  test('leaves kernel 5, stride 2 and the weight gradient in float32', async () => {
    using rounded = bf16(2);
    using plain = openDevice('cpu', { threads: 2 });
    const values = random(5);
    const same = { batch: 2, height: 12, width: 12, channels: 16, filters: 16 };
    const x = values.values(2 * 12 * 12 * 16);
    for (const shape of [
      { kernel: 5, padding: 2 },
      { kernel: 3, padding: 1, stride: 2 },
    ]) {
      const operands = { x, w: values.values(16 * 16 * shape.kernel ** 2) };
      const conv = { ...same, ...shape };
      expect(await ops.conv2d(rounded, conv, operands)).toEqual(await ops.conv2d(plain, conv, operands));
    }
    const conv = { ...same, kernel: 3, padding: 1 };
    const gradients = { x, dy: values.values(2 * 12 * 12 * 16) };
    expectClose(
      await ops.conv2dWeightGrad(rounded, conv, gradients),
      await ops.conv2dWeightGrad(plain, conv, gradients),
      Number.MIN_VALUE,
    );
  });

  test('says so in its name', () => {
    using device = bf16(1);
    expect(device.info.isa).toBe('avx512-bf16');
  });

  test.each(isas.filter((isa) => isa !== 'avx512'))('does not go with %s', (isa) => {
    expect(() => openDevice('cpu', { isa, precision: 'bf16' })).toThrow(
      expect.objectContaining({
        code: 'FCDD_NO_DEVICE',
        message: expect.stringMatching(/goes with the instruction set avx512/),
      }),
    );
  });
});

test.skipIf(hasBf16)('bf16 is refused where the machine has none; "auto" computes in float32', () => {
  expect(() => openDevice('cpu', { precision: 'bf16' })).toThrow(
    /wants AVX-512 BF16|goes with the instruction set avx512/, // the latter with FCDD_CPU_ISA set to another
  );
  using device = openDevice('auto', { precision: 'bf16' });
  expect(device.info.isa).not.toMatch(/^avx512-bf16/);
});
