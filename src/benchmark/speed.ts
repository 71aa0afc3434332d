import { openDevice } from '../engine/index.js';
import type { Batch, Device, DeviceName, DeviceOptions } from '../engine/types.js';
import { architecture } from '../models/index.js';

/** What is timed: a whole training step (forward, loss, backward, update) or inference up to the scores. */
export type Suite = 'training' | 'inference';

export interface SpeedOptions {
  model: string;
  batch: number;
  device: DeviceName;
  deviceOptions: DeviceOptions;
  /** Seconds of measuring per suite, after two calls to warm up. */
  seconds: number;
}

const warmUp = 2;
const leastCalls = 3;

/**
 * Milliseconds of the median call on a batch that lies in memory, at the architecture's published input size.
 * @returns per suite all timed calls, in milliseconds
 */
export async function measureSpeed(options: SpeedOptions): Promise<Record<Suite, number[]>> {
  using device = openDevice(options.device, options.deviceOptions);
  return { training: await trainingTimes(device, options), inference: await inferenceTimes(device, options) };
}

async function trainingTimes(device: Device, { model, batch, seconds }: SpeedOptions): Promise<number[]> {
  const net = architecture(model);
  using network = device.createNetwork(net.layers({ bias: true }), net.input);
  await network.initialise(0);
  using trainer = network.createTrainer({
    batch,
    objective: { pixelwise: false },
    optimiser: { kind: 'sgd', momentum: 0.9 },
    seed: 0,
  });
  const data = randomBatch(batch, net.input);
  return await timeCalls(seconds, () => trainer.trainStep(data, 1e-4));
}

async function inferenceTimes(device: Device, { model, batch, seconds }: SpeedOptions): Promise<number[]> {
  const net = architecture(model);
  using network = device.createNetwork(net.layers({ bias: true }), net.input);
  await network.initialise(0);
  const { pixels } = randomBatch(batch, net.input);
  return await timeCalls(seconds, () => network.infer(pixels));
}

async function timeCalls(seconds: number, call: () => Promise<unknown>): Promise<number[]> {
  for (let i = 0; i < warmUp; i++) await call();
  const times: number[] = [];
  const end = performance.now() + 1000 * seconds;
  while (times.length < leastCalls || performance.now() < end) {
    const began = performance.now();
    await call();
    times.push(performance.now() - began);
  }
  return times;
}

/** Half normal, half anomalous; values do not matter for speed as long as they are ordinary numbers. */
function randomBatch(count: number, input: { height: number; width: number; channels: number }): Batch {
  const pixels = new Float32Array(count * input.height * input.width * input.channels);
  for (let i = 0; i < pixels.length; i++) pixels[i] = Math.sin(i);
  return { count, pixels, labels: new Uint8Array(count).map((_, index) => index % 2) };
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}
