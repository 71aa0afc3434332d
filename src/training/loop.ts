import { join } from 'node:path';
import type { DeviceInfo, TensorMap } from '../engine/types.js';
import { FcddError, isAbort } from '../errors.js';
import {
  captureCheckpoint,
  type EpochRecord,
  type EpochSums,
  type Position,
  writeCheckpoint,
} from './checkpoint.js';
import type { PreparedRun } from './prepare.js';
import { runFiles, writeJson } from './run-folder.js';
import { learningRate } from './schedule.js';
import { bestEpoch, captureTensors } from './selection.js';

/** What the loop says while it runs; all numbers are of the epoch under way. */
export interface TrainingProgress {
  /** Counts from 1. */
  epoch: number;
  epochs: number;
  step: number;
  stepsPerEpoch: number;
  loss: number;
  imagesPerSecond: number;
  secondsLeft: number;
}

export interface LoopOptions {
  folder: string;
  deviceInfo: DeviceInfo;
  signal?: AbortSignal;
  onProgress?: (progress: TrainingProgress) => void;
  /** Called at the end of the epochs in config.evaluateAt (0: before the first step); the result goes into the checkpoint. */
  evaluate: (epoch: number) => Promise<unknown>;
  /** The criterion of the network as it is, called at the end of every epoch with --select best. */
  scoreEpoch: () => Promise<number>;
  /** Called after each step whose number is in config.dumpStep. */
  dump: (epoch: number, step: number) => Promise<void>;
}

const noSums = (): EpochSums => ({ loss: 0, normal: 0, anomalous: 0, normals: 0, anomalies: 0, seconds: 0 });

/** What rounding depends on: the device and, on a CPU, its instruction set. */
export const arithmeticOf = (info: DeviceInfo): string => `${info.name} ${info.isa}`;

export const startPosition = (run: PreparedRun, info: DeviceInfo): Position => ({
  format: 1,
  fingerprint: run.fingerprint,
  arithmetic: arithmeticOf(info),
  epoch: 0,
  step: 0,
  updates: 0,
  finished: false,
  sums: noSums(),
  history: [],
  evaluations: [],
});

/** Seconds between checkpoints within a long epoch, and the least between those of short epochs. */
const checkpointEvery = 60;
const checkpointAtMost = 2;
/** Aim for this many seconds of native work per call, so that progress moves and Ctrl-C is quick. */
const secondsPerCall = 0.25;

/** Where a run stands: what a checkpoint holds besides the network and the optimiser. */
export interface Standing {
  position: Position;
  /** Tensors of the best epoch so far, with --select best once there is one. */
  best: TensorMap | null;
}

/**
 * Trains from a position to the last epoch, or until the signal fires; the position returned says which.
 * Leaves a checkpoint behind in both cases, and at every end of an epoch or minute.
 * @throws FcddError when the loss is not finite, or the disk refuses a checkpoint (the last one stays usable)
 */
export async function trainLoop(run: PreparedRun, start: Standing, options: LoopOptions): Promise<Standing> {
  const { config, trainer } = run;
  const standing: Standing = { position: structuredClone(start.position), best: start.best };
  const { position } = standing;
  const clock = createClock(run);
  let saved = performance.now();
  const save = async (): Promise<void> => {
    const path = join(options.folder, runFiles.checkpoint);
    const checkpoint = await captureCheckpoint(run.network, trainer, position, standing.best);
    await writeCheckpoint(path, checkpoint, options.deviceInfo.realBytes);
    saved = performance.now();
  };
  const secondsSinceSave = (): number => (performance.now() - saved) / 1000;

  await evaluateUntrained(run, position, options);
  if (config.epochs === 0) await writeJson(options.folder, runFiles.history, position.history);
  while (position.epoch < config.epochs) {
    const lr = learningRate(config.lr, config.schedule, position.epoch);
    while (position.step < trainer.stepsPerEpoch) {
      // The signal may have come while a checkpoint was written or an epoch evaluated.
      if (options.signal?.aborted) {
        await save();
        return standing;
      }
      const steps = stepsOfCall(run, position, clock.stepsPerSecond());
      const began = performance.now();
      const request = { epoch: position.epoch, first: position.step, steps, lr };
      const report = await trainer
        .run(options.signal ? { ...request, signal: options.signal } : request)
        .catch(nothingDone);
      const seconds = (performance.now() - began) / 1000;
      if (report) {
        addReport(position.sums, report, seconds);
        position.step += report.steps;
        clock.add(report.steps, report.normals + report.anomalies, seconds);
        refuseBrokenLoss(report.loss, position, config.lr);
        options.onProgress?.(clock.progress(position));
        if (config.dumpStep === stepNumber(run, position))
          await options.dump(position.epoch, position.step - 1);
      }
      if (secondsSinceSave() > checkpointEvery) await save();
    }
    await finishEpoch(run, standing, lr, options);
    const last = position.epoch === config.epochs;
    if (last || secondsSinceSave() > checkpointAtMost) {
      await writeJson(options.folder, runFiles.history, position.history);
      await save();
    }
  }
  return standing;
}

/** --evaluate-at 0: the network as it starts. */
async function evaluateUntrained(run: PreparedRun, position: Position, options: LoopOptions): Promise<void> {
  const untouched = position.epoch === 0 && position.step === 0 && position.evaluations.length === 0;
  if (untouched && run.config.evaluateAt.includes(0)) position.evaluations.push(await options.evaluate(0));
}

/** The engine refuses a call that was aborted before its first step: then there is nothing to add. */
function nothingDone(error: unknown): null {
  if (isAbort(error)) return null;
  throw error;
}

/** Number of the last step done, counted from 0 over all epochs. */
const stepNumber = (run: PreparedRun, position: Position): number =>
  position.epoch * run.trainer.stepsPerEpoch + position.step - 1;

function stepsOfCall(run: PreparedRun, position: Position, stepsPerSecond: number): number {
  const { trainer, config } = run;
  let steps = Math.max(1, Math.min(256, Math.floor(stepsPerSecond * secondsPerCall)));
  steps = Math.min(steps, trainer.stepsPerEpoch - position.step);
  if (config.dumpStep === undefined) return steps;
  const ahead = config.dumpStep - position.epoch * trainer.stepsPerEpoch - position.step;
  return ahead >= 0 ? Math.min(steps, ahead + 1) : steps;
}

type Report = Awaited<ReturnType<PreparedRun['trainer']['run']>>;

function addReport(sums: EpochSums, report: Report, seconds: number): void {
  sums.loss += report.loss * (report.normals + report.anomalies);
  sums.normal += (report.normal ?? 0) * report.normals;
  sums.anomalous += (report.anomalous ?? 0) * report.anomalies;
  sums.normals += report.normals;
  sums.anomalies += report.anomalies;
  sums.seconds += seconds;
}

function refuseBrokenLoss(loss: number, position: Position, lr: number): void {
  if (Number.isFinite(loss)) return;
  throw new FcddError(
    'FCDD_BAD_DATA',
    `the loss became ${loss} in epoch ${position.epoch + 1}, step ${position.step}`,
    {
      hint: `training diverged: try a smaller --lr (it was ${lr}); the last checkpoint is from before`,
    },
  );
}

/** Sums do not depend on how steps were grouped into calls beyond the digits kept here. */
const digits = (value: number): number => Number(value.toPrecision(9));
const mean = (sum: number, count: number): number | null => (count > 0 ? digits(sum / count) : null);

async function finishEpoch(
  run: PreparedRun,
  standing: Standing,
  lr: number,
  options: LoopOptions,
): Promise<void> {
  const { position } = standing;
  const { sums } = position;
  const record: EpochRecord = {
    epoch: position.epoch + 1,
    loss: mean(sums.loss, sums.normals + sums.anomalies) ?? 0,
    normal: mean(sums.normal, sums.normals),
    anomalous: mean(sums.anomalous, sums.anomalies),
    learningRate: digits(lr),
    seconds: Number(sums.seconds.toFixed(3)),
  };
  if (run.config.select === 'best') record.criterion = await options.scoreEpoch();
  position.history.push(record);
  if (bestEpoch(position.history) === record) standing.best = await captureTensors(run.network);
  position.epoch += 1;
  position.step = 0;
  position.sums = noSums();
  if (run.config.evaluateAt.includes(record.epoch))
    position.evaluations.push(await options.evaluate(record.epoch));
}

/** Speed over the last steps, and time left at that speed. */
function createClock(run: PreparedRun) {
  const { config, trainer } = run;
  const recent: { steps: number; images: number; seconds: number }[] = [];
  const total = (key: 'steps' | 'images' | 'seconds'): number =>
    recent.reduce((sum, entry) => sum + entry[key], 0);
  const stepsPerSecond = (): number =>
    recent.length > 0 ? total('steps') / Math.max(total('seconds'), 1e-6) : 0;
  return {
    stepsPerSecond,
    add(steps: number, images: number, seconds: number): void {
      recent.push({ steps, images, seconds });
      if (recent.length > 20) recent.shift();
    },
    progress(position: Position): TrainingProgress {
      const { sums } = position;
      const left = (config.epochs - position.epoch) * trainer.stepsPerEpoch - position.step;
      return {
        epoch: position.epoch + 1,
        epochs: config.epochs,
        step: position.step,
        stepsPerEpoch: trainer.stepsPerEpoch,
        loss: sums.loss / Math.max(1, sums.normals + sums.anomalies),
        imagesPerSecond: total('images') / Math.max(total('seconds'), 1e-6),
        secondsLeft: left / Math.max(stepsPerSecond(), 1e-6),
      };
    },
  };
}
