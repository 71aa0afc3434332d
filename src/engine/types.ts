/**
 * The engine as TypeScript sees it. Activations and pixels are NHWC, convolution weights OIHW, everywhere.
 * The classes that implement these interfaces wrap the native addon; no native handle leaks out of src/engine.
 */

/** A layer of a network; see native/include/fcdd/layers.h. A frozen prefix gets no gradients. */
export type Layer =
  | {
      kind: 'conv';
      name: string;
      filters: number;
      kernel: number;
      stride?: number;
      padding?: number;
      bias?: boolean;
      frozen?: boolean;
      /** How `initialise` draws the weights; default: as PyTorch. See native/include/fcdd/layers.h. */
      init?: 'default' | 'xavier' | 'kaiming' | 'small-normal';
      /** Stands for a transposed convolution of stride 1: matters to `initialise` alone. */
      transposed?: boolean;
    }
  | { kind: 'batchnorm'; name: string; eps?: number; momentum?: number; affine?: boolean; frozen?: boolean }
  | { kind: 'relu'; frozen?: boolean }
  | { kind: 'lrelu'; slope?: number; frozen?: boolean }
  | { kind: 'maxpool'; kernel: number; stride?: number; padding?: number; frozen?: boolean }
  /** Values in the order channel, row, column, as PyTorch's view; a vector has height and width 1. */
  | { kind: 'reshape'; channels: number; height: number; width: number; frozen?: boolean }
  /** Adaptive average pooling to this size. */
  | { kind: 'averagepool'; height: number; width: number; frozen?: boolean }
  /** In training alone. */
  | { kind: 'dropout'; probability?: number; frozen?: boolean }
  /** Doubles height and width. */
  | { kind: 'nearest'; frozen?: boolean }
  | { kind: 'sigmoid'; frozen?: boolean };

/**
 * What a network is trained for. fcdd: its output is the heatmap. hsc: hypersphere classification; ae: autoencoder;
 * dsvdd: Deep SVDD, one-class; classify: softmax cross-entropy over classes. All but fcdd run on cpu and reference.
 */
export type Method = 'fcdd' | 'hsc' | 'ae' | 'dsvdd' | 'classify';

export interface InputShape {
  channels: number;
  height: number;
  width: number;
}

/** Output extent, jump, extent and start of the receptive field after the last layer. */
export interface ReceptiveField {
  height: number;
  width: number;
  jump: number;
  extent: number;
  start: number;
}

/**
 * 'auto': the first GPU if there is one that works, else the cpu. 'reference': float64, slow, exact. 'cuda:1': the second
 * GPU. 'cuda-emulated': the CUDA kernels run by the processor, thousands of times slower; for tests of this package only.
 */
export type DeviceName = 'auto' | 'cpu' | 'reference' | 'cuda' | `cuda:${number}` | 'cuda-emulated';
export type CpuIsa = 'baseline' | 'avx2' | 'avx512';
/**
 * Of the operands of convolutions; everything else is float32. On the cpu (with AVX-512 BF16): bf16 for the 3×3
 * convolutions of stride 1, forward and input gradient, about 1 % off and twice as fast; the others stay float32.
 */
export type Precision = 'float32' | 'tf32' | 'bf16';

export interface DeviceOptions {
  /** Worker threads; default: least of CPU affinity, cgroup quota and physical cores. */
  threads?: number;
  /** Forces an instruction set (the environment variable FCDD_CPU_ISA does the same). */
  isa?: CpuIsa;
  /** Default: tf32 on a GPU that has tensor cores for it, else float32. The cpu has float32 and, on some machines, bf16. */
  precision?: Precision;
}

export interface DeviceInfo {
  name: 'cpu' | 'reference' | 'cuda' | 'cuda-emulated';
  detail: string;
  /** What changes rounding: the instruction set, or architecture and precision. */
  isa: string;
  threads: number;
  /** 8: computes in float64, 4: in float32. */
  realBytes: number;
  /** Why 'auto' took the cpu; null when the device was asked for by name or is a GPU. */
  fallback: string | null;
}

/**
 * Images as bytes. `images[i]` names where in `bytes` its pixels (H×W×C, interleaved), mask (H×W, 0|1) and foreground
 * (H×W, 1 where the object is; absent or null: everywhere) lie; its label is 0 (normal) or 1 (anomalous), or for the
 * method `classify` the class, up to 255.
 */
export interface StoredImages {
  channels: 1 | 3;
  bytes: Uint8Array;
  images: {
    pixels: number;
    mask: number | null;
    height: number;
    width: number;
    label: number;
    foreground?: number | null;
  }[];
}

export interface Jitter {
  brightness: number;
  contrast: number;
  saturation: number;
  hue: number;
}

/** The input pipeline as data: stages in the order of native/include/fcdd/augment.h. */
export interface Pipeline {
  height: number;
  width: number;
  channels: 1 | 3;
  /** Nearest-neighbour resize before the crop. */
  resize?: { height: number; width: number };
  /** Zeros added on each side before the crop. */
  pad?: number;
  randomCrop?: boolean;
  /** With probability ½ no crop but a nearest resize of the stored image to height×width. */
  orResize?: boolean;
  flip?: boolean;
  /** One of these (one or two), equally likely. */
  jitter?: Jitter[];
  /** Jitter before the spatial stage. */
  jitterFirst?: boolean;
  noise?: { sigma: number; probability?: number; relative?: boolean; clamp?: boolean };
  /** L1 local contrast normalisation. */
  lcn?: boolean;
  /** (x − offset[c]) / scale[c] */
  offset: number[];
  scale: number[];
}

/** cut-paste and texture change an image and are none of their own: they go with the malformed modes alone. */
export type SyntheticNoise =
  | 'confetti'
  | 'gaussian'
  | 'uniform'
  | 'solid'
  | 'blob'
  | 'mixed-blob'
  | 'cut-paste'
  | 'texture';

export interface Supervision {
  mode: 'unsupervised' | 'noise' | 'malformed-normal' | 'malformed-normal-gt';
  /**
   * 'exposure': images of the exposure store ("other", outlier exposure, real anomalies). 'texture' takes its textures
   * from the exposure store, or from the images themselves where there is none.
   */
  source: SyntheticNoise | 'exposure';
  offline?: boolean;
  /** One value for all channels (grey images stored with three channels). */
  grey?: boolean;
  /** Probability of replacement when online; default ½. */
  probability?: number;
  /** Malformed modes: only pixels of an image's foreground change. */
  onObject?: boolean;
}

export interface ImageStatistics {
  mean: number[];
  std: number[];
  lcnMin: number[];
  lcnMax: number[];
}

export interface TensorInfo {
  name: string;
  shape: number[];
  trainable: boolean;
}

export interface InferOptions {
  /** σ of the Gaussian upsampling; default: by receptive field. */
  sigma?: number;
  /** Return the low-resolution maps A (count×u×v). */
  low?: boolean;
  /** Return the maps upsampled to the input size (count×H×W). */
  maps?: boolean;
  /** Default fcdd. hsc, dsvdd: the map is the gradient's absolute value; ae: the squared error, both summed up over channels. */
  method?: Method;
  /** dsvdd: one value per output. */
  centre?: number[];
  /** With maps of other methods than fcdd: also return them blurred by a Gaussian of this extent and `sigma`. */
  blur?: number;
  /** Return what the network says, channels-last. */
  outputs?: boolean;
  signal?: AbortSignal;
}

export interface InferResult {
  scores: Float64Array;
  low?: Float32Array;
  maps?: Float32Array;
  blurred?: Float32Array;
  outputs?: Float32Array;
}

export type OptimiserOptions =
  | { kind: 'sgd'; momentum?: number; weightDecay?: number }
  | { kind: 'adam'; beta1?: number; beta2?: number; eps?: number; weightDecay?: number };

export interface TrainerOptions {
  batch: number;
  objective: { pixelwise: boolean; sigma?: number; method?: Method; centre?: number[] };
  optimiser: OptimiserOptions;
  seed: number;
  images?: ImageStore;
  exposure?: ImageStore;
  pipeline?: Pipeline;
  supervision?: Supervision;
  /** The list of images counts this many times per epoch (MVTec: 10). */
  repeat?: number;
  /** 1: every label and mask of the data is swapped, so what `images` shows is pushed up (Pascal VOC). Default 0. */
  nominalLabel?: 0 | 1;
  /** All activations of a step survive it, for lastActivations(); costs memory. */
  keepActivations?: boolean;
  /**
   * Bytes that network, step and input pipeline may take together; image stores are not counted. Memory is then traded
   * for time (no bit changes), or creation throws FCDD_OUT_OF_MEMORY and says how much is needed.
   */
  memoryBudget?: number;
}

/** Means over the samples of the steps reported. `normal`/`anomalous` are null when there were none. */
export interface StepReport {
  steps: number;
  loss: number;
  normal: number | null;
  anomalous: number | null;
  normals: number;
  anomalies: number;
}

export interface Batch {
  count: number;
  pixels: Float32Array | Float64Array;
  labels: Uint8Array;
  masks?: Uint8Array;
}

export interface AugmentedBatch {
  pixels: Float32Array;
  bytes: Uint8Array;
  labels: Uint8Array;
  masks: Uint8Array;
}

export type TensorMap = Record<string, Float64Array>;

export interface Trainer extends Disposable {
  /** Samples per epoch. */
  readonly positions: number;
  readonly stepsPerEpoch: number;
  readonly updates: number;
  readonly reservedBytes: number;
  /** Runs steps [first, first+steps) of `epoch` natively in one call; an abort stops between steps. */
  run(options: {
    epoch: number;
    first: number;
    steps: number;
    lr: number;
    signal?: AbortSignal;
  }): Promise<StepReport>;
  /** One step on a batch from outside. */
  trainStep(batch: Batch, lr: number): Promise<StepReport>;
  /** Loss and gradients without an update. */
  gradients(batch: Batch): Promise<{ report: StepReport; gradients: TensorMap }>;
  /** What the pipeline makes of positions [first, first+count) of an epoch. */
  augment(epoch: number, first: number, count: number): Promise<AugmentedBatch>;
  /** Milliseconds in which the device makes a step's batch of them, without bringing it back. For benchmarks. */
  timeAugment(epoch: number, first: number, count: number): Promise<number>;
  lastGradients(): Promise<TensorMap>;
  lastActivations(): Promise<TensorMap>;
  /** Optimiser state ("momentum/<tensor>", "exp_avg/<tensor>", "exp_avg_sq/<tensor>") for checkpoints. */
  state(): Promise<TensorMap>;
  setState(state: TensorMap, updates: number): Promise<void>;
  dispose(): void;
}

export interface ImageStore extends Disposable {
  readonly count: number;
  readonly channels: 1 | 3;
  /** Constants of one's own data over all images of the store, after the given test pipeline (its affine ignored). */
  statistics(pipeline: Pipeline): Promise<ImageStatistics>;
  dispose(): void;
}

export interface Network extends Disposable {
  readonly layers: readonly Layer[];
  readonly input: InputShape;
  readonly tensors: readonly TensorInfo[];
  get(name: string): Promise<Float64Array>;
  set(name: string, values: Float32Array | Float64Array): Promise<void>;
  initialise(seed: number): Promise<void>;
  infer(pixels: Float32Array | Float64Array, options?: InferOptions): Promise<InferResult>;
  inferImages(
    store: ImageStore,
    pipeline: Pipeline,
    range: { first: number; count: number },
    options?: InferOptions,
  ): Promise<InferResult>;
  trainingBytes(batch: number, options: { adam: boolean; pixelwise: boolean }): number;
  inferenceBytes(batch: number): number;
  createTrainer(options: TrainerOptions): Trainer;
  dispose(): void;
}

export interface Device extends Disposable {
  readonly info: DeviceInfo;
  createNetwork(layers: readonly Layer[], input: InputShape): Network;
  createImageStore(images: StoredImages): ImageStore;
  dispose(): void;
}
