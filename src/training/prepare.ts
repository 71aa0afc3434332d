import { createHash } from 'node:crypto';
import {
  drawAnomalies,
  estimateForeground,
  exposureCap,
  type Foreground,
  isImagenetExposure,
  openDataSet,
  openExposure,
  subset,
  testAnomalies,
  withConstants,
  withForegrounds,
} from '../data/index.js';
import type { DataSet, Normalisation, OpenOptions, Split } from '../data/types.js';
import type {
  Device,
  ImageStore,
  Network,
  Pipeline,
  StoredImages,
  Supervision,
  Trainer,
  TrainerOptions,
} from '../engine/types.js';
import { FcddError } from '../errors.js';
import { heldOut } from '../evaluation/threshold.js';
import { architecture } from '../models/index.js';
import { isSynthetic, type RunConfig, trainsOnAnomalies } from './config.js';
import { centreOf, layersOf, type Scoring, scoringOf, withClasses } from './methods.js';
import { initialiseNetwork, openRunWeights, type RunWeights } from './weights.js';

/** Everything a run needs before its first step: data on the device, constants, network, trainer. */
export interface PreparedRun extends Disposable {
  /** With the anomalies that were drawn to train on. */
  config: RunConfig;
  dataset: DataSet;
  /** Names of test images that are trained on all the same (--keep-oe-in-test). */
  testedThoughTrainedOn: readonly string[];
  /** Where the object is in the normal images, training ones first, then those held out; null unless asked for. */
  foreground: Foreground | null;
  /** Outlier exposure, or textures, on the device. */
  exposure: ImageStore | undefined;
  /** Normal images trained on, and those kept for the threshold. */
  training: Split;
  held: Split;
  normalisation: Normalisation;
  pipelines: { train: Pipeline; test: Pipeline };
  supervision: Supervision;
  pixelwise: boolean;
  /** How scores and heatmaps are made, by the method. */
  scoring: Scoring;
  /** Of the method classify, in the order of the network's outputs. */
  classes: string[] | null;
  network: Network;
  /** What the network started from; null: random values. */
  weights: RunWeights | null;
  trainer: Trainer;
  /** Data and method settings: what a checkpoint must share with the run that continues it. */
  fingerprint: string;
  /** Bytes of the image stores on the device. */
  storeBytes: number;
}

export interface PrepareOptions {
  onWarning?: (text: string) => void;
  onNote?: (text: string) => void;
  onLoad?: (done: number, total: number) => void;
}

/** Opens the data set of a configuration (train and test splits). */
export async function openRunData(
  config: RunConfig,
  options: PrepareOptions,
  only?: 'train' | 'test',
): Promise<DataSet> {
  const open: OpenOptions = { seed: config.seed };
  if (config.data !== undefined) open.dir = config.data;
  if (config.class !== undefined) open.className = config.class;
  if (config.resize !== undefined) open.resize = config.resize;
  if (config.referencePreprocessing !== undefined)
    open.referencePreprocessing = config.referencePreprocessing;
  if (config.bitRange !== undefined) open.bitRange = config.bitRange;
  if (only !== undefined) open.only = only;
  open.anomalies = trainsOnAnomalies(config) || config.method === 'classify';
  if (options.onWarning) open.onWarning = options.onWarning;
  if (options.onLoad) open.onProgress = options.onLoad;
  return openDataSet(config.dataset, open);
}

/** The data set as a run of this configuration tests on it. */
export async function openTestData(config: RunConfig, options: PrepareOptions): Promise<DataSet> {
  if (!trainsOnAnomalies(config)) return openRunData(config, options, 'test');
  return withDrawnAnomalies(await openRunData(config, options), config, options).dataset;
}

/** @throws FcddError for anything that does not fit: data, options, weights, memory */
export async function prepareRun(
  given: RunConfig,
  device: Device,
  options: PrepareOptions = {},
): Promise<PreparedRun> {
  const weights = await openRunWeights(given);
  const pinned = weights ? { ...given, weightsSha256: weights.info.sha256 } : given;
  const drawn = withDrawnAnomalies(await openRunData(pinned, options), pinned, options);
  const { classes, dataset } =
    pinned.method === 'classify' ? withClasses(drawn.dataset) : { classes: null, dataset: drawn.dataset };
  const config = withExposureLimit(drawn.config, dataset, options);
  refuseHeldOut(dataset, config);
  const { training, held, foreground } = withObjects(splitHeldOut(dataset, config), config, options);
  const exposure = await openRunExposure(config, dataset, options);
  const neutral = dataset.pipelines(config.preprocessing);
  const resources: Disposable[] = [];
  const keep = <T extends Disposable>(resource: T): T => {
    resources.push(resource);
    return resource;
  };
  const dispose = (): void => {
    for (const resource of resources.reverse()) resource[Symbol.dispose]();
  };
  try {
    const images = keep(device.createImageStore(training.images));
    const exposureStore = exposure ? keep(device.createImageStore(exposure)) : undefined;
    const normalisation = await constantsOf(dataset, config, images, neutral.test);
    const pipelines = {
      train: withConstants(neutral.train, config.preprocessing, normalisation),
      test: withConstants(neutral.test, config.preprocessing, normalisation),
    };
    const network = keep(createNetwork(config, device, pipelines.train, classes));
    await initialiseNetwork(network, config.seed, weights);
    const scoring = scoringOf(config.method, network.layers, network.input);
    if (config.method === 'dsvdd') scoring.centre = await centreOf(network, images, pipelines.test);
    const supervision = supervisionOf(config, dataset);
    const pixelwise = isPixelwise(config, dataset);
    const trainer = keep(
      network.createTrainer({
        batch: config.batchSize,
        objective: objectiveOf(config, scoring, pixelwise),
        optimiser: { kind: config.optimizer, weightDecay: config.weightDecay },
        seed: config.seed,
        images,
        ...(exposureStore ? { exposure: exposureStore } : {}),
        pipeline: pipelines.train,
        supervision,
        repeat: dataset.repeat,
        ...(dataset.nominalLabel === undefined ? {} : { nominalLabel: dataset.nominalLabel }),
        ...(config.memoryBudget === undefined ? {} : { memoryBudget: config.memoryBudget }),
        keepActivations: config.dumpStep !== undefined, // else later steps reuse their memory
      }),
    );
    return {
      config,
      dataset,
      testedThoughTrainedOn: drawn.testedThoughTrainedOn,
      foreground,
      exposure: exposureStore,
      training,
      held,
      normalisation,
      pipelines,
      supervision,
      pixelwise,
      scoring,
      classes,
      network,
      weights,
      trainer,
      fingerprint: fingerprint(config, training.images, exposure),
      storeBytes: training.images.bytes.length + (exposure?.bytes.length ?? 0),
      [Symbol.dispose]: dispose,
    };
  } catch (error) {
    dispose();
    throw error;
  }
}

/**
 * Of ImageNet as many exposure images as the run can show, at most `exposureCap`; written into the configuration, so
 * that a run that goes on for more epochs draws the same ones.
 */
function withExposureLimit(config: RunConfig, dataset: DataSet, options: PrepareOptions): RunConfig {
  const exposes = config.supervise !== 'unsupervised' && config.supervise !== 'other';
  const source = config.oe ?? config.noise;
  if (!exposes || !isImagenetExposure(source) || config.oeLimit !== undefined) return config;
  const shown = config.epochs * dataset.train.records.length * dataset.repeat;
  const oeLimit = Math.max(1, Math.min(exposureCap, shown));
  const why = oeLimit < exposureCap ? 'as many as the run has samples' : 'as many as memory should hold';
  options.onNote?.(
    `outlier exposure: at most ${oeLimit} images of ${source}, drawn from the seed: ${why} (--oe-limit)`,
  );
  return { ...config, oeLimit };
}

/** Scores of what is pushed up would make a threshold that calls almost nothing anomalous. */
function refuseHeldOut(dataset: DataSet, config: RunConfig): void {
  if (dataset.nominalLabel !== 1 || config.holdOut === 0) return;
  throw new FcddError(
    'FCDD_INVALID_ARGUMENT',
    `--hold-out ${config.holdOut}: ${dataset.name} has its labels swapped, so held-out images give no threshold`,
    { hint: 'use --hold-out 0, the default of this data set' },
  );
}

/** Some normal images are kept for the threshold: scores of images trained on are too low for that. */
function splitHeldOut(dataset: DataSet, config: RunConfig): { training: Split; held: Split } {
  const count = dataset.train.records.length;
  if (count === 0)
    throw new FcddError('FCDD_BAD_DATA', `${dataset.name}: there are no normal training images`);
  const kept = new Set(heldOut(count, config.seed, config.holdOut, config.batchSize));
  const all = Array.from({ length: count }, (_, index) => index);
  return {
    training: subset(
      dataset.train,
      all.filter((index) => !kept.has(index)),
    ),
    held: subset(
      dataset.train,
      all.filter((index) => kept.has(index)),
    ),
  };
}

interface DrawnRun {
  config: RunConfig;
  dataset: DataSet;
  testedThoughTrainedOn: readonly string[];
}

/** Real anomalies that are trained on are not tested on, unless the published setting is asked for. */
function withDrawnAnomalies(dataset: DataSet, config: RunConfig, options: PrepareOptions): DrawnRun {
  if (!trainsOnAnomalies(config)) return { config, dataset, testedThoughTrainedOn: [] };
  const real = config.supervise === 'noise';
  const own = dataset.anomalies ?? (real ? testAnomalies(dataset.test) : null);
  const { anomalies, test, removed, kept } = drawAnomalies(
    { ...dataset, anomalies: own },
    {
      ...(config.oeLimit === undefined ? {} : { limit: config.oeLimit }),
      ...(config.oeFiles === undefined ? {} : { names: config.oeFiles }),
      ...(real ? { masks: config.noise === 'mvtec' ? 'without' : 'needed' } : {}),
      keepInTest: config.keepOeInTest ?? false,
      seed: config.seed,
    },
  );
  const names = anomalies.records.map(({ name }) => name);
  if (removed > 0)
    options.onNote?.(`${removed} anomalous test images are trained on and left out of the test`);
  if (kept > 0)
    options.onNote?.(
      `${kept} anomalous test images are trained on and tested on all the same (--keep-oe-in-test)`,
    );
  return {
    config: { ...config, oeFiles: names },
    dataset: { ...dataset, anomalies, test },
    testedThoughTrainedOn: kept > 0 ? names : [],
  };
}

type Parts = { training: Split; held: Split };

/** Adds to the normal images where their object is, when anomalies are to be kept to it. */
function withObjects(
  parts: Parts,
  config: RunConfig,
  options: PrepareOptions,
): Parts & { foreground: Foreground | null } {
  if (!config.onObject) return { ...parts, foreground: null };
  const { training, held } = parts;
  // One threshold for all: the two lists are estimated together, of pixels and places alone.
  const { images } = training;
  const shift = images.bytes.length;
  const bytes = new Uint8Array(shift + held.images.bytes.length);
  bytes.set(images.bytes);
  bytes.set(held.images.bytes, shift);
  const all = [
    ...images.images,
    ...held.images.images.map((image) => ({ ...image, pixels: image.pixels + shift })),
  ];
  const foreground = estimateForeground({ channels: images.channels, bytes, images: all });
  options.onNote?.(foreground.summary);
  const count = images.images.length;
  return {
    training: { ...training, images: withForegrounds(images, foreground.planes.slice(0, count)) },
    held: { ...held, images: withForegrounds(held.images, foreground.planes.slice(count)) },
    foreground,
  };
}

async function openRunExposure(
  config: RunConfig,
  dataset: DataSet,
  options: PrepareOptions,
): Promise<StoredImages | undefined> {
  if (config.supervise === 'unsupervised') return undefined;
  if (trainsOnAnomalies(config)) return dataset.anomalies!.images;
  if (isSynthetic(config.noise) && config.texture === undefined) return undefined;
  const first = dataset.train.images.images[0]!;
  const varies = dataset.stored.fit === 'short-side';
  const { channels, bytes, images, summary } = await openExposure(
    config.texture ?? config.oe ?? config.noise,
    {
      ...(config.data === undefined ? {} : { root: config.data }),
      height: varies ? dataset.stored.height : first.height,
      width: varies ? dataset.stored.height : first.width,
      channels: dataset.channels,
      shortSide: varies,
      dataSet: dataset.name,
      grey: dataset.grey,
      ...(options.onWarning ? { onWarning: options.onWarning } : {}),
      ...(config.oeLimit === undefined ? {} : { limit: config.oeLimit }),
      seed: config.seed,
    },
  );
  for (const line of summary) options.onNote?.(line);
  return { channels, bytes, images };
}

/** Published constants where there are some, else those of the normal images that are trained on. */
async function constantsOf(
  dataset: DataSet,
  config: RunConfig,
  images: ImageStore,
  test: Pipeline,
): Promise<Normalisation> {
  const published = dataset.constants;
  const known = config.preprocessing === 'lcnaug1' ? published?.lcnMin : published?.mean;
  if (published && known && known.length > 0) return published;
  const { mean, std, lcnMin, lcnMax } = await images.statistics(test);
  return { mean, std, lcnMin, lcnMax };
}

function createNetwork(
  config: RunConfig,
  device: Device,
  pipeline: Pipeline,
  classes: readonly string[] | null,
): Network {
  const net = architecture(config.model);
  if (!net.channels.includes(pipeline.channels)) {
    throw new FcddError(
      'FCDD_INVALID_ARGUMENT',
      `${net.name} needs ${net.channels.join(' or ')} channels, the data has ${pipeline.channels}`,
      {
        hint: 'choose one of the cnn nets with --model',
      },
    );
  }
  const { channels, height, width } = pipeline;
  const input = { channels, height, width };
  return device.createNetwork(layersOf(config, input, classes), input);
}

/** What the trainer minimises. */
export function objectiveOf(
  { method, sigma }: RunConfig,
  { centre }: Scoring,
  pixelwise: boolean,
): TrainerOptions['objective'] {
  if (method === 'fcdd') return { pixelwise, sigma };
  return { pixelwise: false, method, ...(centre ? { centre } : {}) };
}

function supervisionOf(config: RunConfig, dataset: DataSet): Supervision {
  const grey = config.confettiColour === 'auto' ? dataset.grey : config.confettiColour === 'grey';
  const mode = config.supervise === 'other' ? 'noise' : config.supervise;
  const source = config.supervise === 'other' || !isSynthetic(config.noise) ? 'exposure' : config.noise;
  const supervision: Supervision = {
    mode,
    source: mode === 'unsupervised' ? 'confetti' : source,
    offline: config.offline,
    grey,
  };
  return config.onObject ? { ...supervision, onObject: true } : supervision;
}

/** Pixel-wise whenever the setting supplies masks (paper section 3.1, equation 3), sample-wise otherwise. */
function isPixelwise(config: RunConfig, dataset: DataSet): boolean {
  if (config.method !== 'fcdd') return false;
  if (config.objective !== 'auto') return config.objective === 'pixel';
  const masks = config.supervise === 'malformed-normal-gt' || config.noise === 'mvtec-gt';
  return dataset.pixelwise || masks;
}

/** What may change between a run and its continuation without being another run. */
const notMethod = new Set([
  'epochs',
  'device',
  'precision',
  'memoryBudget',
  'threads',
  'weights', // weightsSha256 says what they are
  'evaluateAt',
  'saveMaps',
  'dumpStep',
  'data',
  'oe',
  'texture',
  'falseAlarmRate',
]);

function fingerprint(config: RunConfig, images: StoredImages, exposure: StoredImages | undefined): string {
  const method = Object.entries(config)
    .filter(([key, value]) => !notMethod.has(key) && !(key === 'method' && value === 'fcdd')) // older runs
    .sort(([a], [b]) => (a < b ? -1 : 1));
  const hash = createHash('sha256').update(JSON.stringify(method));
  for (const store of [images, exposure]) {
    if (store) hash.update(JSON.stringify(store.images)).update(store.bytes);
  }
  return hash.digest('hex');
}
