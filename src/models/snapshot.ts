/**
 * Snapshots of the reference code (`liznerski/fcdd`, PyTorch state dicts converted to safetensors) as model files of
 * ours. They hold weights and nothing else, so the data set and class that they were trained on must be named: constants
 * of the preprocessing, sizes and the Gaussian come from there. The architecture is recognised by names and shapes.
 */
import { classIndex } from '../data/class-names.js';
import { trainingDefaults } from '../data/defaults.js';
import { type PublishedDataSet, publishedClasses, publishedConstants } from '../data/normalisation.js';
import {
  cifarPipelines,
  fashionMnistPipelines,
  mvtecPipelines,
  type Pipelines,
  withConstants,
} from '../data/pipelines.js';
import type { Preprocessing, StoredSize } from '../data/types.js';
import { openDevice } from '../engine/index.js';
import type { InputShape, Layer } from '../engine/types.js';
import { FcddError } from '../errors.js';
import { architectures } from './architectures.js';
import { inferencePipeline, type ModelFile } from './model-file.js';
import { readSafetensors, type Tensor } from './safetensors.js';

/** How pictures of a published data set are stored and shown to the network, as the reference code does. */
const settings: Record<
  PublishedDataSet,
  { stored: StoredSize; pipelines: (preprocessing: Preprocessing) => Pipelines; pixelwise: boolean }
> = {
  'fashion-mnist': {
    stored: { fit: 'native', height: 28, width: 28, interpolation: 'bilinear' },
    pipelines: fashionMnistPipelines,
    pixelwise: false,
  },
  cifar10: {
    stored: { fit: 'native', height: 32, width: 32, interpolation: 'bilinear' },
    pipelines: cifarPipelines,
    pixelwise: false,
  },
  mvtec: {
    stored: { fit: 'exact', height: 240, width: 240, interpolation: 'nearest' },
    pipelines: mvtecPipelines,
    pixelwise: true,
  },
};

export const snapshotDataSets = Object.keys(settings) as readonly PublishedDataSet[];

export interface SnapshotOptions {
  dataset: PublishedDataSet;
  /** By name or index. */
  class: string;
  /** Among architectures of the same shapes; default: the data set's own, else the first. */
  model?: string;
  /** Default: the data set's own. */
  preprocessing?: Preprocessing;
}

/** A network that a snapshot may be of. */
export interface Candidate {
  name: string;
  layers: Layer[];
  input: InputShape;
}

/** Every architecture with and without bias and with each number of channels. */
export function snapshotCandidates(): Candidate[] {
  return architectures.flatMap(({ name, layers, input, channels }) =>
    // The VGG nets are the ones that need their bias.
    (channels.length > 1 ? [true, false] : [true]).flatMap((bias) =>
      channels.map((count) => ({ name, layers: layers({ bias }), input: { ...input, channels: count } })),
    ),
  );
}

/** Tensors under our names: wrappers' prefixes and the counters of batch normalisation, which nothing uses, removed. */
export function snapshotTensors(tensors: ReadonlyMap<string, Tensor>): Map<string, Tensor> {
  const kept = new Map<string, Tensor>();
  for (const [name, tensor] of tensors) {
    if (name.endsWith('num_batches_tracked')) continue;
    kept.set(name.replace(/^(?:(?:net|module|model)\.)+/, ''), tensor);
  }
  return kept;
}

/** The candidates whose tensors have exactly these names and shapes. */
export function matchingCandidates(
  tensors: ReadonlyMap<string, Tensor>,
  candidates: readonly Candidate[],
): Candidate[] {
  using device = openDevice('cpu');
  return candidates.filter(({ layers, input }) => {
    using network = device.createNetwork(layers, input);
    const expected = network.tensors;
    return (
      expected.length === tensors.size &&
      expected.every(({ name, shape }) => tensors.get(name)?.shape.join() === shape.join())
    );
  });
}

/**
 * Reads a snapshot as a model of ours, without calibration.
 * @throws FcddError FCDD_NOT_FOUND, FCDD_BAD_MODEL when no architecture has these tensors or values are not finite,
 *   FCDD_INVALID_ARGUMENT for a class that is unknown or a data set that does not go with the architecture
 */
export async function readSnapshot(
  path: string,
  options: SnapshotOptions,
  candidates: readonly Candidate[] = snapshotCandidates(),
): Promise<ModelFile> {
  if (/\.(pth?|pkl|pickle)$/i.test(path)) throw pickled(path);
  const { tensors: raw } = await readSafetensors(path);
  const tensors = snapshotTensors(raw);
  const candidate = chosen(path, tensors, options, candidates);
  const defaults = trainingDefaults(options.dataset);
  const preprocessing = options.preprocessing ?? defaults.preprocessing;
  const { stored, pipelines, pixelwise } = settings[options.dataset];
  const classes = publishedClasses(options.dataset);
  const className = classes[classIndex(classes, options.class)]!;
  const constants = publishedConstants(options.dataset, className)!;
  const test = withConstants(pipelines(preprocessing).test, preprocessing, constants);
  checkInput(candidate, test, options.dataset);
  const { height, width, channels } = test;
  return {
    metadata: {
      format: 1,
      architecture: candidate.name,
      layers: candidate.layers,
      input: { channels, height, width },
      dataset: options.dataset,
      className,
      preprocessing,
      stored,
      pipeline: inferencePipeline(test),
      objective: { pixelwise },
      sigma: defaults.sigma,
      quantile: defaults.quantile,
      heatmapScale: null,
      calibration: null,
    },
    tensors: new Map([...tensors].map(([name, tensor]) => [name, asFloat32(path, name, tensor)])),
  };
}

function chosen(
  path: string,
  tensors: ReadonlyMap<string, Tensor>,
  { dataset, model }: SnapshotOptions,
  candidates: readonly Candidate[],
): Candidate {
  const matching = matchingCandidates(tensors, candidates);
  if (matching.length === 0) {
    const names = [...tensors.keys()];
    const some = names.length > 6 ? `${names.slice(0, 6).join(', ')} …` : names.join(', ');
    throw new FcddError(
      'FCDD_BAD_MODEL',
      `${path}: no FCDD architecture has these ${names.length} tensors (${some})`,
      {
        hint: 'give the state dict of the network alone: torch.load(FILE)["net"], see docs/import-snapshot.md',
      },
    );
  }
  const wanted = model ?? trainingDefaults(dataset).model;
  const found = matching.find(({ name }) => name === wanted);
  if (found) return found;
  if (model === undefined) return matching[0]!;
  throw new FcddError(
    'FCDD_INVALID_ARGUMENT',
    `the snapshot is ${matching.map(({ name }) => name).join(' or ')} by its shapes, not ${model}`,
  );
}

function checkInput({ name, input }: Candidate, test: InputShape, dataset: string): void {
  if (input.channels === test.channels && input.height === test.height) return;
  throw new FcddError(
    'FCDD_INVALID_ARGUMENT',
    `the snapshot is a ${name} for ${input.height}×${input.width} pictures of ${input.channels} channel(s), ` +
      `but ${dataset} has ${test.height}×${test.width} of ${test.channels}`,
    { hint: 'name the data set that it was trained on with --dataset' },
  );
}

function asFloat32(path: string, name: string, { shape, data }: Tensor): Tensor {
  if (!(data instanceof Float32Array || data instanceof Float64Array)) {
    throw new FcddError('FCDD_BAD_MODEL', `${path}: "${name}" does not hold real numbers`);
  }
  if (!data.every(Number.isFinite)) {
    throw new FcddError('FCDD_BAD_MODEL', `${path}: "${name}" holds values that are not finite`);
  }
  return { shape, data: Float32Array.from(data) };
}

function pickled(path: string): FcddError {
  return new FcddError('FCDD_BAD_MODEL', `${path} is a pickle, which can run code when it is read`, {
    hint:
      'convert it once, where you trust it: python3 -c "import torch; from safetensors.torch import save_file; ' +
      `save_file({k: v.contiguous() for k, v in torch.load('${path}', map_location='cpu')['net'].items()}, 'snapshot.safetensors')"`,
  });
}
