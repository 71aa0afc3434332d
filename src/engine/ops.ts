/**
 * Every step of the engine by itself, on host arrays: for tests, benchmarks and other people's networks.
 *
 * Layouts: activations N×H×W×C, weights K×C×k×k ("OIHW"), maps N×u×v. Inputs are Float32Array or Float64Array, copied
 * at the call; results are Float64Array whatever the device computes in. A call uploads, runs one step and downloads:
 * for training, a Trainer keeps everything on the device.
 * Errors reject with FCDD_INVALID_ARGUMENT and name the argument.
 */
import { call, callAsync, type Entry, unsharedFields } from './call.js';
import { nativeDevice, openDevice } from './device.js';
import { native } from './native.js';
import type { CpuIsa, Device, InputShape, Layer, ReceptiveField } from './types.js';

export type Values = Float32Array | Float64Array;

/** Square kernel, symmetric zero padding (default 0), stride 1 (default) or 2. */
export interface ConvProblem {
  batch: number;
  height: number;
  width: number;
  channels: number;
  filters: number;
  kernel: number;
  stride?: number;
  padding?: number;
}

export interface PoolWindow {
  kernel: number;
  /** Default: the kernel. */
  stride?: number;
  padding?: number;
}

/** y = pool(act(norm(x))), each part optional. */
export interface PostProblem {
  batch: number;
  height: number;
  width: number;
  channels: number;
  /** 'batch': with mean and invStd of the batch; 'running': with running mean and variance. Default 'none'. */
  norm?: 'none' | 'batch' | 'running';
  /** Leaky ReLU, 0: ReLU. Absent: no activation. */
  slope?: number;
  /** Default 1e-5. */
  eps?: number;
  /** Of the running statistics, default 0.1. */
  momentum?: number;
  pool?: PoolWindow;
}

/** inHeight×inWidth -> height×width; jump, taps (extent) and shift (⌊start⌋) come from the receptive field. */
export interface UpsampleProblem {
  batch: number;
  inHeight: number;
  inWidth: number;
  height: number;
  width: number;
  taps: number;
  jump: number;
  shift?: number;
}

/** A map without upsampling. */
export interface MapProblem {
  batch: number;
  inHeight: number;
  inWidth: number;
}

export type UpdateRule = { step: number; lr: number; weightDecay?: number } & (
  | { kind: 'sgd'; momentum?: number }
  | { kind: 'adam'; beta1?: number; beta2?: number; eps?: number }
);

function run<T>(entry: Entry, name: string, device: Device, problem: object, operands: object): Promise<T> {
  return callAsync(
    entry,
    () => nativeDevice(device).op(name, problem, unsharedFields(operands)) as Promise<T>,
  );
}

/**
 * y = act(conv(x, w) + bias). `slope` asks for a leaky ReLU, `sums` for N×2×K: per image and filter the sum and the
 * sum of squared deviations from the image's own mean, which batchNormStats takes.
 */
export function conv2d(
  device: Device,
  problem: ConvProblem,
  operands: { x: Values; w: Values; bias?: Values; slope?: number; sums?: boolean },
): Promise<{ y: Float64Array; sums?: Float64Array }> {
  return run(conv2d, 'conv2d', device, problem, operands);
}

export function conv2dInputGrad(
  device: Device,
  problem: ConvProblem,
  operands: { dy: Values; w: Values },
): Promise<{ dx: Float64Array }> {
  return run(conv2dInputGrad, 'conv2dInputGrad', device, problem, operands);
}

/** `bias` asks for dbias. */
export function conv2dWeightGrad(
  device: Device,
  problem: ConvProblem,
  operands: { x: Values; dy: Values; bias?: boolean },
): Promise<{ dw: Float64Array; dbias?: Float64Array }> {
  return run(conv2dWeightGrad, 'conv2dWeightGrad', device, problem, operands);
}

/** Folds a batch normalisation with running statistics into the convolution before it; w has filters × fanIn values. */
export function conv2dFold(
  device: Device,
  problem: { filters: number; fanIn: number; eps?: number },
  operands: {
    w: Values;
    bias?: Values;
    gamma?: Values;
    beta?: Values;
    runningMean: Values;
    runningVar: Values;
  },
): Promise<{ w: Float64Array; bias: Float64Array }> {
  return run(conv2dFold, 'conv2dFold', device, problem, operands);
}

/** Statistics of a batch (of x, or of the sums that conv2d made) and the running statistics after it. */
export function batchNormStats(
  device: Device,
  problem: PostProblem,
  operands: { runningMean: Values; runningVar: Values } & ({ x: Values } | { sums: Values }),
): Promise<{
  mean: Float64Array;
  invStd: Float64Array;
  runningMean: Float64Array;
  runningVar: Float64Array;
}> {
  return run(batchNormStats, 'batchNormStats', device, problem, operands);
}

/** Normalisation, activation and pooling in one pass. `argmax`: the winner's index within its window (row-major). */
export function post(
  device: Device,
  problem: PostProblem,
  operands: { x: Values; mean?: Values; invStd?: Values; variance?: Values; gamma?: Values; beta?: Values },
): Promise<{ y: Float64Array; argmax?: Uint8Array }> {
  return run(post, 'post', device, problem, operands);
}

/** Gradient of `post` through the batch statistics too; dgamma and dbeta where gamma and beta are given. */
export function postBackward(
  device: Device,
  problem: PostProblem,
  operands: {
    dy: Values;
    x: Values;
    mean?: Values;
    invStd?: Values;
    gamma?: Values;
    beta?: Values;
    argmax?: Uint8Array;
  },
): Promise<{ dx: Float64Array; dgamma?: Float64Array; dbeta?: Float64Array }> {
  return run(postBackward, 'postBackward', device, problem, operands);
}

/** Max pooling; ties go to the first element of the window in row-major order, padding never wins. */
export function maxPool(
  device: Device,
  problem: { batch: number; height: number; width: number; channels: number } & PoolWindow,
  operands: { x: Values },
): Promise<{ y: Float64Array; argmax: Uint8Array }> {
  const { batch, height, width, channels, ...pool } = problem;
  return run(maxPool, 'post', device, { batch, height, width, channels, pool }, operands);
}

/**
 * The FCDD objective (Liznerski et al., ICLR 2021, section 3): loss per sample and dz, the gradient of their mean.
 * With `taps` pixel-wise on the upsampled map with masks (N×H×W of 0 and 1), else sample-wise.
 */
export function fcddLoss(
  device: Device,
  problem: MapProblem | UpsampleProblem,
  operands: { z: Values; labels: Uint8Array; taps?: Values; masks?: Uint8Array },
): Promise<{ losses: Float64Array; dz: Float64Array }> {
  return run(fcddLoss, 'fcddLoss', device, problem, operands);
}

/** Mean of the pseudo-Huber map A per image; A itself with `low`; A upsampled with `taps`. */
export function score(
  device: Device,
  problem: MapProblem | UpsampleProblem,
  operands: { z: Values; taps?: Values; low?: boolean },
): Promise<{ scores: Float64Array; low?: Float64Array; maps?: Float64Array }> {
  return run(score, 'score', device, problem, operands);
}

/** Gaussian transposed upsampling of x (N×u×v) to y (N×H×W). */
export function gaussianUpsample(
  device: Device,
  problem: UpsampleProblem,
  operands: { x: Values; taps: Values },
): Promise<{ y: Float64Array }> {
  return run(gaussianUpsample, 'gaussianUpsample', device, problem, operands);
}

/** Its adjoint: x is the gradient of the output (N×H×W), y that of the input (N×u×v). */
export function gaussianUpsampleBackward(
  device: Device,
  problem: UpsampleProblem,
  operands: { x: Values; taps: Values },
): Promise<{ y: Float64Array }> {
  return run(gaussianUpsampleBackward, 'gaussianUpsampleBackward', device, problem, operands);
}

/** One optimiser step, number `step` counting from 1. SGD is Nesterov's; m and v are its state (v: Adam only). */
export function update(
  device: Device,
  rule: UpdateRule,
  operands: { w: Values; grad: Values; m: Values; v?: Values },
): Promise<{ w: Float64Array; m: Float64Array; v?: Float64Array }> {
  return run(update, 'update', device, rule, operands);
}

/** Operations that `time` knows. */
export type TimedOp =
  | 'conv2d'
  | 'conv2dInputGrad'
  | 'conv2dWeightGrad'
  | 'post'
  | 'postBackward'
  | 'gaussianUpsample'
  | 'update';

/**
 * Runs one operation `calls` times more on operands that stay on the device, for benchmarks.
 * @returns its results and the milliseconds of each of these calls
 */
export async function time(
  device: Device,
  name: TimedOp,
  problem: object,
  operands: object,
  calls: number,
): Promise<{ results: Record<string, Float64Array | Uint8Array>; milliseconds: number[] }> {
  const { milliseconds, ...results } = await callAsync(time, () =>
    nativeDevice(device).op(name, problem, unsharedFields(operands), calls),
  );
  return { results, milliseconds: Array.from((milliseconds as Float64Array | undefined) ?? []) };
}

/**
 * What a cpu device can reach, measured now with its threads and instruction set: GFLOP/s of fused multiply-adds in
 * registers, and GB/s of copying memory (read and written bytes).
 */
export async function peaks(device: Device): Promise<{ gflops: number; gigabytes: number }> {
  const { gflops, gigabytes } = await callAsync(peaks, () => nativeDevice(device).op('peaks', {}, {}));
  return { gflops: gflops![0]!, gigabytes: gigabytes![0]! };
}

/** Receptive field after the last layer. */
export function receptiveField(layers: readonly Layer[], input: InputShape): ReceptiveField {
  return call(receptiveField, () => native().receptiveField(layers, input));
}

/** Output shape of each layer. */
export function outputShapes(layers: readonly Layer[], input: InputShape): InputShape[] {
  return call(outputShapes, () => native().outputShapes(layers, input));
}

/** The 1-D kernel of the upsampling: `extent` values, peak 1 for an odd extent, ½ for an even one. */
export function gaussianTaps(extent: number, sigma: number): Float64Array {
  return call(gaussianTaps, () => native().gaussianTaps(extent, sigma));
}

/** σ of the upsampling where a data set does not say. */
export function defaultSigma(extent: number): number {
  return call(defaultSigma, () => native().defaultSigma(extent));
}

/** The instruction sets that the cpu device can use in this process, and its default number of threads. */
export function cpuInfo(): { isas: CpuIsa[]; threads: number } {
  const usable = (isa: CpuIsa): boolean => {
    try {
      using device = openDevice('cpu', { isa, threads: 1 });
      return device.info.isa === isa; // FCDD_CPU_ISA may have forced another
    } catch {
      return false;
    }
  };
  using device = openDevice('cpu');
  return { isas: (['baseline', 'avx2', 'avx512'] as const).filter(usable), threads: device.info.threads };
}
