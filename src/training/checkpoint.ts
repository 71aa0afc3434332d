import { stat } from 'node:fs/promises';
import { z } from 'zod';
import type { Network, TensorMap, Trainer } from '../engine/types.js';
import { FcddError } from '../errors.js';
import { readSafetensors, type Tensor, type TensorData, writeSafetensors } from '../models/safetensors.js';
import { captureTensors, restoreTensors } from './selection.js';

/**
 * Everything that training needs to go on as if it had never stopped: weights, running statistics, optimiser state and
 * position. Random draws need no state: they are keyed by (seed, epoch, position).
 */

/** Sums of the epoch under way, so that its line in history.json is complete after a resume. */
export const epochSumsSchema = z.object({
  loss: z.number(),
  normal: z.number(),
  anomalous: z.number(),
  normals: z.number(),
  anomalies: z.number(),
  seconds: z.number(),
});
export type EpochSums = z.infer<typeof epochSumsSchema>;

const epochSchema = z.object({
  epoch: z.number().int(),
  loss: z.number(),
  normal: z.number().nullable(),
  anomalous: z.number().nullable(),
  learningRate: z.number(),
  seconds: z.number(),
  /** What --select best chooses by (selection.ts). */
  criterion: z.number().optional(),
});
/** One line of history.json; epochs count from 1. */
export type EpochRecord = z.infer<typeof epochSchema>;

const positionSchema = z.object({
  format: z.literal(1),
  /** Fingerprint of data and method settings: a checkpoint goes on only with the same ones. */
  fingerprint: z.string(),
  /** Device and instruction set: other ones go on, with other bits. */
  arithmetic: z.string(),
  epoch: z.number().int().min(0),
  /** Steps of `epoch` that are done. */
  step: z.number().int().min(0),
  updates: z.number().int().min(0),
  finished: z.boolean(),
  sums: epochSumsSchema,
  history: z.array(epochSchema),
  evaluations: z.array(z.unknown()),
});
export type Position = z.infer<typeof positionSchema>;

export interface Checkpoint {
  position: Position;
  tensors: TensorMap;
  optimiser: TensorMap;
  /** The tensors at the end of the best epoch so far, with --select best once an epoch is done. */
  best: TensorMap | null;
}

const modelPrefix = 'model/';
const bestPrefix = 'best/';
const statePrefix = 'optimiser/';

export async function captureCheckpoint(
  network: Network,
  trainer: Trainer,
  position: Position,
  best: TensorMap | null = null,
): Promise<Checkpoint> {
  const tensors = await captureTensors(network);
  const optimiser = await trainer.state();
  return { position: { ...position, updates: trainer.updates }, tensors, optimiser, best };
}

export async function restoreCheckpoint(
  network: Network,
  trainer: Trainer,
  checkpoint: Checkpoint,
): Promise<void> {
  await restoreTensors(network, checkpoint.tensors);
  await trainer.setState(checkpoint.optimiser, checkpoint.position.updates);
}

/** `realBytes` of the device: values of a float32 device lose nothing in float32, at half the size. */
export async function writeCheckpoint(
  path: string,
  checkpoint: Checkpoint,
  realBytes: number,
): Promise<void> {
  const tensors = new Map<string, Tensor>();
  const add = (prefix: string, map: TensorMap): void => {
    for (const [name, values] of Object.entries(map)) {
      const data = realBytes === 4 ? Float32Array.from(values) : values;
      tensors.set(prefix + name, { shape: [data.length], data });
    }
  };
  add(modelPrefix, checkpoint.tensors);
  add(statePrefix, checkpoint.optimiser);
  if (checkpoint.best) add(bestPrefix, checkpoint.best);
  await writeSafetensors(path, tensors, { position: JSON.stringify(checkpoint.position) });
}

/** Reads a checkpoint; undefined when there is none. A damaged one is an error, never a silent start from zero. */
export async function readCheckpoint(path: string): Promise<Checkpoint | undefined> {
  if (!(await stat(path).catch(() => undefined))) return undefined;
  const { tensors, metadata } = await readSafetensors(path);
  const position = positionSchema.safeParse(parseOrUndefined(metadata.position));
  if (!position.success) {
    throw new FcddError('FCDD_BAD_CHECKPOINT', `${path} is not a checkpoint of this version`, {
      hint: 'delete it to start this run from zero',
    });
  }
  const checkpoint: Checkpoint = { position: position.data, tensors: {}, optimiser: {}, best: null };
  for (const [name, { data }] of tensors) {
    const values = toFloat64(data, `${path}: ${name}`);
    if (name.startsWith(modelPrefix)) checkpoint.tensors[name.slice(modelPrefix.length)] = values;
    else if (name.startsWith(statePrefix)) checkpoint.optimiser[name.slice(statePrefix.length)] = values;
    else if (name.startsWith(bestPrefix)) {
      checkpoint.best ??= {};
      checkpoint.best[name.slice(bestPrefix.length)] = values;
    }
  }
  return checkpoint;
}

function parseOrUndefined(text: string | undefined): unknown {
  try {
    return text === undefined ? undefined : JSON.parse(text);
  } catch {
    return undefined;
  }
}

function toFloat64(data: TensorData, what: string): Float64Array {
  if (data instanceof Float64Array) return data;
  if (data instanceof Float32Array) return Float64Array.from(data);
  throw new FcddError('FCDD_BAD_CHECKPOINT', `${what} is not floating point`);
}
