/** Data, devices and comparisons that the tests of the engine share. */
import { readFileSync } from 'node:fs';
import { expect } from 'vitest';
import { openDevice, ops } from '../../src/engine/index.js';
import type { Batch, Device, Layer, Pipeline, StoredImages } from '../../src/engine/types.js';

export const tolerances = JSON.parse(
  readFileSync(new URL('../tolerances.json', import.meta.url), 'utf8'),
) as Record<
  | 'opFloat32'
  | 'opFloat64'
  | 'networkGradientsFloat32'
  | 'opTf32'
  | 'opBf16'
  | 'opBf16Winograd'
  | 'runLossesBf16'
  | 'finiteDifference'
  | 'augmentFloat32'
  | 'runLossesFloat32',
  number
>;

/** Every instruction set that this process can use. */
export const isas = ops.cpuInfo().isas;

export interface Random {
  /** In -1..1, exact in float32. */
  values(count: number): Float64Array;
  bytes(count: number, high?: number): Uint8Array;
}

/** A small generator (mulberry32): the same seed, the same data, on every machine. */
export function random(seed: number): Random {
  let state = seed >>> 0;
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
  return {
    values: (count) => Float64Array.from({ length: count }, () => Math.fround(2 * next() - 1)),
    bytes: (count, high = 255) => Uint8Array.from({ length: count }, () => Math.floor(next() * (high + 1))),
  };
}

/** ‖a − b‖ / ‖b‖, or ‖a − b‖ where b is all zeros; infinite when the lengths differ or a value is not a number. */
export function distance(a: ArrayLike<number> | undefined, b: ArrayLike<number> | undefined): number {
  if (a === undefined || b === undefined || a.length !== b.length) return Number.POSITIVE_INFINITY;
  let difference = 0;
  let size = 0;
  for (let i = 0; i < b.length; i++) {
    difference += ((a[i] as number) - (b[i] as number)) ** 2;
    size += (b[i] as number) ** 2;
  }
  const relative = Math.sqrt(difference) / (Math.sqrt(size) || 1);
  return Number.isNaN(relative) ? Number.POSITIVE_INFINITY : relative;
}

/** Expects every array of `actual` to be within `tolerance` of the one of the same name. */
export function expectClose(actual: object, expected: object, tolerance: number, what = ''): void {
  const found = actual as Record<string, ArrayLike<number>>;
  const wanted = expected as Record<string, ArrayLike<number>>;
  expect(Object.keys(found).sort(), what).toEqual(Object.keys(wanted).sort());
  for (const name of Object.keys(wanted)) {
    expect(distance(found[name], wanted[name]), `${what} ${name}`).toBeLessThanOrEqual(tolerance);
  }
}

export async function withDevice<T>(
  name: 'cpu' | 'reference',
  options: Parameters<typeof openDevice>[1],
  body: (device: Device) => Promise<T>,
): Promise<T> {
  const device = openDevice(name, options);
  try {
    return await body(device);
  } finally {
    device.dispose();
  }
}

/** A network with every kind of layer; 16×12 input, 4×3 output. */
export const smallInput = { channels: 3, height: 16, width: 12 };
export const smallLayers: Layer[] = [
  { kind: 'conv', name: 'conv1', filters: 6, kernel: 5, padding: 2 },
  { kind: 'batchnorm', name: 'norm1', eps: 1e-4 },
  { kind: 'lrelu' },
  { kind: 'maxpool', kernel: 3, stride: 2, padding: 1 },
  { kind: 'conv', name: 'conv2', filters: 20, kernel: 3, padding: 1 },
  { kind: 'batchnorm', name: 'norm2' },
  { kind: 'relu' },
  { kind: 'conv', name: 'conv3', filters: 9, kernel: 3, padding: 1, stride: 2, bias: false },
  { kind: 'lrelu', slope: 0.2 },
  { kind: 'conv', name: 'head', filters: 1, kernel: 1 },
];

export function smallBatch(seed: number, count: number, labels?: number[]): Batch {
  const draw = random(seed);
  const { channels, height, width } = smallInput;
  return {
    count,
    pixels: draw.values(count * height * width * channels),
    labels: labels === undefined ? draw.bytes(count, 1) : Uint8Array.from(labels),
    masks: draw.bytes(count * height * width, 1),
  };
}

/** Random pictures of the small network's size, all normal. */
export function smallImages(seed: number, count: number): StoredImages {
  const { channels, height, width } = smallInput;
  const area = height * width;
  const bytes = random(seed).bytes(count * area * channels);
  const images = Array.from({ length: count }, (_, i) => ({
    pixels: i * area * channels,
    mask: null,
    height,
    width,
    label: 0 as const,
  }));
  return { channels: channels as 3, bytes, images };
}

export const smallPipeline: Pipeline = {
  height: smallInput.height,
  width: smallInput.width,
  channels: 3,
  pad: 2,
  randomCrop: true,
  flip: true,
  offset: [0.5, 0.5, 0.5],
  scale: [0.25, 0.25, 0.25],
};

/** What `promise` rejects with; fails when it does not. */
export async function failure(promise: Promise<unknown>): Promise<Error & { code?: string }> {
  try {
    await promise;
  } catch (error) {
    return error as Error & { code?: string };
  }
  throw new Error('expected a rejection');
}
