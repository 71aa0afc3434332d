import type { Device, InferOptions, Network, Pipeline, StoredImages } from '../engine/types.js';

/** Scores and full-resolution heatmaps of a list of images. */
export interface Scored {
  scores: Float64Array;
  /** count × height × width, upsampled pseudo-Huber maps; empty unless asked for. */
  maps: Float32Array;
  height: number;
  width: number;
}

/** Images per call: enough to keep all threads busy, few enough to report progress. */
const chunk = 32;

/** The map of image `index`, a view without a copy. */
export function mapOf(scored: Scored, index: number): Float32Array {
  const size = scored.height * scored.width;
  return scored.maps.subarray(index * size, (index + 1) * size);
}

/** Scores and maps of the images at `indices`, in that order. */
export function scoredSubset(scored: Scored, indices: readonly number[]): Scored {
  const size = scored.height * scored.width;
  const maps = new Float32Array(scored.maps.length > 0 ? indices.length * size : 0);
  if (maps.length > 0) for (const [i, index] of indices.entries()) maps.set(mapOf(scored, index), i * size);
  return { ...scored, scores: Float64Array.from(indices, (index) => scored.scores[index]!), maps };
}

/**
 * Runs images through the test pipeline and the network, all on the device.
 * @throws FcddError FCDD_ABORTED when `signal` fires
 */
export async function scoreImages(
  device: Device,
  network: Network,
  images: StoredImages,
  pipeline: Pipeline,
  options: {
    sigma: number;
    maps: boolean;
    signal?: AbortSignal;
    onProgress?: (done: number, total: number) => void;
  },
): Promise<Scored> {
  const total = images.images.length;
  const { height, width } = network.input;
  const scored: Scored = {
    scores: new Float64Array(total),
    maps: new Float32Array(options.maps ? total * height * width : 0),
    height,
    width,
  };
  if (total === 0) return scored;
  using store = device.createImageStore(images);
  const infer: InferOptions = { sigma: options.sigma, maps: options.maps };
  if (options.signal) infer.signal = options.signal;
  for (let first = 0; first < total; first += chunk) {
    const count = Math.min(chunk, total - first);
    const result = await network.inferImages(store, pipeline, { first, count }, infer);
    scored.scores.set(result.scores, first);
    if (result.maps) scored.maps.set(result.maps, first * height * width);
    options.onProgress?.(first + count, total);
  }
  return scored;
}
