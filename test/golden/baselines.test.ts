/**
 * The paper's baselines: `reference` against PyTorch in float64, every gradient of the first step and every tensor after
 * five; `cpu` against `reference`. Layer lists are those that `train --method` uses, with thinner layers where PyTorch's
 * full ones would take long.
 */
import { afterAll, describe, expect, test } from 'vitest';
import type { Batch, Device, InputShape, Layer, Method, Network, TrainerOptions } from '../../src/engine/types.js';
import { openDevice } from '../../src/index.js';
import { architecture } from '../../src/models/architectures.js';
import { autoencoder, classifier, encoder } from '../../src/models/baselines.js';
import { golden, norm, relativeDistance, tolerances } from './files.js';
import { values } from './formula.js';

interface Summary {
  count: number;
  norm: number;
  changeNorm: number;
  projections: number[];
  entries: number[];
  /** PyTorch's float32 against its float64, the largest of four settings. */
  float32Distance: number;
}

interface BaselineGolden {
  method: Method;
  model: string;
  input: InputShape;
  batch: number;
  thin: number;
  classes: number;
  optimiser: TrainerOptions['optimiser'] & { lr: number };
  losses: number[];
  gradients: Record<string, Summary>;
  tensors: Record<string, Summary>;
}

const CASES = [
  'hsc-cnn28',
  'ae-cnn28',
  'dsvdd-cnn28',
  'classify-cnn28',
  'hsc-cnn32',
  'ae-cnn32',
  'ae-cnn32-lw3k',
  'ae-cnn224',
  'hsc-vgg11-nopt',
];
const STEPS = 5;
const TIMEOUT = 240_000;

const reference: Device = openDevice('reference');
const cpu: Device = openDevice('cpu');
afterAll(() => {
  reference.dispose();
  cpu.dispose();
});

/** Hidden layers of a network, divided: all but the embedding and the image that a decoder makes. */
function thinned(layers: readonly Layer[], thin: number, model: string): Layer[] {
  const last = layers.findLastIndex((layer) => layer.kind === 'conv');
  return layers.map((layer, index) => {
    if (layer.kind !== 'conv' || layer.name === 'fc_final') return layer;
    if (index === last && !model.startsWith('vgg')) return layer;
    return { ...layer, filters: Math.max(1, Math.floor(layer.filters / thin)) };
  });
}

function layersOf({ method, model, input, thin, classes }: BaselineGolden): Layer[] {
  if (method === 'classify') return classifier(architecture(model).layers({ bias: true }), classes);
  const make = method === 'ae' ? autoencoder : encoder;
  return thinned(make(model, { input, bias: method !== 'dsvdd' }), thin, model);
}

async function initialise(network: Network): Promise<void> {
  for (const { name, shape } of network.tensors) {
    const count = shape.reduce((a, b) => a * b, 1);
    const layer = name.slice(0, name.lastIndexOf('.'));
    const weight = network.tensors.find((tensor) => tensor.name === `${layer}.weight`);
    const fanIn = weight && weight.shape.length === 4 ? weight.shape.slice(1).reduce((a, b) => a * b, 1) : null;
    if (name.endsWith('running_mean')) await network.set(name, new Float64Array(count));
    else if (name.endsWith('running_var')) await network.set(name, new Float64Array(count).fill(1));
    else if (fanIn !== null) await network.set(name, values(name, count, 1 / Math.sqrt(fanIn)));
    else await network.set(name, values(name, count, 0.25, name.endsWith('.weight') ? 1 : 0));
  }
}

function batchOf(run: BaselineGolden, step: number): Batch {
  const { channels, height, width } = run.input;
  const classes = run.method === 'classify' ? run.classes : 2;
  return {
    count: run.batch,
    pixels: values(`x/${step}`, run.batch * height * width * channels, 1.75),
    labels: Uint8Array.from({ length: run.batch }, (_, i) => (i + step) % classes),
  };
}

async function snapshot(network: Network): Promise<Record<string, Float64Array>> {
  const found: Record<string, Float64Array> = {};
  for (const { name } of network.tensors) found[name] = await network.get(name);
  return found;
}

async function repeat(device: Device, run: BaselineGolden) {
  using network = device.createNetwork(layersOf(run), run.input);
  await initialise(network);
  const before = await snapshot(network);
  const { lr, ...optimiser } = run.optimiser;
  const centre = run.method === 'dsvdd' ? { centre: Array.from(values('centre', 48, 0.5)) } : {};
  const objective = { pixelwise: false, method: run.method, ...centre };
  using trainer = network.createTrainer({ batch: run.batch, objective, optimiser, seed: 0 });
  const { gradients } = await trainer.gradients(batchOf(run, 0));
  const losses: number[] = [];
  for (let step = 0; step < STEPS; step++) losses.push((await trainer.trainStep(batchOf(run, step), lr)).loss);
  return { losses, gradients, before, after: await snapshot(network) };
}

const subtract = (a: Float64Array, b: Float64Array): Float64Array => a.map((value, i) => value - (b[i] ?? Number.NaN));

/** The largest error that a summary can show, relative to the size it names. */
function distance(name: string, change: Float64Array, expected: Summary): number {
  if (change.length !== expected.count) return Number.NaN;
  const errors = [Math.abs(norm(change) - expected.changeNorm)];
  expected.projections.forEach((projection, k) => {
    const vector = values(`projection/${k}/${name}`, change.length);
    errors.push(Math.abs(change.reduce((sum, value, i) => sum + value * vector[i]!, 0) - projection));
  });
  const picked = expected.entries.map((_, j) => {
    return change[expected.entries.length === change.length ? j : Math.floor((j * change.length) / 64)]!;
  });
  errors.push(norm(subtract(Float64Array.from(picked), Float64Array.from(expected.entries))));
  return Math.max(...errors) / (expected.norm || 1);
}

/** Deep nets decide at kinks and ties by rounding: there PyTorch's own float32 sets the scale. */
const cpuBound = ({ float32Distance }: Summary): number =>
  Math.max(tolerances.baselineFloat32, 3 * float32Distance);

describe.each(CASES)('%s', (name) => {
  test(
    'loss, gradients and five steps',
    async () => {
      const run = golden<BaselineGolden>(`baseline-${name}.json`);
      const truth = await repeat(reference, run);
      expect(Object.keys(truth.after).sort()).toEqual(Object.keys(run.tensors).sort());
      expect(Object.keys(truth.gradients).sort()).toEqual(Object.keys(run.gradients).sort());
      expect(relativeDistance(truth.losses, run.losses)).toBeLessThan(tolerances.fiveStepsFloat64);
      for (const [tensor, expected] of Object.entries(run.gradients))
        expect(distance(tensor, truth.gradients[tensor]!, expected), tensor).toBeLessThan(tolerances.fiveStepsFloat64);
      for (const [tensor, expected] of Object.entries(run.tensors)) {
        const change = subtract(truth.after[tensor]!, truth.before[tensor]!);
        expect(distance(tensor, change, expected), tensor).toBeLessThan(tolerances.fiveStepsFloat64);
      }
      const fast = await repeat(cpu, run);
      expect(relativeDistance(fast.losses, truth.losses)).toBeLessThan(tolerances.baselineFloat32);
      for (const [tensor, expected] of Object.entries(run.gradients))
        expect(relativeDistance(fast.gradients[tensor]!, truth.gradients[tensor]!), tensor).toBeLessThan(
          cpuBound(expected),
        );
      for (const [tensor, expected] of Object.entries(run.tensors))
        expect(relativeDistance(fast.after[tensor]!, truth.after[tensor]!), tensor).toBeLessThan(
          cpuBound(expected),
        );
    },
    TIMEOUT,
  );
});
