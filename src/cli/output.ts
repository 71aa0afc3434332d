import { SingleBar } from 'cli-progress';
import { FcddError } from '../errors.js';
import { duration } from '../training/estimate.js';
import type { TrainingProgress } from '../training/loop.js';

/** Logs and progress go to standard error, so that standard output holds results alone. */

export const exitCodes = { failure: 1, usage: 2, interrupted: 130, terminated: 143 } as const;

export const log = (text: string): void => void process.stderr.write(`${text}\n`);

/** The last line of standard output with --json; the command's own text otherwise. */
export const printJson = (value: unknown): void => void process.stdout.write(`${JSON.stringify(value)}\n`);

/** One sentence and what to do about it; the stack only for what nobody foresaw. */
export function failWith(error: unknown): never {
  const known = error instanceof FcddError || typeof (error as { code?: unknown } | null)?.code === 'string';
  if (known) {
    const { message, code, hint } = error as FcddError;
    process.stderr.write(`error: ${message}\n${hint ? `       ${hint}\n` : ''}`);
    process.exit(
      code === 'FCDD_INVALID_ARGUMENT' || code === 'FCDD_USAGE' ? exitCodes.usage : exitCodes.failure,
    );
  }
  process.stderr.write(
    `unexpected error: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`,
  );
  process.exit(exitCodes.failure);
}

export interface TrainingBar {
  update(progress: TrainingProgress): void;
  /** Prints a line without tearing the bar. */
  line(text: string): void;
  stop(): void;
}

/** A bar on a terminal; elsewhere a plain line per epoch, at most one every few seconds. */
export function createTrainingBar(): TrainingBar {
  return process.stderr.isTTY ? terminalBar() : plainLines();
}

function terminalBar(): TrainingBar {
  let bar: SingleBar | undefined;
  const stop = (): void => {
    bar?.stop();
    bar = undefined;
  };
  return {
    update(progress) {
      const total = progress.epochs * progress.stepsPerEpoch;
      const value = (progress.epoch - 1) * progress.stepsPerEpoch + progress.step;
      if (!bar) {
        bar = new SingleBar({
          stream: process.stderr,
          format:
            '{bar} {percentage}% | epoch {epoch}/{epochs} | loss {loss} | {speed} images/s | {left} left',
          hideCursor: true,
          barsize: 24,
        });
        bar.start(total, value, payload(progress));
      }
      bar.update(value, payload(progress));
    },
    line(text) {
      stop();
      log(text);
    },
    stop,
  };
}

const payload = (progress: TrainingProgress): Record<string, string | number> => ({
  epoch: progress.epoch,
  epochs: progress.epochs,
  loss: progress.loss.toFixed(4),
  speed: progress.imagesPerSecond.toFixed(progress.imagesPerSecond < 10 ? 1 : 0),
  left: duration(progress.secondsLeft),
});

const plainLineEvery = 5000;

function plainLines(): TrainingBar {
  let last = Number.NEGATIVE_INFINITY;
  return {
    update(progress) {
      const done = progress.epoch === progress.epochs && progress.step === progress.stepsPerEpoch;
      if (!done && performance.now() - last < plainLineEvery) return;
      last = performance.now();
      const { epoch, epochs, loss, speed, left } = payload(progress);
      log(
        `epoch ${epoch}/${epochs}, step ${progress.step}/${progress.stepsPerEpoch}: loss ${loss}, ${speed} images/s, ${left} left`,
      );
    },
    line: log,
    stop() {},
  };
}

/** "97.3 %" of a figure that may be missing. */
export const percent = (value: number | null | undefined): string =>
  value === null || value === undefined ? 'n/a' : `${(100 * value).toFixed(1)} %`;

/** Four digits of a ROC-AUC that may be missing. */
export const figure = (value: number | null | undefined): string =>
  value === null || value === undefined ? 'n/a' : value.toFixed(4);

/** Ctrl-C and SIGTERM stop politely: the first asks, the second kills. */
export function stopSignal(): { signal: AbortSignal; exitCode: () => number | undefined } {
  const controller = new AbortController();
  let code: number | undefined;
  const ask = (exit: number) => (): void => {
    if (code !== undefined) process.exit(exit);
    code = exit;
    log('\nstopping after this step …');
    controller.abort();
  };
  process.on('SIGINT', ask(exitCodes.interrupted));
  process.on('SIGTERM', ask(exitCodes.terminated));
  return { signal: controller.signal, exitCode: () => code };
}
