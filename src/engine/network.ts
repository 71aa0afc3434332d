/** A network on a device: weights by name, inference, trainers. */
import { call, callAsync, frozenCopy, unshared, withSignal } from './call.js';
import type { NativeDevice, NativeNetwork } from './native.js';
import { nativeStore } from './store.js';
import { createTrainer } from './trainer.js';
import type {
  ImageStore,
  InferOptions,
  InferResult,
  InputShape,
  Layer,
  Network,
  Pipeline,
  TensorInfo,
  Trainer,
  TrainerOptions,
} from './types.js';

class DeviceNetwork implements Network {
  readonly layers: readonly Layer[];
  readonly input: InputShape;
  readonly #native: NativeNetwork;
  #tensors: readonly TensorInfo[] | undefined;

  constructor(native: NativeNetwork, layers: readonly Layer[], input: InputShape) {
    this.#native = native;
    this.layers = frozenCopy(layers);
    this.input = frozenCopy(input);
  }

  get tensors(): readonly TensorInfo[] {
    this.#tensors ??= call(call, () => frozenCopy(this.#native.tensors()));
    return this.#tensors;
  }

  get(name: string): Promise<Float64Array> {
    return callAsync(this.get, () => this.#native.get(name));
  }

  set(name: string, values: Float32Array | Float64Array): Promise<void> {
    return callAsync(this.set, () => this.#native.set(name, unshared(values)));
  }

  initialise(seed: number): Promise<void> {
    return callAsync(this.initialise, () => this.#native.initialise(seed));
  }

  infer(pixels: Float32Array | Float64Array, options: InferOptions = {}): Promise<InferResult> {
    return callAsync(this.infer, () => {
      const { signal, ...rest } = options;
      return withSignal(signal, (flag) => this.#native.infer(unshared(pixels), { ...rest, ...flag }));
    });
  }

  inferImages(
    store: ImageStore,
    pipeline: Pipeline,
    range: { first: number; count: number },
    options: InferOptions = {},
  ): Promise<InferResult> {
    return callAsync(this.inferImages, () => {
      const { signal, ...rest } = options;
      const images = nativeStore(store, 'store');
      return withSignal(signal, (flag) =>
        this.#native.inferImages(images, pipeline, range, { ...rest, ...flag }),
      );
    });
  }

  trainingBytes(batch: number, options: { adam: boolean; pixelwise: boolean }): number {
    return call(this.trainingBytes, () => this.#native.trainingBytes(batch, options));
  }

  inferenceBytes(batch: number): number {
    return call(this.inferenceBytes, () => this.#native.inferenceBytes(batch));
  }

  createTrainer(options: TrainerOptions): Trainer {
    return createTrainer(this.#native, options);
  }

  dispose(): void {
    this.#native.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}

export function createNetwork(device: NativeDevice, layers: readonly Layer[], input: InputShape): Network {
  return call(createNetwork, () => new DeviceNetwork(device.createNetwork(layers, input), layers, input));
}
