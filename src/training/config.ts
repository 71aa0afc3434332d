import { z } from 'zod';
import { trainingDefaults } from '../data/index.js';
import type { TrainingDefaults } from '../data/types.js';
import type { Method } from '../engine/types.js';
import { FcddError } from '../errors.js';
import type { WeightsInfo } from '../weights/types.js';
import { runLayers } from './layers.js';
import { isBaseline, learnsNormalOnly, methods } from './methods.js';
import { defaultModel, defaultWeights } from './weights-default.js';

/**
 * A run is one configuration object: what the user chose, completed by the data set's defaults (report, section 3).
 * It is what config.json holds, so that `--config RUN/config.json` repeats a run.
 */

const schedule = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('exponential'), rate: z.number().positive() }),
  z.object({
    kind: z.literal('milestones'),
    at: z.array(z.number().int().min(0)),
    factor: z.number().positive(),
  }),
]);

export const trainOptionsSchema = z
  .object({
    dataset: z.string(),
    /** Folder of the data set, or a root that holds `<name>/`. */
    data: z.string(),
    /** Normal class, by name or index. */
    class: z.string(),
    /** Outlier exposure: name of a data set, or a folder. */
    oe: z.string(),
    oeLimit: z.number().int().positive(),
    /** Real anomalies that are trained on stay in the test split, as in the published runs. */
    keepOeInTest: z.boolean(),
    /** Names of the real anomalies to train on; without it they are drawn, and config.json lists them here. */
    oeFiles: z.array(z.string()).min(1),
    supervise: z.enum(['unsupervised', 'other', 'noise', 'malformed-normal', 'malformed-normal-gt']),
    noise: z.string(),
    /** Folder of pictures (or a data set) that --noise texture blends in; without it, the normal images. */
    texture: z.string(),
    /** Synthetic anomalies change only the object, estimated from the normal images. */
    onObject: z.boolean(),
    offline: z.boolean(),
    /** auto: one value for all channels when all training images are grey. */
    confettiColour: z.enum(['auto', 'rgb', 'grey']),
    model: z.string(),
    bias: z.boolean(),
    /** Weights to start from: a name in the cache, a file, or 'random' (what a VGG net is never without being told). */
    weights: z.string().min(1),
    /** Pins their content; a run is not repeated with another. */
    weightsSha256: z.string().regex(/^[0-9a-f]{64}$/),
    /** The block of this layer and all before it get no gradient. */
    freezeUntil: z.string().min(1),
    /** fixed: the frozen layers have their batch normalisation folded in, instead of living on batch statistics. */
    frozenBn: z.enum(['live', 'fixed']),
    /** FCDD, a baseline of the paper (hsc, ae, dsvdd), or a classifier of the data set's classes. */
    method: z.enum(methods),
    objective: z.enum(['auto', 'sample', 'pixel']),
    preprocessing: z.enum(['lcnaug1', 'aug1']),
    resize: z.enum(['nearest', 'area']),
    referencePreprocessing: z.boolean(),
    bitRange: z.object({ low: z.number().int().min(0), high: z.number().int().positive() }),
    /** 0: the untouched network is evaluated. */
    epochs: z.number().int().min(0).max(1_000_000),
    batchSize: z.number().int().positive().max(65_536),
    optimizer: z.enum(['sgd', 'adam']),
    lr: z.number().positive(),
    weightDecay: z.number().min(0),
    schedule,
    /** Pixels of the network's input. */
    sigma: z.number().positive(),
    quantile: z.number().gt(0).max(1),
    /** Share of the normal training images kept for the threshold. */
    holdOut: z.number().min(0).max(0.5),
    falseAlarmRate: z.number().gt(0).lt(1),
    seed: z.number().int().min(0).max(Number.MAX_SAFE_INTEGER),
    device: z.string(),
    /** Operands of convolutions on a GPU. */
    precision: z.enum(['float32', 'tf32', 'bf16']),
    /** Bytes that training may take besides the images. */
    memoryBudget: z.number().int().positive(),
    threads: z.number().int().positive().max(1024),
    /** Epochs counted from 1; 0 is before the first step. */
    evaluateAt: z.array(z.number().int().min(0)),
    /** Which epoch's weights become the model. */
    select: z.enum(['last', 'best']),
    saveMaps: z.boolean(),
    dumpStep: z.number().int().min(0),
  })
  .partial()
  .strict();

export type TrainOptions = z.infer<typeof trainOptionsSchema>;

/** Everything decided. Only what may stay open (class, folder, threads …) is optional. */
export interface RunConfig extends TrainOptions {
  dataset: string;
  supervise: TrainingDefaults['supervise'];
  noise: string;
  offline: boolean;
  confettiColour: 'auto' | 'rgb' | 'grey';
  model: string;
  bias: boolean;
  method: Method;
  objective: 'auto' | 'sample' | 'pixel';
  preprocessing: TrainingDefaults['preprocessing'];
  epochs: number;
  batchSize: number;
  optimizer: 'sgd' | 'adam';
  lr: number;
  weightDecay: number;
  schedule: TrainingDefaults['schedule'];
  sigma: number;
  quantile: number;
  holdOut: number;
  falseAlarmRate: number;
  seed: number;
  device: string;
  evaluateAt: number[];
  select: 'last' | 'best';
  saveMaps: boolean;
}

const pick = <T>(chosen: T | undefined, fallback: T): T => chosen ?? fallback;

/**
 * Completes options with the defaults of their data set.
 * @param cached weights at hand: what mvtec and folder start from depends on them
 * @returns the configuration, and lines that tell a user about choices made for them
 * @throws FcddError FCDD_INVALID_ARGUMENT naming the option
 */
export function resolveConfig(
  options: TrainOptions,
  cached: readonly WeightsInfo[] = [],
): { config: RunConfig; notes: string[] } {
  const checked = checkOptions(options);
  const dataset = pick(checked.dataset, 'demo');
  const defaults = trainingDefaults(dataset);
  const notes: string[] = [];
  const method = pick(checked.method, 'fcdd');
  // The baselines have networks of their own, which start from random values.
  const usable = isBaseline(method) ? [] : cached;
  const model = checked.model ?? defaultModel(defaults.model, checked, usable, notes);
  const weights = isBaseline(method)
    ? checked.weights
    : (checked.weights ?? defaultWeights(model, checked, cached));
  // Deep SVDD's loss is a sum over outputs: FCDD's SGD would diverge, so it has its own paper's optimiser.
  const optimizer = pick(checked.optimizer, method === 'dsvdd' ? 'adam' : defaults.optimizer);
  const normalOnly = learnsNormalOnly(method) || method === 'classify';
  const config: RunConfig = {
    ...checked,
    dataset,
    model,
    ...(weights === undefined ? {} : { weights }),
    optimizer,
    method,
    supervise: pick(
      checked.supervise,
      normalOnly ? 'unsupervised' : checked.oe === undefined ? defaults.supervise : 'noise',
    ),
    noise: pick(checked.noise, checked.oe === undefined ? defaults.noise : 'oe'),
    offline: pick(checked.offline, false),
    confettiColour: pick(checked.confettiColour, 'auto'),
    bias: pick(checked.bias, method !== 'dsvdd'),
    objective: pick(checked.objective, 'auto'),
    preprocessing: pick(checked.preprocessing, defaults.preprocessing),
    epochs: pick(checked.epochs, defaults.epochs),
    batchSize: pick(checked.batchSize, defaults.batch),
    lr: pick(
      checked.lr,
      method === 'dsvdd' && optimizer === 'adam' ? DSVDD_RATE : defaultRate(optimizer, defaults),
    ),
    weightDecay: pick(checked.weightDecay, defaults.weightDecay),
    schedule: pick(checked.schedule, defaults.schedule),
    sigma: pick(checked.sigma, defaults.sigma),
    quantile: pick(checked.quantile, defaults.quantile),
    holdOut: method === 'classify' ? 0 : pick(checked.holdOut, defaults.holdOut),
    falseAlarmRate: pick(checked.falseAlarmRate, 0.05),
    seed: pick(checked.seed, 0),
    device: pick(checked.device, 'auto'),
    evaluateAt: pick(checked.evaluateAt, []),
    select: pick(checked.select, 'last'),
    saveMaps: pick(checked.saveMaps, false),
  };
  checkMethod(config);
  checkSupervision(config);
  checkProtocol(config);
  runLayers(config); // refuses what cannot be frozen
  return { config, notes };
}

/** Parses options of unknown origin (a file, JavaScript); the first problem becomes the error. */
export function checkOptions(options: unknown): TrainOptions {
  const parsed = trainOptionsSchema.safeParse(options);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0]!;
  const where = issue.code === 'unrecognized_keys' ? issue.keys.join(', ') : issue.path.join('.');
  throw new FcddError('FCDD_INVALID_ARGUMENT', `option ${where}: ${issue.message}`, {
    hint: 'fcdd-native train --help lists the options',
  });
}

/** Ruff et al., "Deep one-class classification", ICML 2018, section 4. */
const DSVDD_RATE = 1e-4;

/** A learning rate belongs to its optimiser: a user who changes one gets the usual rate of the other. */
function defaultRate(optimizer: 'sgd' | 'adam', defaults: TrainingDefaults): number {
  if (optimizer === defaults.optimizer) return defaults.lr;
  return optimizer === 'adam' ? 1e-3 : 1e-2;
}

export const syntheticNoises = [
  'confetti',
  'gaussian',
  'uniform',
  'solid',
  'blob',
  'mixed-blob',
  'cut-paste',
  'texture',
] as const;

export type SyntheticName = (typeof syntheticNoises)[number];

export const isSynthetic = (noise: string): noise is SyntheticName =>
  (syntheticNoises as readonly string[]).includes(noise);

/** Real anomalies of the class's test split, without and with their masks (the semi-supervised setting). */
export const realNoises = ['mvtec', 'mvtec-gt'] as const;

export const isRealAnomalies = (noise: string): boolean => (realNoises as readonly string[]).includes(noise);

/** Whether a run trains on labelled anomalies of its own data set. */
export const trainsOnAnomalies = (config: RunConfig): boolean =>
  config.supervise === 'other' || (config.supervise === 'noise' && isRealAnomalies(config.noise));

/** A method that cannot use an option refuses it. */
function checkMethod(config: RunConfig): void {
  const { method, supervise, bias, objective } = config;
  const refuse = (what: string, hint: string): never => {
    throw new FcddError('FCDD_INVALID_ARGUMENT', `--method ${method} ${what}`, { hint });
  };
  if (method === 'fcdd') return;
  if (objective === 'pixel') refuse('has no loss per pixel', 'leave --objective out');
  if (isBaseline(method) && config.weights !== undefined && config.weights !== 'random')
    refuse('has a network of its own, which starts from random values', 'leave --weights out');
  if (isBaseline(method) && (config.freezeUntil !== undefined || config.frozenBn !== undefined))
    refuse('has a network of its own', 'leave --freeze-until and --frozen-bn out');
  if (method === 'classify' && config.select === 'best')
    refuse('has no anomaly score to choose an epoch by', 'leave --select out');
  if (method === 'classify' && supervise !== 'unsupervised')
    refuse('learns from labels, not from anomalies', 'leave --supervise out');
  if (learnsNormalOnly(method) && supervise !== 'unsupervised')
    refuse('is trained on normal images alone', 'leave --supervise out, or use --method hsc');
  if (method === 'dsvdd' && bias)
    refuse('must not have biases: they could map everything to its centre', 'leave --bias out');
}

/** Options that contradict each other are an error, never one of them silently ignored. */
function checkSupervision(config: RunConfig): void {
  if (config.oe === undefined) return;
  if (config.supervise === 'unsupervised' || config.supervise === 'other') {
    throw new FcddError('FCDD_INVALID_ARGUMENT', `--oe has no use with --supervise ${config.supervise}`, {
      hint: 'use --supervise noise (outlier exposure), or leave --oe out',
    });
  }
  if (isSynthetic(config.noise)) {
    throw new FcddError(
      'FCDD_INVALID_ARGUMENT',
      `--noise ${config.noise} is generated, so --oe would not be used`,
      {
        hint: 'give only one of them',
      },
    );
  }
}

/** The options of single settings, each with what it needs. */
function checkProtocol(config: RunConfig): void {
  const refuse = (text: string, hint: string): never => {
    throw new FcddError('FCDD_INVALID_ARGUMENT', text, { hint });
  };
  const malformed = config.supervise === 'malformed-normal' || config.supervise === 'malformed-normal-gt';
  const malform = 'use --supervise malformed-normal, or malformed-normal-gt for exact masks';
  if ((config.noise === 'cut-paste' || config.noise === 'texture') && config.supervise === 'noise') {
    refuse(`--noise ${config.noise} changes a normal image and is no image of its own`, malform);
  }
  if (config.onObject && !malformed)
    refuse(`--on-object has no use with --supervise ${config.supervise}`, malform);
  if (config.texture !== undefined && (!malformed || config.noise !== 'texture'))
    refuse('--texture has a use with --noise texture alone', 'add --noise texture, or leave --texture out');
  if (isRealAnomalies(config.noise) && config.supervise !== 'noise') {
    refuse(
      `--noise ${config.noise} (real anomalies) does not go with --supervise ${config.supervise}`,
      'use --supervise noise',
    );
  }
  if (isRealAnomalies(config.noise) && config.oe !== undefined)
    refuse(
      `--noise ${config.noise} takes the data set's own anomalies, so --oe would not be used`,
      'give one',
    );
  if (isRealAnomalies(config.noise) && config.dataset !== 'mvtec' && config.dataset !== 'folder') {
    refuse(
      `--noise ${config.noise} is for the data sets mvtec and folder, not for ${config.dataset}`,
      'use --supervise other to train on the labelled anomalies of a data set',
    );
  }
  if (!trainsOnAnomalies(config) && (config.keepOeInTest || config.oeFiles !== undefined)) {
    const option = config.keepOeInTest ? '--keep-oe-in-test' : 'oeFiles';
    refuse(
      `${option} has a use only where real anomalies are trained on`,
      'add --supervise noise --noise mvtec-gt',
    );
  }
  if (config.select === 'best' && config.holdOut === 0)
    refuse('--select best needs held-out normal images, and --hold-out is 0', 'leave --hold-out at 0.1');
}
