import { totalmem } from 'node:os';
import type { PreparedRun } from './prepare.js';

/** What a run will need, known before its first step. */
export interface Estimate {
  memoryBytes: number;
  /** Samples of all epochs. */
  samples: number;
  /** Null until a few images have been timed. */
  seconds: number | null;
}

/** Memory that node, V8 and sharp hold besides the engine's own, from runs of the command. */
const processBytes = 150 << 20;

/**
 * Memory comes from the engine's own plan; time from a forward pass of a few images. A training step costs about three
 * forward passes (forward, gradient of the input, gradient of the weights), frozen layers only one.
 */
export async function estimateRun(run: PreparedRun): Promise<Estimate> {
  const { network, trainer, config } = run;
  const samples = trainer.positions * config.epochs;
  const memoryBytes = trainer.reservedBytes + run.storeBytes + processBytes;
  const { channels, height, width } = network.input;
  const count = Math.min(config.batchSize, 8);
  const pixels = new Float32Array(count * height * width * channels);
  await network.infer(pixels, run.scoring);
  const began = performance.now();
  await network.infer(pixels, run.scoring);
  const secondsPerImage = (performance.now() - began) / 1000 / count;
  return { memoryBytes, samples, seconds: 3 * secondsPerImage * samples };
}

/** Lines for people: what to expect, and above an hour or the machine's memory what to choose instead. */
export function describeEstimate(estimate: Estimate, run: PreparedRun): string[] {
  const lines = [
    `expected: about ${duration(estimate.seconds ?? 0)} and ${mebibytes(estimate.memoryBytes)} of memory ` +
      `(${run.trainer.positions} samples per epoch, ${run.config.epochs} epochs)`,
  ];
  if ((estimate.seconds ?? 0) > 3600) {
    lines.push(
      'that is long on this machine: fewer epochs (--epochs) or a smaller net (--model cnn224, cnn32-s or cnn28) take less; ' +
        'Ctrl-C is safe at any time, --resume goes on',
    );
  }
  if (estimate.memoryBytes > 0.9 * totalmem()) {
    lines.push(`that is more than this machine has (${mebibytes(totalmem())}): lower --batch-size`);
  }
  return lines;
}

export const mebibytes = (bytes: number): string =>
  bytes >= 1 << 30 ? `${(bytes / 2 ** 30).toFixed(1)} GiB` : `${Math.ceil(bytes / 2 ** 20)} MiB`;

/** "45 s", "3 min 20 s", "2 h 05 min" */
export function duration(seconds: number): string {
  const whole = Math.max(1, Math.round(seconds));
  if (whole < 60) return `${whole} s`;
  const minutes = Math.floor(whole / 60);
  if (minutes < 60) return `${minutes} min ${String(whole % 60).padStart(2, '0')} s`;
  return `${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, '0')} min`;
}
