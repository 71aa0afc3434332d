import { createHash } from 'node:crypto';
import { drawAnomalies, openDataSet, openExposure, subset, withConstants } from '../data/index.js';
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
import { isSynthetic, type RunConfig } from './config.js';
import { centreOf, layersOf, type Scoring, scoringOf, withClasses } from './methods.js';

/** Everything a run needs before its first step: data on the device, constants, network, trainer. */
export interface PreparedRun extends Disposable {
  config: RunConfig;
  dataset: DataSet;
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
  open.anomalies = config.supervise === 'other' || config.method === 'classify';
  if (options.onWarning) open.onWarning = options.onWarning;
  if (options.onLoad) open.onProgress = options.onLoad;
  return openDataSet(config.dataset, open);
}

/** The data set as a run of this configuration tests on it. */
export async function openTestData(config: RunConfig, options: PrepareOptions): Promise<DataSet> {
  if (config.supervise !== 'other') return openRunData(config, options, 'test');
  return withDrawnAnomalies(await openRunData(config, options), config, options);
}

/** @throws FcddError for anything that does not fit: data, options, memory */
export async function prepareRun(
  config: RunConfig,
  device: Device,
  options: PrepareOptions = {},
): Promise<PreparedRun> {
  const opened = withDrawnAnomalies(await openRunData(config, options), config, options);
  const { classes, dataset } =
    config.method === 'classify' ? withClasses(opened) : { classes: null, dataset: opened };
  const { training, held } = splitHeldOut(dataset, config);
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
    const normalisation = await constantsOf(dataset, images, neutral.test);
    const pipelines = {
      train: withConstants(neutral.train, config.preprocessing, normalisation),
      test: withConstants(neutral.test, config.preprocessing, normalisation),
    };
    const network = keep(createNetwork(config, device, pipelines.train, classes));
    await network.initialise(config.seed);
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
        ...(config.memoryBudget === undefined ? {} : { memoryBudget: config.memoryBudget }),
        keepActivations: config.dumpStep !== undefined, // else later steps reuse their memory
      }),
    );
    return {
      config,
      dataset,
      training,
      held,
      normalisation,
      pipelines,
      supervision,
      pixelwise,
      scoring,
      classes,
      network,
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

/** Labelled anomalies that are trained on (--supervise other) are not tested on. */
function withDrawnAnomalies(dataset: DataSet, config: RunConfig, options: PrepareOptions): DataSet {
  if (config.supervise !== 'other') return dataset;
  const limit = config.oeLimit === undefined ? {} : { limit: config.oeLimit };
  const { anomalies, test, removed } = drawAnomalies(dataset, { ...limit, seed: config.seed });
  if (removed > 0)
    options.onNote?.(`${removed} anomalous test images are trained on and left out of the test`);
  return { ...dataset, anomalies, test };
}

async function openRunExposure(
  config: RunConfig,
  dataset: DataSet,
  options: PrepareOptions,
): Promise<StoredImages | undefined> {
  if (config.supervise === 'unsupervised') return undefined;
  if (config.supervise === 'other') return dataset.anomalies!.images;
  if (isSynthetic(config.noise)) return undefined;
  const first = dataset.train.images.images[0]!;
  const varies = dataset.stored.fit === 'short-side';
  const { channels, bytes, images } = await openExposure(config.oe ?? config.noise, {
    ...(config.data === undefined ? {} : { root: config.data }),
    height: varies ? dataset.stored.height : first.height,
    width: varies ? dataset.stored.height : first.width,
    channels: dataset.channels,
    grey: dataset.grey,
    ...(options.onWarning ? { onWarning: options.onWarning } : {}),
    ...(config.oeLimit === undefined ? {} : { limit: config.oeLimit }),
    seed: config.seed,
  });
  return { channels, bytes, images };
}

/** Published constants where there are some, else those of the normal images that are trained on. */
async function constantsOf(dataset: DataSet, images: ImageStore, test: Pipeline): Promise<Normalisation> {
  if (dataset.constants) return dataset.constants;
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
  return { mode, source: mode === 'unsupervised' ? 'confetti' : source, offline: config.offline, grey };
}

/** Pixel-wise whenever the setting supplies masks (paper section 3.1, equation 3), sample-wise otherwise. */
function isPixelwise(config: RunConfig, dataset: DataSet): boolean {
  if (config.method !== 'fcdd') return false;
  if (config.objective !== 'auto') return config.objective === 'pixel';
  return dataset.pixelwise || config.supervise === 'malformed-normal-gt';
}

/** What may change between a run and its continuation without being another run. */
const notMethod = new Set([
  'epochs',
  'device',
  'precision',
  'memoryBudget',
  'threads',
  'evaluateAt',
  'saveMaps',
  'dumpStep',
  'data',
  'oe',
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
