/** A trainer: batches are made, run and counted natively, many steps per call. */
import { call, callAsync, unsharedFields, withSignal } from './call.js';
import type { NativeNetwork, NativeTrainer } from './native.js';
import { nativeStore } from './store.js';
import type { AugmentedBatch, Batch, StepReport, TensorMap, Trainer, TrainerOptions } from './types.js';

class NetworkTrainer implements Trainer {
  readonly #native: NativeTrainer;

  constructor(native: NativeTrainer) {
    this.#native = native;
  }

  get positions(): number {
    return call(call, () => this.#native.facts().positions);
  }

  get stepsPerEpoch(): number {
    return call(call, () => this.#native.facts().stepsPerEpoch);
  }

  get reservedBytes(): number {
    return call(call, () => this.#native.facts().reservedBytes);
  }

  get updates(): number {
    return call(call, () => this.#native.updates());
  }

  run(options: {
    epoch: number;
    first: number;
    steps: number;
    lr: number;
    signal?: AbortSignal;
  }): Promise<StepReport> {
    return callAsync(this.run, () => {
      const { signal, ...rest } = options;
      return withSignal(signal, (flag) => this.#native.run({ ...rest, ...flag }));
    });
  }

  trainStep(batch: Batch, lr: number): Promise<StepReport> {
    return callAsync(this.trainStep, () => this.#native.trainStep(unsharedFields(batch), lr));
  }

  gradients(batch: Batch): Promise<{ report: StepReport; gradients: TensorMap }> {
    return callAsync(this.gradients, () => this.#native.gradients(unsharedFields(batch)));
  }

  augment(epoch: number, first: number, count: number): Promise<AugmentedBatch> {
    return callAsync(this.augment, () => this.#native.augment(epoch, first, count));
  }

  timeAugment(epoch: number, first: number, count: number): Promise<number> {
    return callAsync(this.timeAugment, () => this.#native.timeAugment(epoch, first, count));
  }

  lastGradients(): Promise<TensorMap> {
    return callAsync(this.lastGradients, () => this.#native.lastGradients());
  }

  lastActivations(): Promise<TensorMap> {
    return callAsync(this.lastActivations, () => this.#native.lastActivations());
  }

  state(): Promise<TensorMap> {
    return callAsync(this.state, () => this.#native.state());
  }

  setState(state: TensorMap, updates: number): Promise<void> {
    return callAsync(this.setState, () => this.#native.setState(unsharedFields(state), updates));
  }

  dispose(): void {
    this.#native.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}

export function createTrainer(network: NativeNetwork, options: TrainerOptions): Trainer {
  return call(createTrainer, () => {
    const { images, exposure, ...rest } = options;
    const native = network.createTrainer({
      ...rest,
      ...(images === undefined ? {} : { images: nativeStore(images, 'options.images') }),
      ...(exposure === undefined ? {} : { exposure: nativeStore(exposure, 'options.exposure') }),
    });
    return new NetworkTrainer(native);
  });
}
