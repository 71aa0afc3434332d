import { stat } from 'node:fs/promises';
import type { Network } from '../engine/types.js';
import { FcddError } from '../errors.js';
import type { Tensor } from '../models/index.js';
import { weightsArchitecture } from '../weights/architecture.js';
import { infoOf, listWeights, readCached, unknownWeights } from '../weights/cache.js';
import { contentHash } from '../weights/content.js';
import { foldAll } from '../weights/fold.js';
import { readWeights } from '../weights/read.js';
import type { Backbone, WeightsInfo } from '../weights/types.js';
import type { RunConfig } from './config.js';
import { foldedRefused } from './weights-default.js';

/** What a run starts from, read and checked. */
export interface RunWeights {
  info: Pick<WeightsInfo, 'name' | 'architecture' | 'bn' | 'sha256'>;
  backbone: Backbone;
}

/**
 * The weights of a configuration; null where it starts from random ones.
 * @throws FcddError when they cannot be found or read, are of another network, or not those that the configuration pins
 */
export async function openRunWeights(config: RunConfig): Promise<RunWeights | null> {
  if (config.weights === undefined || config.weights === 'random') return null;
  const { model, weights: name, weightsSha256: pinned, frozenBn } = config;
  if (!config.bias)
    throw new FcddError(
      'FCDD_INVALID_ARGUMENT',
      '--no-bias does not go with imported weights: they have biases',
    );
  const found = await find(name, model, pinned);
  if (pinned !== undefined && found.info.sha256 !== pinned) {
    throw new FcddError(
      'FCDD_INVALID_ARGUMENT',
      `the weights "${name}" are others than this run was started with`,
      {
        hint: `it pins the SHA-256 ${pinned}, these have ${found.info.sha256}; start a new run to use them`,
      },
    );
  }
  if (found.info.architecture !== weightsArchitecture(model)) {
    throw new FcddError(
      'FCDD_INVALID_ARGUMENT',
      `the weights "${name}" are of ${found.info.architecture}, not of ${model}`,
    );
  }
  if (found.info.bn === 'folded' && frozenBn !== 'fixed') throw foldedRefused(model, name);
  return found;
}

/** By name or checksum in the cache, or a file: our own, or anything that can be imported. */
async function find(name: string, model: string, pinned: string | undefined): Promise<RunWeights> {
  const { weights } = await listWeights();
  const cached =
    weights.find((info) => info.name === name) ??
    weights.find((info) => /^[0-9a-f]{8,64}$/.test(name) && info.sha256.startsWith(name));
  if (cached) return readCached(cached.path);
  if ((await stat(name).catch(() => undefined))?.isFile()) return readFile(name, model);
  const moved = weights.find((info) => info.sha256 === pinned);
  if (moved) return readCached(moved.path);
  throw unknownWeights(name, weights);
}

async function readFile(path: string, model: string): Promise<RunWeights> {
  const own = path.endsWith('.safetensors') && (await infoOf(path)) !== undefined;
  if (own) return readCached(path);
  const { backbone } = await readWeights(path, { as: model });
  const { architecture, bn } = backbone;
  return { info: { name: path, architecture, bn, sha256: contentHash(backbone) }, backbone };
}

/**
 * Values before the first step: random ones by seed, over them those of imported weights. The head stays random, and so
 * does normalisation (γ 1, β 0) where the weights have it folded in and the layer is trained.
 * @throws FcddError FCDD_INVALID_ARGUMENT when the weights do not fit
 */
export async function initialiseNetwork(
  network: Network,
  seed: number,
  weights: RunWeights | null,
): Promise<void> {
  await network.initialise(seed);
  if (weights === null) return;
  const values = startValues(network, weights.backbone);
  for (const { name, shape } of network.tensors) {
    const tensor = values.get(name);
    if (tensor === undefined) continue;
    if (tensor.shape.join() !== shape.join()) {
      throw new FcddError(
        'FCDD_INVALID_ARGUMENT',
        `the weights do not fit the data: ${name} is ${tensor.shape.join('×')}, needed is ${shape.join('×')}`,
        { hint: 'the second number of a convolution is its input channels: 1 for grey images, 3 for colour' },
      );
    }
    await network.set(name, tensor.data as Float32Array);
  }
}

/** Tensors for the layers of a network, some of which may have lost their batch normalisation. */
function startValues(network: Network, { bn, layers, tensors }: Backbone): Map<string, Tensor> {
  const values = new Map(tensors);
  if (bn === 'folded') return values;
  const folded = foldAll(layers, tensors);
  network.layers.forEach((layer, index) => {
    if (layer.kind !== 'conv' || network.layers[index + 1]?.kind === 'batchnorm') return;
    for (const part of ['weight', 'bias']) {
      const tensor = folded.get(`${layer.name}.${part}`);
      if (tensor) values.set(`${layer.name}.${part}`, tensor);
    }
  });
  return values;
}
