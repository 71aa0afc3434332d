/** Networks and trainers as wholes: the same bits for any number of threads, aborts, disposal, small batches. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, describe, expect, test } from 'vitest';
import { openDevice } from '../../src/engine/index.js';
import type {
  Device,
  Network,
  Supervision,
  TensorMap,
  Trainer,
  TrainerOptions,
} from '../../src/engine/types.js';
import {
  distance,
  expectClose,
  failure,
  isas,
  random,
  smallBatch,
  smallImages,
  smallInput,
  smallLayers,
  smallPipeline,
  tolerances,
  withDevice,
} from './helpers.js';

const confetti: Supervision = { mode: 'malformed-normal-gt', source: 'confetti' };
const dataOptions = {
  batch: 4,
  objective: { pixelwise: true },
  optimiser: { kind: 'adam', weightDecay: 1e-4 },
  seed: 5,
  pipeline: smallPipeline,
  supervision: confetti,
} satisfies Omit<TrainerOptions, 'images'>;

interface Setup {
  network: Network;
  trainer: Trainer;
}

/** The small network with random weights and a trainer on `count` random pictures. */
async function setUp(device: Device, count = 22, options: Partial<TrainerOptions> = {}): Promise<Setup> {
  const network = device.createNetwork(smallLayers, smallInput);
  await network.initialise(11);
  const images = device.createImageStore(smallImages(1, count));
  return { network, trainer: network.createTrainer({ ...dataOptions, images, ...options }) };
}

async function weights(network: Network): Promise<TensorMap> {
  const entries = network.tensors.map(async ({ name }) => [name, await network.get(name)] as const);
  return Object.fromEntries(await Promise.all(entries));
}

const LONG = 10_000; // repetitions of the pictures: 55 000 steps in an epoch
async function longRun(device: Device): Promise<Setup> {
  return setUp(device, 22, { repeat: LONG });
}

const cpu = openDevice('cpu');
afterAll(() => cpu.dispose());

describe('bits', () => {
  test.each(isas)('%s: 1, 2 and 7 threads train and infer alike', async (isa) => {
    const outcomes = [];
    for (const threads of [1, 2, 7]) {
      const outcome = await withDevice('cpu', { isa, threads }, async (device) => {
        const { network, trainer } = await setUp(device);
        const report = await trainer.run({ epoch: 0, first: 0, steps: 6, lr: 0.01 });
        const { scores, maps } = await network.infer(smallBatch(3, 5).pixels, { maps: true });
        return { report, scores, maps, tensors: await weights(network) };
      });
      outcomes.push(outcome);
    }
    expect(outcomes[1]).toEqual(outcomes[0]);
    expect(outcomes[2]).toEqual(outcomes[0]);
  });

  test('a run continued in a new trainer from saved state equals an unbroken one', async () => {
    const whole = await setUp(cpu);
    await whole.trainer.run({ epoch: 0, first: 0, steps: 6, lr: 0.01 });

    const { network, trainer } = await setUp(cpu);
    await trainer.run({ epoch: 0, first: 0, steps: 2, lr: 0.01 });
    const state = await trainer.state();
    const updates = trainer.updates;
    expect(updates).toBe(2);
    trainer.dispose();
    const images = cpu.createImageStore(smallImages(1, 22));
    const next = network.createTrainer({ ...dataOptions, images });
    await next.setState(state, updates);
    await next.run({ epoch: 0, first: 2, steps: 4, lr: 0.01 });
    expect(await weights(network)).toEqual(await weights(whole.network));
    expect(await next.state()).toEqual(await whole.trainer.state());
  });

  test('a score does not depend on what else is in the batch', async () => {
    const { network } = await setUp(cpu);
    const { pixels } = smallBatch(9, 5);
    const one = pixels.length / 5;
    const { scores } = await network.infer(pixels);
    const alone = await network.infer(pixels.slice(3 * one, 4 * one));
    expect(alone.scores[0]).toBe(scores[3]);
  });
});

test('a nominal label of 1 swaps labels and masks, and nothing else', async () => {
  const { network } = await setUp(cpu);
  const images = cpu.createImageStore(smallImages(1, 22));
  const make = (nominalLabel: 0 | 1) =>
    network.createTrainer({ ...dataOptions, images, nominalLabel }).augment(1, 0, 22);
  const plain = await make(0);
  const swapped = await make(1);
  expect(new Set(plain.labels)).toEqual(new Set([0, 1]));
  expect(swapped.bytes).toEqual(plain.bytes);
  expect(swapped.labels).toEqual(plain.labels.map((label) => 1 - label));
  expect(swapped.masks).toEqual(plain.masks.map((value) => 1 - value));
});

describe('cpu against reference', () => {
  test('gradients and activations of a whole step', async () => {
    const find = async (device: Device) => {
      const network = device.createNetwork(smallLayers, smallInput);
      await network.initialise(2);
      const options = {
        batch: 3,
        objective: { pixelwise: true },
        optimiser: { kind: 'sgd' },
        seed: 0,
      } as const;
      const trainer = network.createTrainer({ ...options, keepActivations: true });
      const { report, gradients } = await trainer.gradients(smallBatch(4, 3, [0, 1, 1]));
      return { loss: [report.loss], gradients, activations: await trainer.lastActivations() };
    };
    const found = await find(cpu);
    const truth = await withDevice('reference', {}, find);
    expectClose({ loss: found.loss }, { loss: truth.loss }, tolerances.opFloat32);
    expectClose(found.gradients, truth.gradients, tolerances.networkGradientsFloat32);
    expectClose(found.activations, truth.activations, tolerances.networkGradientsFloat32);
    expect(Object.keys(truth.activations).length).toBeGreaterThan(3);
  });

  const sources = ['confetti', 'gaussian', 'uniform', 'solid', 'blob', 'mixed-blob', 'exposure'] as const;
  test.each(sources)('augmented pixels with %s', async (source) => {
    for (const mode of ['noise', 'malformed-normal-gt'] as const) {
      const augment = async (device: Device) => {
        const exposure = device.createImageStore(smallImages(8, 5));
        const jitter = [{ brightness: 0.2, contrast: 0.2, saturation: 0.2, hue: 0.1 }];
        const pipeline = { ...smallPipeline, jitter, noise: { sigma: 0.05, probability: 0.5 }, lcn: true };
        const { trainer } = await setUp(device, 9, { exposure, pipeline, supervision: { mode, source } });
        expect(await trainer.timeAugment(3, 1, 4)).toBeGreaterThan(0);
        return trainer.augment(3, 1, 8);
      };
      const found = await augment(cpu);
      const truth = await withDevice('reference', {}, augment);
      expect(found.bytes).toEqual(truth.bytes);
      expect(found.labels).toEqual(truth.labels);
      expect(found.masks).toEqual(truth.masks);
      expect(distance(found.pixels, truth.pixels)).toBeLessThan(tolerances.augmentFloat32);
    }
  });
});

describe('aborting', () => {
  test('in mid-run resolves with the steps done, from which a run goes on as if unbroken', async () => {
    const { network, trainer } = await longRun(cpu);
    const controller = new AbortController();
    const running = trainer.run({ epoch: 0, first: 0, steps: 50_000, lr: 0.001, signal: controller.signal });
    await sleep(60);
    controller.abort();
    const { steps } = await running;
    expect(steps).toBeGreaterThan(0);
    expect(steps).toBeLessThan(50_000);
    expect(trainer.updates).toBe(steps);
    await trainer.run({ epoch: 0, first: steps, steps: 3, lr: 0.001 });

    const whole = await longRun(cpu);
    await whole.trainer.run({ epoch: 0, first: 0, steps: steps + 3, lr: 0.001 });
    expect(await weights(network)).toEqual(await weights(whole.network));
  });

  test('before or while queued rejects with FCDD_ABORTED and does nothing', async () => {
    const { trainer } = await setUp(cpu);
    const early = AbortSignal.abort(new Error('not today'));
    const error = await failure(trainer.run({ epoch: 0, first: 0, steps: 1, lr: 0.1, signal: early }));
    expect(error).toMatchObject({ code: 'FCDD_ABORTED', cause: { message: 'not today' } });

    const ahead = await longRun(cpu);
    const [first, second] = [new AbortController(), new AbortController()];
    const running = ahead.trainer.run({ epoch: 0, first: 0, steps: 50_000, lr: 0.001, signal: first.signal });
    const queued = failure(trainer.run({ epoch: 0, first: 0, steps: 1, lr: 0.01, signal: second.signal }));
    second.abort();
    await sleep(20);
    first.abort();
    expect((await running).steps).toBeGreaterThan(0);
    expect(await queued).toMatchObject({ code: 'FCDD_ABORTED' });
    expect(trainer.updates).toBe(0);
  });

  test('an inference over a store', async () => {
    const { network } = await setUp(cpu);
    // So many that they are still under way when this thread, on a busy machine, comes back to abort them.
    const count = 40_000;
    const images = cpu.createImageStore(smallImages(2, count));
    const controller = new AbortController();
    const running = failure(
      network.inferImages(images, smallPipeline, { first: 0, count }, { signal: controller.signal }),
    );
    controller.abort();
    expect(await running).toMatchObject({ code: 'FCDD_ABORTED' });
  });
});

describe('disposal', () => {
  test('during a call waits for it; afterwards every use is an error', async () => {
    const device = openDevice('cpu');
    const { network, trainer } = await setUp(device);
    const running = trainer.run({ epoch: 0, first: 0, steps: 5, lr: 0.01 });
    trainer.dispose();
    network.dispose();
    device.dispose();
    expect((await running).steps).toBe(5);
    const gone = { code: 'FCDD_INVALID_ARGUMENT', message: expect.stringContaining('has been disposed of') };
    expect(await failure(trainer.run({ epoch: 0, first: 0, steps: 1, lr: 0.01 }))).toMatchObject(gone);
    expect(await failure(trainer.state())).toMatchObject(gone);
    expect(await failure(network.get('conv1.weight'))).toMatchObject(gone);
    expect(() => network.createTrainer({ ...dataOptions })).toThrow('has been disposed of');
    expect(() => device.createNetwork(smallLayers, smallInput)).toThrow('has been disposed of');
  });

  test('twice, or by `using`, is fine; children keep what they need', async () => {
    let kept: Trainer;
    {
      using device = openDevice('cpu');
      using network = device.createNetwork(smallLayers, smallInput);
      using images = device.createImageStore(smallImages(1, 6));
      kept = network.createTrainer({ ...dataOptions, images });
      images.dispose();
      device.dispose();
    }
    expect((await kept.run({ epoch: 0, first: 0, steps: 2, lr: 0.01 })).steps).toBe(2);
    kept.dispose();
    kept.dispose();
  });

  test('objects made while a run is under way work after it', async () => {
    const { trainer } = await longRun(cpu);
    const controller = new AbortController();
    const running = trainer.run({ epoch: 0, first: 0, steps: 50_000, lr: 0.001, signal: controller.signal });
    const other = cpu.createNetwork(smallLayers, smallInput);
    const images = cpu.createImageStore(smallImages(4, 3));
    const made = other.createTrainer({ ...dataOptions, images });
    const abandoned = cpu.createNetwork(smallLayers, smallInput);
    abandoned.dispose();
    controller.abort();
    await running.catch(() => {});
    expect(made.positions).toBe(3);
    expect(other.tensors.length).toBeGreaterThan(5);
    expect((await made.run({ epoch: 0, first: 0, steps: 1, lr: 0.01 })).steps).toBe(1);
  });
});

describe('small batches', () => {
  const explicit = { objective: { pixelwise: false }, optimiser: { kind: 'sgd' }, seed: 0 } as const;

  test.each(['cpu', 'reference'] as const)(
    '%s: one sample, one label, the shorter last batch',
    async (name) => {
      await withDevice(name, {}, async (device) => {
        const network = device.createNetwork(smallLayers, smallInput);
        await network.initialise(1);
        const trainer = network.createTrainer({ ...explicit, batch: 3 });
        const one = await trainer.trainStep(smallBatch(1, 1, [0]), 0.01);
        expect(one).toMatchObject({ steps: 1, normals: 1, anomalies: 0, anomalous: null });
        expect(one.normal).toBe(one.loss);
        const anomalies = await trainer.trainStep(smallBatch(2, 3, [1, 1, 1]), 0.01);
        expect(anomalies).toMatchObject({ normals: 0, anomalies: 3, normal: null });
        expect(anomalies.anomalous).toBeCloseTo(anomalies.loss, 12);
        const normals = await trainer.trainStep(smallBatch(3, 2, [0, 0]), 0.01);
        expect(normals).toMatchObject({ normals: 2, anomalies: 0 });
        expect(Object.values(await weights(network)).every((w) => w.every(Number.isFinite))).toBe(true);

        const short = await setUp(device, 6);
        expect(short.trainer).toMatchObject({ positions: 6, stepsPerEpoch: 2, updates: 0 });
        const report = await short.trainer.run({ epoch: 1, first: 0, steps: 2, lr: 0.01 });
        expect(report.normals + report.anomalies).toBe(6);
      });
    },
  );

  test('memory estimates are what a trainer reserves', async () => {
    using network = cpu.createNetwork(smallLayers, smallInput);
    using trainer = network.createTrainer({ ...explicit, batch: 7 });
    expect(trainer.reservedBytes).toBe(network.trainingBytes(7, { adam: false, pixelwise: false }));
    expect(network.inferenceBytes(2)).toBeGreaterThan(network.inferenceBytes(1));
  });

  test('LCN and statistics of a store', async () => {
    const images = cpu.createImageStore(smallImages(12, 10));
    const pipeline = { ...smallInput, channels: 3 as const, offset: [0, 0, 0], scale: [1, 1, 1] };
    const found = await images.statistics(pipeline);
    const { bytes } = smallImages(12, 10);
    for (const c of [0, 1, 2]) {
      const values = Array.from(bytes).flatMap((byte, i) => (i % 3 === c ? [byte / 255] : []));
      const mean = values.reduce((a, b) => a + b, 0) / values.length;
      const variance = values.reduce((a, b) => a + (b - mean) ** 2, 0) / (values.length - 1);
      expect(found.mean[c]).toBeCloseTo(mean, 6);
      expect(found.std[c]).toBeCloseTo(Math.sqrt(variance), 6);
      expect(found.lcnMin[c]).toBeLessThan(0);
      expect(found.lcnMax[c]).toBeGreaterThan(0);
    }
  });
});

test('inference: maps and low maps as asked for, the same from pixels and from a store', async () => {
  const { network } = await setUp(cpu);
  const stored = smallImages(2, 3);
  const images = cpu.createImageStore(stored);
  const pipeline = { ...smallInput, channels: 3 as const, offset: [0.5, 0.4, 0.3], scale: [0.2, 0.3, 0.4] };
  const pixels = Float32Array.from(stored.bytes, (byte, i) => {
    return (byte / 255 - pipeline.offset[i % 3]!) / pipeline.scale[i % 3]!;
  });
  const options = { maps: true, low: true, sigma: 1.5 };
  const byPixels = await network.infer(pixels, options);
  const byStore = await network.inferImages(images, pipeline, { first: 0, count: 3 }, options);
  expectClose(byPixels, byStore, tolerances.opFloat32);
  expect(byStore.maps?.length).toBe(3 * 16 * 12);
  expect(byStore.low?.length).toBe(3 * 4 * 3);
  expect(Object.keys(await network.infer(pixels))).toEqual(['scores']);
  const mean = byStore.low!.slice(0, 12).reduce((a, b) => a + b, 0) / 12;
  expect(byStore.scores[0]).toBeCloseTo(mean, 6);
  const draws = random(1).values(3);
  await network.set('head.bias', draws.slice(0, 1));
  expect(await network.get('head.bias')).toEqual(draws.slice(0, 1));
});
