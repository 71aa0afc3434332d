/** Repeats a golden training run on a device of ours: weights and inputs from the formula, five steps. */
import type { Batch, Device, Network } from '../../src/engine/types.js';
import { architecture } from '../../src/models/index.js';
import type { TrainingGolden } from './files.js';
import { values } from './formula.js';

const STEPS = 5;
const INPUT_SCALE = 1.75;
const AFFINE_SCALE = 0.25;

export interface TrainingOutcome {
  losses: number[];
  before: Record<string, Float64Array>;
  after: Record<string, Float64Array>;
}

/** Initial value of a tensor: README.md, "The formula". */
function initialValue(name: string, shape: readonly number[], convolutions: Map<string, number>): Float64Array {
  const count = shape.reduce((a, b) => a * b, 1);
  if (name.endsWith('running_mean')) return new Float64Array(count);
  if (name.endsWith('running_var')) return new Float64Array(count).fill(1);
  const fanIn = convolutions.get(name.slice(0, name.lastIndexOf('.')));
  if (fanIn !== undefined) return values(name, count, 1 / Math.sqrt(fanIn));
  return values(name, count, AFFINE_SCALE, name.endsWith('.weight') ? 1 : 0);
}

async function initialise(network: Network): Promise<void> {
  const weights = network.tensors.filter((tensor) => tensor.name.endsWith('.weight') && tensor.shape.length === 4);
  const fanIns = weights.map(({ name, shape }): [string, number] => [
    name.slice(0, -'.weight'.length),
    shape.slice(1).reduce((a, b) => a * b, 1),
  ]);
  const convolutions = new Map(fanIns);
  for (const { name, shape } of network.tensors) await network.set(name, initialValue(name, shape, convolutions));
}

async function snapshot(network: Network): Promise<Record<string, Float64Array>> {
  const found: Record<string, Float64Array> = {};
  for (const { name } of network.tensors) found[name] = await network.get(name);
  return found;
}

function batchOf(run: TrainingGolden, step: number): Batch {
  const { channels, height, width } = run.input;
  const labels = Uint8Array.from({ length: run.batch }, (_, i) => (i + step) % 2);
  const pixels = values(`x/${step}`, run.batch * height * width * channels, INPUT_SCALE);
  if (!run.pixelwise) return { count: run.batch, pixels, labels };
  const masks = Uint8Array.from({ length: run.batch * height * width }, (_, i) => {
    const column = i % width;
    const row = Math.floor(i / width) % height;
    const inside = row >= height / 2 && column >= width / 2;
    return inside ? (labels[Math.floor(i / (height * width))] ?? 0) : 0;
  });
  return { count: run.batch, pixels, labels, masks };
}

/** Five steps of `run` on `device`; losses are those before each update. */
export async function repeatTraining(device: Device, run: TrainingGolden): Promise<TrainingOutcome> {
  using network = device.createNetwork(architecture(run.model).layers({ bias: true }), run.input);
  await initialise(network);
  const before = await snapshot(network);
  const { lr, ...optimiser } = run.optimiser;
  const objective = run.sigma === null ? { pixelwise: false } : { pixelwise: run.pixelwise, sigma: run.sigma };
  using trainer = network.createTrainer({ batch: run.batch, objective, optimiser, seed: 0 });
  const losses: number[] = [];
  for (let step = 0; step < STEPS; step++) losses.push((await trainer.trainStep(batchOf(run, step), lr)).loss);
  return { losses, before, after: await snapshot(network) };
}
