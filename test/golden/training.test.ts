/**
 * Five training steps of each architecture family: `reference` against PyTorch in float64, `cpu` against `reference`.
 * Every parameter and running statistic is compared.
 */
import { afterAll, describe, expect, test } from 'vitest';
import type { Device } from '../../src/engine/types.js';
import { openDevice } from '../../src/index.js';
import { golden, norm, relativeDistance, type TensorChange, type TrainingGolden, tolerances } from './files.js';
import { values } from './formula.js';
import { repeatTraining, type TrainingOutcome } from './training-run.js';

const MODELS = [
  'cnn28',
  'cnn28-pixelwise',
  'cnn28-w',
  'cnn32',
  'cnn32-s',
  'cnn32-lw3k',
  'cnn224-pixelwise',
  'vgg11-nopt',
  'vgg11-f',
];
const OPTIMISERS = ['sgd', 'adam'] as const;
const TIMEOUT = 240_000;

const reference: Device = await openDevice('reference');
const cpu: Device = await openDevice('cpu');
afterAll(() => {
  reference.dispose();
  cpu.dispose();
});

function subtract(a: Float64Array, b: Float64Array): Float64Array {
  return a.map((value, i) => value - (b[i] ?? Number.NaN));
}

/** The largest of the errors that the summary of one tensor can show, relative to the norm of its values. */
function distanceFromSummary(name: string, change: Float64Array, expected: TensorChange): number {
  const errors = [Math.abs(norm(change) - expected.changeNorm)];
  expected.projections.forEach((projection, k) => {
    const vector = values(`projection/${k}/${name}`, change.length);
    const product = change.reduce((sum, value, i) => sum + value * (vector[i] ?? Number.NaN), 0);
    errors.push(Math.abs(product - projection));
  });
  const picked = expected.entries.map((_, j) => {
    const index = expected.entries.length === change.length ? j : Math.floor((j * change.length) / 64);
    return change[index] ?? Number.NaN;
  });
  errors.push(norm(subtract(Float64Array.from(picked), Float64Array.from(expected.entries))));
  return Math.max(...errors) / (expected.norm || 1);
}

function expectEqualsGolden(outcome: TrainingOutcome, run: TrainingGolden): void {
  expect(Object.keys(outcome.after).sort()).toEqual(Object.keys(run.tensors).sort());
  expect(relativeDistance(outcome.losses, run.losses)).toBeLessThan(tolerances.fiveStepsFloat64);
  for (const [name, expected] of Object.entries(run.tensors)) {
    const change = subtract(outcome.after[name] as Float64Array, outcome.before[name] as Float64Array);
    expect(change.length, name).toBe(expected.count);
    expect(distanceFromSummary(name, change, expected), name).toBeLessThan(tolerances.fiveStepsFloat64);
  }
}

/** Adam divides by the gradient's size, so rounding noise near 0 grows: PyTorch's own float32 sets the scale. */
function cpuTolerance(kind: 'sgd' | 'adam', expected: TensorChange): number {
  if (kind === 'sgd') return tolerances.fiveStepsFloat32Sgd;
  return Math.max(tolerances.fiveStepsFloat32Adam, 3 * expected.float32Distance);
}

describe.each(MODELS)('%s', (model) => {
  test.each(OPTIMISERS)(
    'five steps with %s',
    async (kind) => {
      const run = golden<TrainingGolden>(`training-${model}-${kind}.json`);
      const truth = await repeatTraining(reference, run);
      expectEqualsGolden(truth, run);
      const fast = await repeatTraining(cpu, run);
      for (const [name, expected] of Object.entries(run.tensors)) {
        const distance = relativeDistance(fast.after[name] ?? [], truth.after[name] ?? []);
        expect(distance, name).toBeLessThan(cpuTolerance(kind, expected));
      }
    },
    TIMEOUT,
  );
});
