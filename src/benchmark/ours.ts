import { openDevice } from '../engine/index.js';
import type { Batch, Device, DeviceName, DeviceOptions, InputShape, Network } from '../engine/types.js';
import { relativeDistance } from '../evaluation/distance.js';
import { architecture } from '../models/index.js';

/** Calls before anything is timed, ours and the peers' alike. */
export const warmUp = 5;
const leastCalls = 3;

export interface Timed extends Disposable {
  /** Milliseconds of each call, for at least `seconds`. */
  measure(seconds: number): Promise<number[]>;
}

/** A network with random weights at its published input size; the device belongs to it. */
export interface BenchNetwork extends Disposable {
  device: Device;
  network: Network;
  input: InputShape;
}

export async function openNetwork(
  model: string,
  name: DeviceName,
  options: DeviceOptions = {},
): Promise<BenchNetwork> {
  const device = openDevice(name, options);
  try {
    const net = architecture(model);
    const network = device.createNetwork(net.layers({ bias: true }), net.input);
    await network.initialise(0);
    const dispose = (): void => {
      network[Symbol.dispose]();
      device[Symbol.dispose]();
    };
    return { device, network, input: net.input, [Symbol.dispose]: dispose };
  } catch (error) {
    device[Symbol.dispose]();
    throw error;
  }
}

/** Inference of a batch that lies in memory, up to the scores. */
export async function timeInference(
  model: string,
  batch: number,
  name: DeviceName,
  options: DeviceOptions,
): Promise<Timed> {
  const net = await openNetwork(model, name, options);
  const { pixels } = randomBatch(batch, net.input);
  return timed(() => net.network.infer(pixels), net);
}

/** A training step on a batch that lies in memory: forward, sample-wise loss, backward, SGD. */
export async function timeTraining(
  model: string,
  batch: number,
  name: DeviceName,
  options: DeviceOptions,
): Promise<Timed> {
  const net = await openNetwork(model, name, options);
  const trainer = net.network.createTrainer({
    batch,
    objective: { pixelwise: false },
    optimiser: { kind: 'sgd', momentum: 0.9 },
    seed: 0,
  });
  const data = randomBatch(batch, net.input);
  return timed(() => trainer.trainStep(data, 1e-4), trainer, net);
}

/** Relative L2 distance of the low-resolution map of one image from the reference device's. */
export async function inferenceError(
  model: string,
  name: DeviceName,
  options: DeviceOptions,
): Promise<number> {
  using ours = await openNetwork(model, name, options);
  using reference = await openNetwork(model, 'reference');
  const { pixels } = randomBatch(1, ours.input);
  const [found, expected] = await Promise.all([
    ours.network.infer(pixels, { low: true }),
    reference.network.infer(pixels, { low: true }),
  ]);
  return relativeDistance(found.low!, expected.low!);
}

function timed(call: () => Promise<unknown>, ...resources: Disposable[]): Timed {
  let warm = false;
  return {
    async measure(seconds) {
      for (let i = 0; !warm && i < warmUp; i++) await call();
      warm = true;
      const times: number[] = [];
      const end = performance.now() + 1000 * seconds;
      while (times.length < leastCalls || performance.now() < end) {
        const began = performance.now();
        await call();
        times.push(performance.now() - began);
      }
      return times;
    },
    [Symbol.dispose]() {
      for (const resource of resources) resource[Symbol.dispose]();
    },
  };
}

/** Half normal, half anomalous; values do not matter for speed as long as they are ordinary numbers. */
export function randomBatch(count: number, input: InputShape): Batch {
  const pixels = new Float32Array(count * input.height * input.width * input.channels);
  for (let i = 0; i < pixels.length; i++) pixels[i] = Math.sin(i);
  return { count, pixels, labels: new Uint8Array(count).map((_, index) => index % 2) };
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}
