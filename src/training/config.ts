import { z } from 'zod';
import { trainingDefaults } from '../data/index.js';
import type { TrainingDefaults } from '../data/types.js';
import type { Method } from '../engine/types.js';
import { FcddError } from '../errors.js';
import { architecture } from '../models/index.js';
import { learnsNormalOnly, methods } from './methods.js';

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
    supervise: z.enum(['unsupervised', 'other', 'noise', 'malformed-normal', 'malformed-normal-gt']),
    noise: z.string(),
    offline: z.boolean(),
    /** auto: one value for all channels when all training images are grey. */
    confettiColour: z.enum(['auto', 'rgb', 'grey']),
    model: z.string(),
    bias: z.boolean(),
    /** 'random' allows a VGG net to start from random weights. */
    weights: z.literal('random'),
    /** FCDD, a baseline of the paper (hsc, ae, dsvdd), or a classifier of the data set's classes. */
    method: z.enum(methods),
    objective: z.enum(['auto', 'sample', 'pixel']),
    preprocessing: z.enum(['lcnaug1', 'aug1']),
    resize: z.enum(['nearest', 'area']),
    referencePreprocessing: z.boolean(),
    bitRange: z.object({ low: z.number().int().min(0), high: z.number().int().positive() }),
    epochs: z.number().int().positive().max(1_000_000),
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
    evaluateAt: z.array(z.number().int().positive()),
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
  saveMaps: boolean;
}

const pick = <T>(chosen: T | undefined, fallback: T): T => chosen ?? fallback;

/**
 * Completes options with the defaults of their data set.
 * @returns the configuration, and lines that tell a user about choices made for them
 * @throws FcddError FCDD_INVALID_ARGUMENT naming the option
 */
export function resolveConfig(options: TrainOptions): { config: RunConfig; notes: string[] } {
  const checked = checkOptions(options);
  const dataset = pick(checked.dataset, 'demo');
  const defaults = trainingDefaults(dataset);
  const notes: string[] = [];
  const model = checked.model ?? defaultModel(defaults, notes);
  const net = architecture(model);
  if (net.pretrained && checked.weights !== 'random') {
    throw new FcddError(
      'FCDD_INVALID_ARGUMENT',
      `${model} starts from ImageNet weights, which this version cannot import`,
      {
        hint: 'use --model cnn224, or --weights random to train it from scratch all the same',
      },
    );
  }
  const method = pick(checked.method, 'fcdd');
  // Deep SVDD's loss is a sum over outputs: FCDD's SGD would diverge, so it has its own paper's optimiser.
  const optimizer = pick(checked.optimizer, method === 'dsvdd' ? 'adam' : defaults.optimizer);
  const normalOnly = learnsNormalOnly(method) || method === 'classify';
  const config: RunConfig = {
    ...checked,
    dataset,
    model,
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
    saveMaps: pick(checked.saveMaps, false),
  };
  checkMethod(config);
  checkSupervision(config);
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

/** The published runs of mvtec and folder start from ImageNet weights; without them cnn224 is the sensible net. */
function defaultModel(defaults: TrainingDefaults, notes: string[]): string {
  if (!architecture(defaults.model).pretrained) return defaults.model;
  notes.push(`model cnn224: the published ${defaults.model} needs ImageNet weights, which are not at hand`);
  return 'cnn224';
}

/** Ruff et al., "Deep one-class classification", ICML 2018, section 4. */
const DSVDD_RATE = 1e-4;

/** A learning rate belongs to its optimiser: a user who changes one gets the usual rate of the other. */
function defaultRate(optimizer: 'sgd' | 'adam', defaults: TrainingDefaults): number {
  if (optimizer === defaults.optimizer) return defaults.lr;
  return optimizer === 'adam' ? 1e-3 : 1e-2;
}

export const syntheticNoises = ['confetti', 'gaussian', 'uniform', 'solid', 'blob', 'mixed-blob'] as const;

export type SyntheticName = (typeof syntheticNoises)[number];

export const isSynthetic = (noise: string): noise is SyntheticName =>
  (syntheticNoises as readonly string[]).includes(noise);

/** A method that cannot use an option refuses it. */
function checkMethod({ method, supervise, bias, objective }: RunConfig): void {
  const refuse = (what: string, hint: string): never => {
    throw new FcddError('FCDD_INVALID_ARGUMENT', `--method ${method} ${what}`, { hint });
  };
  if (method === 'fcdd') return;
  if (objective === 'pixel') refuse('has no loss per pixel', 'leave --objective out');
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
