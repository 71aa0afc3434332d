/**
 * What a method (FCDD, or one of the paper's baselines) changes about a run: its network, what it may be trained with,
 * and how its scores and heatmaps are made.
 */
import { subset } from '../data/index.js';
import { concatenateImages } from '../data/store.js';
import type { DataSet, Split } from '../data/types.js';
import { ops } from '../engine/index.js';
import type {
  ImageStore,
  InferOptions,
  InputShape,
  Layer,
  Method,
  Network,
  Pipeline,
} from '../engine/types.js';
import { FcddError } from '../errors.js';
import { autoencoder, classifier, convolutionalPart, encoder } from '../models/baselines.js';
import type { ModelMetadata } from '../models/index.js';
import { type LayerChoice, runLayers } from './layers.js';

export const methods = ['fcdd', 'hsc', 'ae', 'dsvdd', 'classify'] as const satisfies readonly Method[];

/** How a network's scores and heatmaps are made; empty for FCDD. */
export type Scoring = Pick<InferOptions, 'method' | 'centre' | 'blur'>;

/** Anomalies in training mean nothing to these. */
export const learnsNormalOnly = (method: Method): boolean => method === 'ae' || method === 'dsvdd';

/** Whether a method has networks of its own. */
export const isBaseline = (method: Method): boolean => learnsNormalOnly(method) || method === 'hsc';

export interface NetworkChoice extends LayerChoice {
  method: Method;
}

/**
 * The layers of a run's network.
 * @param classes of the method classify
 * @throws FcddError FCDD_INVALID_ARGUMENT when the input does not fit a baseline's fully connected layers
 */
export function layersOf(
  choice: NetworkChoice,
  input: InputShape,
  classes: readonly string[] | null,
): Layer[] {
  const { model, method, bias } = choice;
  if (method === 'fcdd') return runLayers(choice);
  if (method === 'classify') return classifier(runLayers(choice), classes?.length ?? 0);
  if (method === 'ae') return autoencoder(model, { input, bias });
  return encoder(model, { input, bias });
}

/** Scoring of a method; dsvdd's centre comes later. Heatmaps are blurred as wide as the convolutions see. */
export function scoringOf(method: Method, layers: readonly Layer[], input: InputShape): Scoring {
  if (method === 'fcdd') return {};
  if (method === 'classify') return { method };
  return { method, blur: ops.receptiveField(convolutionalPart(layers), input).extent };
}

/** Scoring of a model file. @throws FcddError for a classifier, which has no anomaly score */
export function scoringOfModel(path: string, { method }: ModelMetadata): Scoring {
  if (method === undefined) return {};
  if (method.name === 'classify') {
    throw new FcddError('FCDD_BAD_MODEL', `${path} is a classifier: it has no anomaly score`, {
      hint: 'its convolutions are meant as a start for other runs: train --weights',
    });
  }
  const { name, centre, blur } = method;
  return { method: name, ...(centre ? { centre } : {}), ...(blur === undefined ? {} : { blur }) };
}

const chunk = 64;
/** Ruff et al., "Deep one-class classification", ICML 2018: a centre near 0 could be reached by weights of 0. */
const leastCentre = 0.1;

/** Deep SVDD's centre: the mean output of a first pass over the training images, kept away from 0. */
export async function centreOf(network: Network, images: ImageStore, pipeline: Pipeline): Promise<number[]> {
  let sums: Float64Array | undefined;
  for (let first = 0; first < images.count; first += chunk) {
    const count = Math.min(chunk, images.count - first);
    const range = { first, count };
    const result = await network.inferImages(images, pipeline, range, { method: 'hsc', outputs: true });
    const outputs = result.outputs!;
    const size = outputs.length / count;
    sums ??= new Float64Array(size);
    for (let i = 0; i < outputs.length; i++) sums[i % size]! += outputs[i]!;
  }
  return Array.from(sums ?? [], (sum) => {
    const mean = sum / images.count;
    return Math.abs(mean) >= leastCentre ? mean : mean < 0 ? -leastCentre : leastCentre;
  });
}

/** A data set whose labels are classes: everything labelled is trained on. */
export interface ClassData {
  classes: string[];
  dataset: DataSet;
}

/**
 * Makes a one-vs-rest data set one of classes: normal and anomalous training images together, labels by type.
 * @throws FcddError FCDD_BAD_DATA with fewer than two classes or more than 256
 */
export function withClasses(dataset: DataSet): ClassData {
  const splits = [dataset.train, ...(dataset.anomalies ? [dataset.anomalies] : [])];
  const records = splits.flatMap((split) => split.records);
  const classes = [...new Set(records.map(({ type }) => type))].sort((a, b) => (a < b ? -1 : 1));
  if (classes.length < 2 || classes.length > 256) {
    throw new FcddError(
      'FCDD_BAD_DATA',
      `${dataset.name} has ${classes.length} labelled classes in training: a classifier needs 2 to 256`,
      { hint: 'fashion-mnist, cifar10 and cifar100 have labels for every training image' },
    );
  }
  const train = relabelled(
    { images: concatenateImages(splits.map(({ images }) => images)), records },
    classes,
  );
  const known = dataset.test?.records.flatMap(({ type }, i) => (classes.includes(type) ? [i] : [])) ?? [];
  const test = dataset.test &&
    known.length > 0 && {
      ...relabelled(subset(dataset.test, known), classes),
      masks: null,
      masksMissing: 'classes have no masks',
    };
  return {
    classes,
    dataset: {
      ...dataset,
      className: `${classes.length} classes`,
      train,
      anomalies: null,
      test: test || null,
      constants: null,
      summary: [
        `${dataset.name}: ${records.length} training images and ${known.length} test images of ${classes.length} classes`,
      ],
    },
  };
}

function relabelled({ images, records }: Split, classes: readonly string[]): Split {
  const labels = records.map(({ type }) => classes.indexOf(type));
  return {
    images: { ...images, images: images.images.map((image, i) => ({ ...image, label: labels[i]! })) },
    records,
  };
}
