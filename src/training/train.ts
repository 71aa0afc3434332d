import { join } from 'node:path';
import { describeDevice, openDevice } from '../engine/index.js';
import type { Device, DeviceName, Precision } from '../engine/types.js';
import { FcddError, isAbort } from '../errors.js';
import { listWeights } from '../weights/cache.js';
import { type Position, readCheckpoint, restoreCheckpoint } from './checkpoint.js';
import { checkOptions, type RunConfig, resolveConfig, type TrainOptions } from './config.js';
import { dumpStep } from './dump.js';
import { describeEstimate, type Estimate, estimateRun } from './estimate.js';
import { epochFigures, type Metrics, testFigures } from './figures.js';
import { finishRun } from './finish.js';
import { arithmeticOf, type Standing, startPosition, type TrainingProgress, trainLoop } from './loop.js';
import { type PreparedRun, prepareRun } from './prepare.js';
import {
  createRunFolder,
  findRunFolder,
  holdsRun,
  makeFolder,
  readJson,
  runFiles,
  writeJson,
} from './run-folder.js';
import { scoreImages } from './scoring.js';
import { scoreEpoch, selectionCost } from './selection.js';
import { versions } from './versions.js';

/** How train() talks: nothing is ever written to the console by the library. */
export interface TrainHooks {
  /** Run folder; default runs/<dataset>-<class>-<n>. */
  out?: string;
  /** Go on with the run in `out` (or the latest under runs/). */
  resume?: boolean;
  /** Stops after the step under way, with a checkpoint. */
  signal?: AbortSignal;
  onNote?: (text: string) => void;
  onWarning?: (text: string) => void;
  onEstimate?: (estimate: Estimate) => void;
  onProgress?: (progress: TrainingProgress) => void;
  onStage?: (stage: 'load' | 'train' | 'evaluate' | 'report', done: number, total: number) => void;
}

export interface TrainResult {
  /** The run folder. */
  out: string;
  config: RunConfig;
  /** False when the signal stopped the run before its last epoch: go on with `resume`. */
  finished: boolean;
  /** Null when not finished. */
  metrics: Metrics | null;
  epochs: number;
  /** Of training alone, over all sittings. */
  seconds: number;
  imagesPerSecond: number;
}

/**
 * Trains a detector and leaves a run folder behind: configuration, history, metrics, model, pictures, index.html.
 * The same options and seed give the same bits on the same instruction set, for any number of threads.
 *
 * @param options what to train; everything has a default (see resolveConfig)
 * @throws FcddError with a stable code and, where there is one, a hint
 * @see FCDD: Liznerski et al., Explainable Deep One-Class Classification, ICLR 2021
 */
export async function train(options: TrainOptions = {}, hooks: TrainHooks = {}): Promise<TrainResult> {
  const { config, folder, resumed } = hooks.resume
    ? await resumeRun(options, hooks)
    : await newRun(options, hooks);
  const onNote = hooks.onNote ?? (() => {});
  using device = openRunDevice(config, onNote);
  using run = await prepareRun(config, device, {
    onNote,
    onWarning: hooks.onWarning ?? (() => {}),
    onLoad: (done, total) => hooks.onStage?.('load', done, total),
  });
  const out = folder ?? (await createRunFolder(hooks.out, `${config.dataset}-${run.dataset.className}`));
  for (const line of run.dataset.summary) hooks.onNote?.(line);
  if (!resumed) await writeJson(out, runFiles.config, { ...run.config, versions: versions(device.info) });
  const start = resumed
    ? await continueFrom(out, run, device, hooks)
    : { position: startPosition(run, device.info), best: null };
  if (start.position.finished) return await alreadyFinished(out, run, start.position, hooks);
  await announce(run, hooks);

  const standing = await trainLoop(run, start, {
    folder: out,
    deviceInfo: device.info,
    ...(hooks.signal ? { signal: hooks.signal } : {}),
    ...(hooks.onProgress ? { onProgress: hooks.onProgress } : {}),
    evaluate: (epoch) => evaluateEpoch(run, device, epoch),
    scoreEpoch: () => scoreEpoch(run, device),
    dump: async (epoch, step) => {
      const path = join(out, `step-${config.dumpStep}.safetensors`);
      await dumpStep(run, path, epoch, step);
      hooks.onNote?.(`wrote ${path}`);
    },
  });
  const { position } = standing;
  if (position.epoch < config.epochs) return result(out, run, position, null);
  const metrics = await finishRun(run, device, standing, out, hooks).catch(stopped);
  return result(out, run, position, metrics);
}

/** A signal during the last stage is a stop like any other: `resume` does that stage again. */
function stopped(error: unknown): null {
  if (isAbort(error)) return null;
  throw error;
}

export interface RunDeviceOptions {
  device?: string | undefined;
  threads?: number | undefined;
  precision?: Precision | undefined;
}

export function openRunDevice(options: RunDeviceOptions, onNote: (text: string) => void): Device {
  const { threads, precision } = options;
  const device = openDevice((options.device ?? 'auto') as DeviceName, {
    ...(threads === undefined ? {} : { threads }),
    ...(precision === undefined ? {} : { precision }),
  });
  onNote(`device: ${describeDevice(device.info)}`);
  return device;
}

interface Opened {
  config: RunConfig;
  /** Undefined until the class is known, which names the default folder. */
  folder: string | undefined;
  resumed: boolean;
}

async function newRun(options: TrainOptions, hooks: TrainHooks): Promise<Opened> {
  const { config, notes } = resolveConfig(options, (await listWeights()).weights);
  for (const note of notes) hooks.onNote?.(note);
  // Refuse an occupied folder before minutes go into loading data.
  const folder = hooks.out === undefined ? undefined : await createRunFolder(hooks.out, '');
  return { config, folder, resumed: false };
}

/** The run's own configuration, with what may change between sittings taken from the options given now. */
async function resumeRun(options: TrainOptions, hooks: TrainHooks): Promise<Opened> {
  if (hooks.out !== undefined && !(await holdsRun(hooks.out))) {
    hooks.onNote?.(`${hooks.out} holds no run yet: starting from zero`);
    await makeFolder(hooks.out);
    return { ...(await newRun(options, hooks)), folder: hooks.out };
  }
  const folder = await findRunFolder(hooks.out);
  const { versions: _, ...stored } = ((await readJson(join(folder, runFiles.config))) ?? {}) as Record<
    string,
    unknown
  >;
  const { config } = resolveConfig({ ...checkOptions(stored), ...options });
  hooks.onNote?.(`resuming ${folder}`);
  return { config, folder, resumed: true };
}

/** Restores the checkpoint; says so when there is none yet, or when bits will differ. */
async function continueFrom(
  out: string,
  run: PreparedRun,
  device: Device,
  hooks: TrainHooks,
): Promise<Standing> {
  const checkpoint = await readCheckpoint(join(out, runFiles.checkpoint));
  if (!checkpoint) {
    hooks.onNote?.('there is no checkpoint yet: starting from zero');
    return { position: startPosition(run, device.info), best: null };
  }
  const { position } = checkpoint;
  if (position.fingerprint !== run.fingerprint) {
    throw new FcddError('FCDD_BAD_CHECKPOINT', `${out} was trained with other data or settings than these`, {
      hint: 'give the options it was started with (its config.json), or start a new run with another --out',
    });
  }
  if (position.arithmetic !== arithmeticOf(device.info)) {
    hooks.onWarning?.(
      `the checkpoint is from ${position.arithmetic}, this is ${arithmeticOf(device.info)}: ` +
        'training goes on, but bits will differ from an unbroken run',
    );
  }
  await restoreCheckpoint(run.network, run.trainer, checkpoint);
  return {
    position: {
      ...position,
      finished: position.finished && position.epoch >= run.config.epochs,
      arithmetic: arithmeticOf(device.info),
    },
    best: checkpoint.best,
  };
}

async function alreadyFinished(
  out: string,
  run: PreparedRun,
  position: Position,
  hooks: TrainHooks,
): Promise<TrainResult> {
  hooks.onNote?.(`${out} is already finished (${position.epoch} epochs); more with --epochs`);
  return result(out, run, position, (await readJson(join(out, runFiles.metrics))) as Metrics);
}

async function announce(run: PreparedRun, hooks: TrainHooks): Promise<void> {
  const estimate = await estimateRun(run);
  hooks.onEstimate?.(estimate);
  for (const line of describeEstimate(estimate, run)) hooks.onNote?.(line);
  if (run.config.select === 'best') {
    const percent = (100 * selectionCost(run)).toPrecision(2);
    hooks.onNote?.(`--select best: scoring every epoch takes about ${percent} % more time`);
  }
}

async function evaluateEpoch(run: PreparedRun, device: Device, epoch: number) {
  const { dataset, config } = run;
  const maps = dataset.test?.masks !== null;
  const scored = dataset.test
    ? await scoreImages(device, run.network, dataset.test.images, run.pipelines.test, {
        sigma: config.sigma,
        maps,
        scoring: run.scoring,
      })
    : null;
  return epochFigures(epoch, testFigures(dataset.test, dataset.testMissing, scored));
}

function result(out: string, run: PreparedRun, position: Position, metrics: Metrics | null): TrainResult {
  const seconds = position.history.reduce((sum, epoch) => sum + epoch.seconds, position.sums.seconds);
  const samples = run.trainer.positions * position.epoch + position.step * run.config.batchSize;
  return {
    out,
    config: run.config,
    finished: metrics !== null,
    metrics,
    epochs: position.epoch,
    seconds: Number(seconds.toFixed(3)),
    imagesPerSecond: Number((samples / Math.max(seconds, 1e-9)).toFixed(1)),
  };
}
