import { join } from 'node:path';
import {
  cifarPipelines,
  fashionMnistPipelines,
  folderPipelines,
  mvtecPipelines,
  withConstants,
} from '../../src/data/pipelines.js';
import type { Normalisation, StoredSize } from '../../src/data/types.js';
import { openDevice } from '../../src/engine/index.js';
import {
  architecture,
  inferencePipeline,
  type ModelMetadata,
  networkTensors,
  writeModel,
} from '../../src/models/index.js';
import { values } from '../golden/formula.js';

/** A model as a run would leave it, with random weights and running statistics that are not 0 and 1. */
interface Recipe {
  architecture: string;
  stored: StoredSize;
  preprocessing: 'lcnaug1' | 'aug1';
  pipeline: ModelMetadata['pipeline'];
  sigma: number;
  /** Null: no threshold. */
  threshold: number | null;
}

const constants = (channels: number): Normalisation => ({
  mean: [0.48, 0.45, 0.4].slice(0, channels),
  std: [0.23, 0.22, 0.26].slice(0, channels),
  lcnMin: [-1.9, -2.1, -1.8].slice(0, channels),
  lcnMax: [2.6, 3.1, 2.9].slice(0, channels),
});

const native = (size: number): StoredSize => ({
  fit: 'native',
  height: size,
  width: size,
  interpolation: 'bilinear',
});

export const recipes = {
  'cnn28 grey, LCN': {
    architecture: 'cnn28',
    stored: native(28),
    preprocessing: 'lcnaug1',
    pipeline: withConstants(fashionMnistPipelines('lcnaug1').test, 'lcnaug1', constants(1)),
    sigma: 1.2,
    threshold: 0.02,
  },
  'cnn32-lw3k, mean and deviation': {
    architecture: 'cnn32-lw3k',
    stored: native(32),
    preprocessing: 'aug1',
    pipeline: withConstants(cifarPipelines('aug1').test, 'aug1', constants(3)),
    sigma: 1.2,
    threshold: null,
  },
  'cnn224, area to 248, nearest to 224': {
    architecture: 'cnn224',
    stored: { fit: 'exact', height: 248, width: 248, interpolation: 'area' },
    preprocessing: 'aug1',
    pipeline: withConstants(folderPipelines('aug1', { crops: false }).test, 'aug1', constants(3)),
    sigma: 10,
    threshold: 0.01,
  },
  'cnn224, short side 248, centre crop': {
    architecture: 'cnn224',
    stored: { fit: 'short-side', height: 248, width: 248, interpolation: 'bilinear' },
    preprocessing: 'aug1',
    pipeline: withConstants(folderPipelines('aug1', { crops: true }).test, 'aug1', constants(3)),
    sigma: 10,
    threshold: 0.01,
  },
  'vgg11-nopt, nearest to 240 and to 224, LCN': {
    architecture: 'vgg11-nopt',
    stored: { fit: 'exact', height: 240, width: 240, interpolation: 'nearest' },
    preprocessing: 'lcnaug1',
    pipeline: withConstants(mvtecPipelines('lcnaug1').test, 'lcnaug1', constants(3)),
    sigma: 12,
    threshold: 0.01,
  },
} satisfies Record<string, Recipe>;

/** Writes the model and returns its path. */
export async function writeRecipe(folder: string, name: keyof typeof recipes): Promise<string> {
  const recipe: Recipe = recipes[name];
  const layers = architecture(recipe.architecture).layers({ bias: true });
  const { height, width, channels } = recipe.pipeline;
  using device = openDevice('cpu');
  using network = device.createNetwork(layers, { height, width, channels });
  await network.initialise(3);
  const tensors = await networkTensors(network);
  for (const [tensor, { shape, data }] of tensors) {
    // Batch normalisations that do something: mean, variance, scale and shift away from 0, 1, 1, 0.
    const wobble = values(tensor, data.length);
    const isNorm = shape.length === 1 && tensors.has(tensor.replace(/[^.]+$/, 'running_var'));
    if (!isNorm) continue;
    const shaken = Float32Array.from(
      data as Float32Array,
      (value, i) => value + (value === 0 ? 0.1 : 0.3) * wobble[i]!,
    );
    tensors.set(tensor, { shape, data: shaken });
  }
  const path = join(folder, `${name.replace(/\W+/g, '-')}.safetensors`);
  await writeModel(path, { metadata: metadataOf(recipe, layers), tensors });
  return path;
}

function metadataOf(recipe: Recipe, layers: ModelMetadata['layers']): ModelMetadata {
  const { stored, preprocessing, sigma, threshold } = recipe;
  const { height, width, channels } = recipe.pipeline;
  return {
    format: 1,
    architecture: recipe.architecture,
    layers,
    input: { channels, height, width },
    dataset: 'folder',
    className: 'part',
    preprocessing,
    stored,
    pipeline: inferencePipeline(recipe.pipeline),
    objective: { pixelwise: false },
    sigma,
    quantile: 0.97,
    heatmapScale: { min: 0, max: 1 },
    calibration:
      threshold === null
        ? null
        : {
            threshold,
            rule: 'for a test',
            n: 20,
            falseAlarmRate: 0.05,
            guaranteedRate: 0.05,
            likely: { low: 0.01, high: 0.1 },
            note: '',
            scores: [],
            pixelQuantiles: [],
          },
  };
}
