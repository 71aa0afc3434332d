import type { Tensor } from '../models/safetensors.js';
import { writeSafetensors } from '../models/safetensors.js';
import type { PreparedRun } from './prepare.js';

/**
 * Writes what one step saw and made: the augmented batch (NHWC), labels, masks, activations and gradients by name, as
 * safetensors, for comparing with another implementation.
 */
export async function dumpStep(run: PreparedRun, path: string, epoch: number, step: number): Promise<void> {
  const { trainer, config, network } = run;
  const first = step * config.batchSize;
  const count = Math.min(config.batchSize, trainer.positions - first);
  const tensors = new Map<string, Tensor>();
  const addAll = (prefix: string, map: Record<string, Float64Array>): void => {
    for (const [name, data] of Object.entries(map))
      tensors.set(`${prefix}/${name}`, { shape: [data.length], data });
  };
  addAll('gradient', await trainer.lastGradients());
  addAll('activation', await trainer.lastActivations());
  const batch = await trainer.augment(epoch, first, count);
  const { channels, height, width } = network.input;
  tensors.set('pixels', { shape: [count, height, width, channels], data: batch.pixels });
  tensors.set('bytes', { shape: [count, height, width, channels], data: batch.bytes });
  tensors.set('masks', { shape: [count, height, width], data: batch.masks });
  tensors.set('labels', { shape: [count], data: batch.labels });
  await writeSafetensors(path, tensors, { epoch: String(epoch + 1), step: String(step) });
}
