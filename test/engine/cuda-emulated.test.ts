/**
 * The whole path to the CUDA kernels, without a GPU: the addon loads libfcdd_cuda_emulated.so, the same kernels run by
 * the processor. Where it is not built these tests are skipped; scripts/ci.sh builds it beside the addon
 * (-DFCDD_CUDA_EMULATED=ON).
 */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { afterAll, describe, expect, test } from 'vitest';
import { openDevice, ops } from '../../src/engine/index.js';
import { native } from '../../src/engine/native.js';
import type { Layer, Network, TrainerOptions } from '../../src/engine/types.js';
import {
  distance,
  expectClose,
  failure,
  random,
  smallBatch,
  smallImages,
  smallInput,
  smallLayers,
  smallPipeline,
  tolerances,
} from './helpers.js';

const library = native()
  .deviceLibraries()
  .find(({ device }) => device === 'cuda-emulated')!.path;
const built = existsSync(library);
if (!built) console.warn(`skipped: the emulated CUDA library is not built (there is no ${library})`);

const bounds = { float32: tolerances.opFloat32, tf32: tolerances.opTf32, bf16: tolerances.opBf16 } as const;
const precisions = ['float32', 'tf32', 'bf16'] as const;
const reference = openDevice('reference');
const cpu = openDevice('cpu', { threads: 1 });
afterAll(() => {
  reference.dispose();
  cpu.dispose();
});

const trainerOptions = {
  batch: 4,
  objective: { pixelwise: false },
  optimiser: { kind: 'adam' },
  seed: 7,
} as const;
const data = {
  pipeline: smallPipeline,
  supervision: { mode: 'malformed-normal', source: 'confetti' },
} as const satisfies Partial<TrainerOptions>;

async function weights(network: Network): Promise<Record<string, Float64Array>> {
  const all: Record<string, Float64Array> = {};
  for (const { name } of network.tensors) all[name] = await network.get(name);
  return all;
}

describe.skipIf(!built)('the emulated CUDA device', () => {
  test('says what it is', () => {
    using device = openDevice('cuda-emulated', { precision: 'bf16' });
    expect(device.info).toMatchObject({ name: 'cuda-emulated', realBytes: 4, fallback: null });
    expect(device.info.isa).toMatch(/^cuda-emulated-.*bf16$/);
    expect(JSON.parse(native().libraryFacts('cuda-emulated'))).toMatchObject({
      architectures: [],
      driver: null,
    });
  });

  test.each(precisions)('%s: convolutions beside the reference', async (precision) => {
    using device = openDevice('cuda-emulated', { precision });
    const draw = random(3);
    const p = { batch: 2, height: 9, width: 7, channels: 16, filters: 20, kernel: 3, padding: 1 };
    const forward = { x: draw.values(2 * 63 * 16), w: draw.values(20 * 16 * 9), bias: draw.values(20) };
    const dy = draw.values(2 * 63 * 20);
    const both = async <T extends object>(run: (d: typeof device) => Promise<T>): Promise<void> =>
      expectClose(await run(device), await run(reference), bounds[precision], precision);
    await both((d) => ops.conv2d(d, p, forward));
    await both((d) => ops.conv2dInputGrad(d, p, { dy, w: forward.w }));
    await both((d) => ops.conv2dWeightGrad(d, p, { x: forward.x, dy, bias: true }));
  });

  test('pooling, loss and scores beside the reference', async () => {
    using device = openDevice('cuda-emulated');
    const draw = random(5);
    const pool = { batch: 2, height: 9, width: 7, channels: 5, kernel: 3, stride: 2, padding: 1 };
    const x = draw.values(2 * 63 * 5);
    expectClose(await ops.maxPool(device, pool, { x }), await ops.maxPool(reference, pool, { x }), 0);
    const map = { batch: 3, inHeight: 4, inWidth: 3 };
    const operands = { z: draw.values(36), labels: Uint8Array.of(0, 1, 0) };
    expectClose(
      await ops.fcddLoss(device, map, operands),
      await ops.fcddLoss(reference, map, operands),
      tolerances.opFloat32,
    );
  });

  test('trains like the cpu, infers like it, and gives the same bits again', async () => {
    const run = async (name: 'cpu' | 'cuda-emulated') => {
      using device = openDevice(name, { precision: 'float32' });
      using images = device.createImageStore(smallImages(2, 6));
      using network = device.createNetwork(smallLayers, smallInput);
      await network.initialise(1);
      using trainer = network.createTrainer({ ...trainerOptions, ...data, images });
      const { bytes, labels } = await trainer.augment(0, 0, 6);
      const report = await trainer.run({ epoch: 0, first: 0, steps: 2, lr: 0.001 });
      const { scores, maps } = await network.inferImages(
        images,
        { ...smallPipeline, pad: 0, randomCrop: false, flip: false },
        { first: 0, count: 3 },
        { maps: true },
      );
      return { bytes, labels, report, scores, maps: maps!, weights: await weights(network) };
    };
    const expected = await run('cpu');
    const emulated = await run('cuda-emulated');
    expect(emulated.bytes).toEqual(expected.bytes);
    expect(emulated.labels).toEqual(expected.labels);
    expect(emulated.report.loss).toBeCloseTo(expected.report.loss, 4);
    expect(distance(emulated.scores, expected.scores)).toBeLessThan(1e-3);
    expect(distance(emulated.maps, expected.maps)).toBeLessThan(1e-3);
    expect(await run('cuda-emulated')).toEqual(emulated);
  });

  test('state moves from the cpu to it and back', async () => {
    using device = openDevice('cuda-emulated', { precision: 'float32' });
    const batch = smallBatch(4, 4, [0, 1, 0, 1]);
    using first = cpu.createNetwork(smallLayers, smallInput);
    await first.initialise(2);
    using onCpu = first.createTrainer(trainerOptions);
    await onCpu.trainStep(batch, 0.001);
    using second = device.createNetwork(smallLayers, smallInput);
    using onGpu = second.createTrainer(trainerOptions);
    const moved = await weights(first);
    for (const [name, values] of Object.entries(moved)) await second.set(name, values);
    await onGpu.setState(await onCpu.state(), onCpu.updates);
    expect(await weights(second)).toEqual(moved);
    expect(await onGpu.state()).toEqual(await onCpu.state());
    const [there, here] = [await onGpu.trainStep(batch, 0.001), await onCpu.trainStep(batch, 0.001)];
    expect(there.loss).toBeCloseTo(here.loss, 5);
    for (const [name, values] of Object.entries(await weights(second))) await first.set(name, values);
    await onCpu.setState(await onGpu.state(), onGpu.updates);
    expect(onCpu.updates).toBe(2);
    expect(await onCpu.state()).toEqual(await onGpu.state());
  });

  test('several networks at once, disposal while a call runs, use after it', async () => {
    using device = openDevice('cuda-emulated');
    using other = openDevice('cuda-emulated', { precision: 'bf16' });
    const networks = [device, device, other].map((d) => d.createNetwork(smallLayers, smallInput));
    await Promise.all(networks.map((network) => network.initialise(3)));
    const { pixels } = smallBatch(1, 1);
    const running = networks.map((network) => network.infer(pixels));
    networks[0]!.dispose();
    const results = await Promise.all(running);
    expect(results[0]).toEqual(results[1]);
    expect(distance(results[2]!.scores, results[0]!.scores)).toBeLessThan(0.05);
    expect(() => networks[0]!.tensors).not.toThrow(TypeError);
    expect(await failure(networks[0]!.infer(pixels))).toMatchObject({ code: 'FCDD_INVALID_ARGUMENT' });
  });

  test('an image that is too small is refused when the trainer is made', () => {
    using device = openDevice('cuda-emulated');
    using images = device.createImageStore(smallImages(2, 6));
    using network = device.createNetwork(smallLayers, { ...smallInput, height: 24 });
    const pipeline = { ...smallPipeline, height: 24 };
    expect(() => network.createTrainer({ ...trainerOptions, ...data, images, pipeline })).toThrow(
      expect.objectContaining({
        code: 'FCDD_INVALID_ARGUMENT',
        message: expect.stringMatching(/images\[0\]: the crop of 24x12 is larger/),
      }),
    );
  });

  test('memory that runs out says how much was needed, and the device goes on', () => {
    const ended = spawnSync(process.execPath, [child('out-of-memory.mjs')], {
      encoding: 'utf8',
      env: { ...process.env, FCDD_EMULATED_MEMORY: String(4 << 20) },
    });
    expect(ended.stderr).toBe('');
    const { code, message, scores } = JSON.parse(ended.stdout);
    expect(code).toBe('FCDD_OUT_OF_MEMORY');
    expect(message).toMatch(/\d+ MiB of device memory needed, \d+ MiB free.*--memory-budget/);
    expect(scores).toBe(1);
  });

  test('in a worker thread', async () => {
    const worker = new Worker(child('emulated-worker.mjs'));
    const scores = await new Promise((resolve, reject) => {
      worker.once('message', resolve);
      worker.once('error', reject);
    });
    using device = openDevice('cuda-emulated');
    using network = device.createNetwork(smallLayers.slice(-1), { channels: 3, height: 8, width: 8 });
    await network.initialise(1);
    expect((await network.infer(new Float32Array(192).fill(0.5))).scores).toEqual(scores);
  });
});

const child = (name: string): string => fileURLToPath(new URL(`children/${name}`, import.meta.url));

describe('devices that are not there', () => {
  const script = fileURLToPath(new URL('../../dist/engine/index.js', import.meta.url));
  const open = (library: string) =>
    spawnSync(
      process.execPath,
      [
        '--input-type=module',
        '-e',
        `import { openDevice } from ${JSON.stringify(script)};
         const auto = openDevice('auto').info;
         try { openDevice('cuda'); } catch ({ code, message, hint }) {
           console.log(JSON.stringify({ code, message, hint, auto }));
         }`,
      ],
      { encoding: 'utf8', env: { ...process.env, FCDD_CUDA_LIBRARY: library } },
    );

  test.each([
    ['/nowhere/libfcdd_cuda.so', /there is no file .*which FCDD_CUDA_LIBRARY names/],
    [fileURLToPath(import.meta.url), /cannot be loaded: .*cuda-emulated\.test\.ts/],
  ])('%s', (path, message) => {
    const { stdout } = open(path);
    const found = JSON.parse(stdout);
    expect(found).toMatchObject({
      code: 'FCDD_NO_DEVICE',
      message: expect.stringMatching(message),
      hint: expect.any(String),
      auto: { name: 'cpu', fallback: expect.stringMatching(message) },
    });
  });

  test.skipIf(!built)('an emulated library never passes for a GPU', () => {
    expect(JSON.parse(open(library).stdout)).toMatchObject({
      code: 'FCDD_NO_DEVICE',
      message: expect.stringMatching(/is one of the device 'cuda-emulated'/),
      auto: { name: 'cpu' },
    });
  });
});

test('a memory budget changes no bit, and says what is needed when nothing fits', async () => {
  const deep = [1, 2, 3, 4].flatMap((i): Layer[] => [
    { kind: 'conv', name: `conv${i}`, filters: 8, kernel: 3, padding: 1 },
    { kind: 'batchnorm', name: `norm${i}` },
    { kind: 'lrelu' },
  ]);
  deep.push({ kind: 'conv', name: 'head', filters: 1, kernel: 1 });
  const budgeted = async (memoryBudget?: number) => {
    using network = cpu.createNetwork(deep, smallInput);
    await network.initialise(4);
    using trainer = network.createTrainer({
      ...trainerOptions,
      batch: 40,
      ...(memoryBudget === undefined ? {} : { memoryBudget }),
    });
    await trainer.trainStep(smallBatch(8, 40), 0.001);
    const all = await weights(network);
    const tensorBytes = Object.values(all).reduce((sum, { length }) => sum + 64 * Math.ceil(length / 16), 0);
    return { weights: all, bytes: trainer.reservedBytes, needed: trainer.reservedBytes + tensorBytes };
  };
  const whole = await budgeted();
  const enough = await budgeted(whole.needed);
  expect(enough).toEqual(whole);
  const tight = await budgeted(whole.needed - 1);
  expect(tight.bytes).toBeLessThan(whole.bytes);
  expect(tight.weights).toEqual(whole.weights);
  expect(await failure(budgeted(1 << 20))).toMatchObject({
    code: 'FCDD_OUT_OF_MEMORY',
    message: expect.stringMatching(
      /batch of 40 needs at least \d+\.\d MiB, the memory budget is 1\.0 MiB: a batch of \d+ fits/,
    ),
  });
});
