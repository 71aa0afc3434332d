/**
 * The addon as one typed interface, and its loader. Nothing outside src/engine sees these types.
 * The addon is loaded at the first use, so that help texts and pure TypeScript work without it.
 */
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { FcddError } from '../errors.js';
import type {
  AugmentedBatch,
  Batch,
  DeviceInfo,
  DeviceOptions,
  ImageStatistics,
  InferOptions,
  InferResult,
  InputShape,
  Layer,
  Pipeline,
  ReceptiveField,
  StepReport,
  StoredImages,
  TensorInfo,
  TensorMap,
  TrainerOptions,
} from './types.js';

export interface NativeAbortFlag {
  abort(): void;
}

export interface NativeImageStore {
  statistics(pipeline: Pipeline): Promise<ImageStatistics>;
  dispose(): void;
}

export type NativeTrainerOptions = Omit<TrainerOptions, 'images' | 'exposure'> & {
  images?: NativeImageStore;
  exposure?: NativeImageStore;
};

export interface NativeTrainer {
  facts(): { positions: number; stepsPerEpoch: number; reservedBytes: number };
  updates(): number;
  run(options: {
    epoch: number;
    first: number;
    steps: number;
    lr: number;
    abort?: NativeAbortFlag;
  }): Promise<StepReport>;
  trainStep(batch: Batch, lr: number): Promise<StepReport>;
  gradients(batch: Batch): Promise<{ report: StepReport; gradients: TensorMap }>;
  augment(epoch: number, first: number, count: number): Promise<AugmentedBatch>;
  timeAugment(epoch: number, first: number, count: number): Promise<number>;
  lastGradients(): Promise<TensorMap>;
  lastActivations(): Promise<TensorMap>;
  state(): Promise<TensorMap>;
  setState(state: TensorMap, updates: number): Promise<void>;
  dispose(): void;
}

export type NativeInferOptions = Omit<InferOptions, 'signal'> & { abort?: NativeAbortFlag };

export interface NativeNetwork {
  tensors(): TensorInfo[];
  get(name: string): Promise<Float64Array>;
  set(name: string, values: Float32Array | Float64Array): Promise<void>;
  initialise(seed: number): Promise<void>;
  infer(pixels: Float32Array | Float64Array, options: NativeInferOptions): Promise<InferResult>;
  inferImages(
    store: NativeImageStore,
    pipeline: Pipeline,
    range: { first: number; count: number },
    options: NativeInferOptions,
  ): Promise<InferResult>;
  trainingBytes(batch: number, options: { adam: boolean; pixelwise: boolean }): number;
  inferenceBytes(batch: number): number;
  createTrainer(options: NativeTrainerOptions): NativeTrainer;
  dispose(): void;
}

export type NativeDeviceName = DeviceInfo['name'];

export interface NativeDevice {
  readonly info: Omit<DeviceInfo, 'fallback'>;
  createNetwork(layers: readonly Layer[], input: InputShape): NativeNetwork;
  createImageStore(images: StoredImages): NativeImageStore;
  /** One step by itself; names, problems and operands are those of ops.ts. */
  op(
    name: string,
    problem: object,
    operands: object,
    calls?: number,
  ): Promise<Record<string, Float64Array | Uint8Array>>;
  dispose(): void;
}

export interface NativeAddon {
  openDevice(name: NativeDeviceName, options: DeviceOptions & { index?: number }): NativeDevice;
  /** The devices that come in libraries of their own, and their files; nothing is loaded. */
  deviceLibraries(): { device: NativeDeviceName; path: string }[];
  /** Loads a device's library; what it says of itself as JSON, empty when it says nothing. */
  libraryFacts(device: string): string;
  createAbortFlag(): NativeAbortFlag;
  receptiveField(layers: readonly Layer[], input: InputShape): ReceptiveField;
  outputShapes(layers: readonly Layer[], input: InputShape): InputShape[];
  gaussianTaps(extent: number, sigma: number): Float64Array;
  defaultSigma(extent: number): number;
}

/** Places of the addon, best first. FCDD_ADDON names another build, for example one with sanitizers. */
function candidates(): string[] {
  const forced = process.env.FCDD_ADDON;
  if (forced) return [forced];
  return ['Release', 'Debug'].map((type) =>
    fileURLToPath(new URL(`../../build/${type}/fcdd.node`, import.meta.url)),
  );
}

function firstLine(error: unknown): string {
  return String(error instanceof Error ? error.message : error).split('\n')[0] ?? '';
}

const remedy = [
  'Build it: npm rebuild fcdd-native --foreground-scripts (in a checkout: npm run build:addon).',
  'It needs CMake, g++ ≥ 11 or clang++ ≥ 14 and make (Debian, Ubuntu: apt-get install cmake g++ make).',
  'npm skips install scripts under --ignore-scripts.',
].join(' ');

/** Loads the first candidate that works; otherwise throws FCDD_NO_ADDON with everything that was tried. */
export function loadAddon(paths: string[]): NativeAddon {
  const require = createRequire(import.meta.url);
  const tried: string[] = [];
  for (const path of paths) {
    try {
      return require(path) as NativeAddon;
    } catch (error) {
      tried.push(`  ${path}: ${firstLine(error)}`);
    }
  }
  const where = `${process.platform}-${process.arch}, Node ${process.version}`;
  throw new FcddError('FCDD_NO_ADDON', `The native addon cannot be loaded (${where}):\n${tried.join('\n')}`, {
    hint: remedy,
  });
}

let loaded: NativeAddon | undefined;

export function native(): NativeAddon {
  loaded ??= loadAddon(candidates());
  return loaded;
}
