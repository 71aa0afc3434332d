import { ops } from '../engine/index.js';
import type { Device, Layer } from '../engine/types.js';
import type { Tensor } from '../models/safetensors.js';

/**
 * A network in inference, block by block, through the engine's own steps on a device: what lies between its layers,
 * which a Network keeps to itself.
 */

/** N×H×W×C */
export interface Features {
  batch: number;
  height: number;
  width: number;
  channels: number;
  data: Float32Array | Float64Array;
}

export interface BlockOutput {
  /** The convolution of the block. */
  name: string;
  /** What the convolution gives, before normalisation and activation. */
  convolved: Features;
  /** After normalisation with running statistics, activation and pooling. */
  output: Features;
}

/** Output of each block (a convolution and what follows it) for `image`. */
export async function* blockOutputs(
  device: Device,
  layers: readonly Layer[],
  tensors: ReadonlyMap<string, Tensor>,
  image: Features,
): AsyncGenerator<BlockOutput> {
  let features = image;
  for (let next = 0; next < layers.length; ) {
    const conv = layers[next] as Extract<Layer, { kind: 'conv' }>;
    next++;
    const convolved = await convolve(device, conv, tensors, features);
    const rest: Layer[] = [];
    while (next < layers.length && layers[next]!.kind !== 'conv') rest.push(layers[next++]!);
    features = rest.length > 0 ? await post(device, rest, tensors, convolved) : convolved;
    yield { name: conv.name, convolved, output: features };
  }
}

const values = (tensors: ReadonlyMap<string, Tensor>, name: string): Float32Array | Float64Array =>
  tensors.get(name)!.data as Float32Array | Float64Array;

async function convolve(
  device: Device,
  layer: Extract<Layer, { kind: 'conv' }>,
  tensors: ReadonlyMap<string, Tensor>,
  x: Features,
): Promise<Features> {
  const { batch, height, width, channels } = x;
  const { name, filters, kernel, stride = 1, padding = 0 } = layer;
  const extent = (size: number): number => Math.floor((size + 2 * padding - kernel) / stride) + 1;
  const { y } = await ops.conv2d(
    device,
    { batch, height, width, channels, filters, kernel, stride, padding },
    {
      x: x.data,
      w: values(tensors, `${name}.weight`),
      ...(layer.bias === false ? {} : { bias: values(tensors, `${name}.bias`) }),
    },
  );
  return { batch, height: extent(height), width: extent(width), channels: filters, data: y };
}

async function post(
  device: Device,
  layers: readonly Layer[],
  tensors: ReadonlyMap<string, Tensor>,
  x: Features,
): Promise<Features> {
  const { batch, height, width, channels } = x;
  const norm = layers.find((layer) => layer.kind === 'batchnorm');
  const pool = layers.find((layer) => layer.kind === 'maxpool');
  const leaky = layers.find((layer) => layer.kind === 'lrelu');
  const relu = layers.some((layer) => layer.kind === 'relu');
  const slope = leaky ? (leaky.slope ?? 0.01) : relu ? 0 : undefined;
  const { kernel = 1, stride = kernel, padding = 0 } = pool ?? {};
  const extent = (size: number): number => Math.floor((size + 2 * padding - kernel) / stride) + 1;
  const part = (name: string): Float32Array | Float64Array => values(tensors, `${norm?.name}.${name}`);
  const { y } = await ops.post(
    device,
    {
      batch,
      height,
      width,
      channels,
      ...(norm ? { norm: 'running' as const, eps: norm.eps ?? 1e-5 } : {}),
      ...(slope === undefined ? {} : { slope }),
      ...(pool ? { pool: { kernel, stride, padding } } : {}),
    },
    {
      x: x.data,
      ...(norm
        ? {
            mean: part('running_mean'),
            variance: part('running_var'),
            gamma: part('weight'),
            beta: part('bias'),
          }
        : {}),
    },
  );
  return { batch, height: extent(height), width: extent(width), channels, data: y };
}
