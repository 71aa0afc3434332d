/**
 * The early choice of the epoch, without a look at test data (report, section 7, point 3: test figures peak and then
 * fall). After every epoch the held-out normal images are scored against the same images with synthetic anomalies; the
 * epoch with the highest criterion gives the model, the earliest of several that are equal.
 *
 * The threshold is calibrated on the same held-out images afterwards, so its false-alarm rate is a little optimistic:
 * the best of some tens of epochs was chosen for them.
 */
import type { Device, Network, TensorMap } from '../engine/types.js';
import type { EpochRecord } from './checkpoint.js';
import type { PreparedRun } from './prepare.js';
import { scoreImages } from './scoring.js';
import { type SyntheticFigures, scoreSynthetic } from './synthetic.js';

/** What metrics.json says of the epoch whose weights the model has. */
export interface Selected {
  epoch: number;
  /** How it was chosen, and its value at this epoch and at the last one. */
  criterion: string;
  value: number;
  lastValue: number;
}

export const criterionName =
  'mean of image and pixel ROC-AUC of held-out normal images against the same with synthetic anomalies';

/** Higher is better; 0 where nothing could be computed. */
export function criterion({ sampleRocAuc, pixelRocAuc }: SyntheticFigures): number {
  const values = [sampleRocAuc, pixelRocAuc].filter((value) => value !== null);
  return values.reduce((sum, value) => sum + value, 0) / Math.max(1, values.length);
}

/** The criterion of the network as it is now. */
export async function scoreEpoch(run: PreparedRun, device: Device): Promise<number> {
  const held = await scoreImages(device, run.network, run.held.images, run.pipelines.test, {
    sigma: run.config.sigma,
    maps: true,
  });
  return criterion((await scoreSynthetic(run, device, held))!.figures);
}

/** The best of the epochs that were scored, the earliest of equals; null when none was. */
export function bestEpoch(history: readonly EpochRecord[]): EpochRecord | null {
  return history.reduce<EpochRecord | null>((best, record) => {
    if (record.criterion === undefined) return best;
    return best === null || record.criterion > best.criterion! ? record : best;
  }, null);
}

export function selectedOf(history: readonly EpochRecord[]): Selected | null {
  const best = bestEpoch(history);
  if (best === null) return null;
  const lastValue = history.at(-1)!.criterion!;
  return { epoch: best.epoch, criterion: criterionName, value: best.criterion!, lastValue };
}

/** All tensors of a network, running statistics included. */
export async function captureTensors(network: Network): Promise<TensorMap> {
  const tensors: TensorMap = {};
  for (const { name } of network.tensors) tensors[name] = await network.get(name);
  return tensors;
}

export async function restoreTensors(network: Network, tensors: TensorMap): Promise<void> {
  for (const [name, values] of Object.entries(tensors)) await network.set(name, values);
}

/**
 * Share that scoring an epoch adds to it: two forward passes per held-out image, one at a time, beside about three per
 * training sample.
 */
export function selectionCost(run: PreparedRun): number {
  return (2 * run.held.records.length) / (3 * run.trainer.positions);
}
