import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runChild } from '../child.js';
import { openDevice } from '../engine/index.js';
import type { Layer } from '../engine/types.js';
import { FcddError } from '../errors.js';
import { relativeDistance } from '../evaluation/distance.js';
import type { Tensor } from '../models/safetensors.js';
import { runOnnx } from '../onnx/run-onnx.js';
import { writeChain } from '../onnx/write-chain.js';
import { blockOutputs } from './activations.js';
import { saveWeights } from './cache.js';
import type { Backbone } from './types.js';

/**
 * Imported weights against another implementation: the kept layers and a fixed 1×1 head, written as ONNX, for the same
 * image in onnxruntime-node and in our engine.
 */

export type Verification =
  | {
      verified: true;
      /** Relative L2 distance of the last kept layer's output. */
      features: number;
      /** The same of the anomaly map that a network with this head gives. */
      map: number;
    }
  | { verified: false; reason: string };

/** Enough for every net's pools. */
const size = 64;
/** Two float32 implementations end 1e-7 to 1e-5 apart; a wrong tensor or setting ends far beyond this. */
const furthest = 1e-3;

/**
 * The comparison in a process of its own: the engine's packed weights would double the memory of an import.
 * @throws FcddError FCDD_BAD_MODEL when the two differ: the weights were not understood
 */
export async function verifyBackbone(backbone: Backbone): Promise<Verification> {
  const folder = await mkdtemp(join(tmpdir(), 'fcdd-verify-'));
  try {
    const path = join(folder, 'weights.safetensors');
    await saveWeights(path, backbone, { name: 'verify', source: { file: '', sha256: '', format: 'onnx' } });
    const answer = await runChild('weights/verify-child', [path]);
    return refuseFar(
      typeof answer === 'string' ? { verified: false, reason: answer } : (answer as Verification),
    );
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function refuseFar(result: Verification): Verification {
  if (!result.verified || (result.features < furthest && result.map < furthest)) return result;
  const { features, map } = result;
  throw new FcddError(
    'FCDD_BAD_MODEL',
    `the imported layers differ from onnxruntime-node: features ${features}, map ${map} (relative)`,
    { hint: 'please report this file; --no-verify imports it all the same' },
  );
}

/** The comparison itself. */
export async function compareWithRuntime(backbone: Backbone): Promise<Verification> {
  const { channels } = backbone;
  const pixels = waves(size * size * channels);
  const { layers, tensors } = withHead(backbone);
  const input = { channels, height: size, width: size };
  const theirs = await runOnnx(writeChain(layers, tensors, input), toPlanes(pixels, size * size, channels), [
    1,
    channels,
    size,
    size,
  ]);
  if (!theirs.ran) return { verified: false, reason: theirs.reason };
  const [expected, z] = [theirs.outputs.get('features')!, theirs.outputs.get('map')!];
  const filters = expected.shape[1]!;
  using device = openDevice('cpu');
  let ours: ArrayLike<number> = [];
  const image = { batch: 1, height: size, width: size, channels, data: pixels };
  for await (const { output } of blockOutputs(device, backbone.layers, tensors, image)) ours = output.data;
  const features = distance(toPlanes(ours, ours.length / filters, filters), expected.data);
  using network = device.createNetwork(layers, input);
  for (const { name } of network.tensors) await network.set(name, tensors.get(name)!.data as Float32Array);
  const { low } = await network.infer(pixels, { low: true });
  const map = distance(low!, z.data.map(pseudoHuber));
  return { verified: true, features, map };
}

const pseudoHuber = (z: number): number => (z * z) / (Math.sqrt(z * z + 1) + 1);

/** The layers with a head of one channel, as every network of ours has one. */
function withHead({ layers, tensors, channels }: Backbone): {
  layers: Layer[];
  tensors: Map<string, Tensor>;
} {
  const last = layers.findLast((layer) => layer.kind === 'conv');
  const filters = last?.filters ?? channels;
  const weight = waves(filters).map((value) => value / Math.sqrt(filters));
  return {
    layers: [...layers, { kind: 'conv', name: 'conv_final', filters: 1, kernel: 1, bias: true }],
    tensors: new Map([
      ...tensors,
      ['conv_final.weight', { shape: [1, filters, 1, 1], data: weight }],
      ['conv_final.bias', { shape: [1], data: Float32Array.of(0.1) }],
    ]),
  };
}

/** Values between −2 and 2 without a pattern that a convolution could miss. */
const waves = (count: number): Float32Array<ArrayBuffer> =>
  Float32Array.from({ length: count }, (_, i) => Math.sin(0.37 * i) + Math.sin(0.0113 * i * (i % 7)));

/** H×W×C to C×H×W. */
function toPlanes(data: ArrayLike<number>, pixels: number, channels: number): Float32Array<ArrayBuffer> {
  const planes = new Float32Array(pixels * channels);
  for (let p = 0; p < pixels; p++)
    for (let c = 0; c < channels; c++) planes[c * pixels + p] = data[p * channels + c]!;
  return planes;
}

/** The largest number where two cannot be compared: JSON knows no infinity. */
export const distance = (a: ArrayLike<number>, b: ArrayLike<number>): number =>
  Math.min(relativeDistance(a, b), Number.MAX_VALUE);
