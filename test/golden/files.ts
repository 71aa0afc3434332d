/** Reads the golden files of this folder (README.md) and compares with them. */
import { readFileSync } from 'node:fs';
import type { InputShape, OptimiserOptions } from '../../src/engine/types.js';

export interface GoldenTensor {
  shape: number[];
  data: number[];
}

/** How one tensor changed over the five steps of a golden training run. */
export interface TensorChange {
  count: number;
  norm: number;
  changeNorm: number;
  projections: number[];
  entries: number[];
  float32Distance: number;
}

export interface TrainingGolden {
  model: string;
  input: InputShape;
  batch: number;
  pixelwise: boolean;
  sigma: number | null;
  optimiser: OptimiserOptions & { lr: number };
  losses: number[];
  tensors: Record<string, TensorChange>;
}

export interface Tolerances {
  opFloat32: number;
  opFloat64: number;
  fiveStepsFloat64: number;
  fiveStepsFloat32Sgd: number;
  fiveStepsFloat32Adam: number;
  foldFloat32: number;
  halfPrecision: number;
  /** Our engine beside onnxruntime, both float32. */
  runtimeFloat32: number;
  recoveredInference: number;
  /** Of γ and β estimated from the images of the true statistics: ε is what is left out. */
  recoveredNorm: number;
  recoveredNormOtherImages: number;
  baselineFloat32: number;
}

function readJson(url: URL): unknown {
  return JSON.parse(readFileSync(url, 'utf8'));
}

/** The content of test/golden/<name>. */
export function golden<T>(name: string): T {
  return readJson(new URL(name, import.meta.url)) as T;
}

export const tolerances = readJson(new URL('../tolerances.json', import.meta.url)) as Tolerances;

export function norm(values: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += (values[i] ?? Number.NaN) ** 2;
  return Math.sqrt(sum);
}

/** ‖a − b‖ / ‖b‖ (‖a − b‖ where b is all zeros); NaN when the lengths differ. */
export function relativeDistance(a: ArrayLike<number>, b: ArrayLike<number>): number {
  if (a.length !== b.length) return Number.NaN;
  const difference = norm(Float64Array.from({ length: a.length }, (_, i) => (a[i] ?? 0) - (b[i] ?? 0)));
  return difference / (norm(b) || 1);
}
