import type { Device, InferOptions, InferResult, Network, Pipeline, StoredImages } from './engine/types.js';
import { FcddError } from './errors.js';

/** Of one run; beyond it larger batches gain nothing, and memory would grow with the requests that wait. */
const MOST_TOGETHER = 8;

/** Pixels at the size that the model stores pictures at. */
export interface QueuedImage {
  pixels: Uint8Array;
  height: number;
  width: number;
}

interface Waiting {
  image: QueuedImage;
  signal: AbortSignal | undefined;
  resolve(scored: ScoredImage): void;
  reject(error: unknown): void;
}

export interface ScoredImage {
  score: number;
  /** Heatmap at the network's input size, blurred where the method asks for it. */
  map: Float32Array;
}

/**
 * Pictures that wait for the device. One that comes alone runs at once; those that come while it runs go together next,
 * which takes less time than one after the other and gives each the same bits.
 */
export class DetectorQueue {
  readonly #device: Device;
  readonly #network: Network;
  readonly #pipeline: Pipeline;
  readonly #options: InferOptions;
  readonly #waiting: Waiting[] = [];
  #running = false;

  constructor(device: Device, network: Network, pipeline: Pipeline, options: InferOptions) {
    this.#device = device;
    this.#network = network;
    this.#pipeline = pipeline;
    this.#options = { ...options, maps: true };
  }

  /** @throws FcddError FCDD_ABORTED when the signal says so before the result is there, and whatever inference throws */
  infer(image: QueuedImage, signal?: AbortSignal): Promise<ScoredImage> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ image, signal, resolve, reject });
      void this.#drain();
    });
  }

  async #drain(): Promise<void> {
    if (this.#running) return;
    this.#running = true;
    while (this.#waiting.length > 0) {
      const together = this.#waiting.splice(0, MOST_TOGETHER).filter((item) => !rejectAborted(item));
      if (together.length > 0) await this.#settle(together);
    }
    this.#running = false;
  }

  async #settle(items: readonly Waiting[]): Promise<void> {
    try {
      const scored = await this.#run(items);
      items.forEach((item, index) => {
        if (!rejectAborted(item)) item.resolve(scored[index]!);
      });
    } catch (error) {
      if (items.length === 1) items[0]!.reject(error);
      // One that cannot be scored is no reason to fail the others.
      else for (const item of items) await this.#settle([item]);
    }
  }

  async #run(items: readonly Waiting[]): Promise<ScoredImage[]> {
    using store = this.#device.createImageStore(stored(items, this.#pipeline.channels));
    const count = items.length;
    const signal = count === 1 ? items[0]!.signal : undefined;
    const options = signal ? { ...this.#options, signal } : this.#options;
    const result = await this.#network.inferImages(store, this.#pipeline, { first: 0, count }, options);
    return split(result, count);
  }
}

/** Whether it was aborted; it is then rejected. */
function rejectAborted({ signal, reject }: Waiting): boolean {
  if (!signal?.aborted) return false;
  reject(new FcddError('FCDD_ABORTED', 'The prediction was aborted', { cause: signal.reason }));
  return true;
}

function stored(items: readonly Waiting[], channels: 1 | 3): StoredImages {
  if (items.length === 1) {
    const { pixels, height, width } = items[0]!.image;
    return { channels, bytes: pixels, images: [{ pixels: 0, mask: null, height, width, label: 0 }] };
  }
  const bytes = new Uint8Array(items.reduce((sum, { image }) => sum + image.pixels.length, 0));
  let offset = 0;
  const images = items.map(({ image: { pixels, height, width } }) => {
    bytes.set(pixels, offset);
    offset += pixels.length;
    return { pixels: offset - pixels.length, mask: null, height, width, label: 0 };
  });
  return { channels, bytes, images };
}

function split({ scores, maps, blurred }: InferResult, count: number): ScoredImage[] {
  const all = blurred ?? maps!;
  const size = all.length / count;
  return Array.from(scores, (score, index) => ({
    score,
    map: count === 1 ? all : all.slice(index * size, (index + 1) * size),
  }));
}
