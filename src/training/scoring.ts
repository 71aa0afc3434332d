import type { Device, InferOptions, InferResult, Network, Pipeline, StoredImages } from '../engine/types.js';
import type { Scoring } from './methods.js';

/** Scores and full-resolution heatmaps of a list of images. */
export interface Scored {
  scores: Float64Array;
  /** count × height × width, heatmaps that figures are taken of; empty unless asked for. */
  maps: Float32Array;
  /** The same as pictures show them: with FCDD `maps` itself, with its baselines blurred. */
  pictures: Float32Array;
  height: number;
  width: number;
}

/** Room for the results of `total` images. */
export function emptyScored(
  total: number,
  height: number,
  width: number,
  options: { maps: boolean; scoring?: Scoring },
): Scored {
  const maps = new Float32Array(options.maps ? total * height * width : 0);
  const pictures = options.scoring?.blur ? new Float32Array(maps.length) : maps;
  return { scores: new Float64Array(total), maps, pictures, height, width };
}

/** Puts the maps of images `first` and following where they belong. */
export function addMaps(scored: Scored, first: number, result: InferResult): void {
  const offset = first * scored.height * scored.width;
  if (result.maps) scored.maps.set(result.maps, offset);
  if (result.blurred) scored.pictures.set(result.blurred, offset);
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
  const scores = Float64Array.from(indices, (index) => scored.scores[index]!);
  return { ...scored, scores, maps, pictures: maps };
}

/** The same of the maps that pictures show. */
export function pictureMapOf(scored: Scored, index: number): Float32Array {
  const size = scored.height * scored.width;
  return scored.pictures.subarray(index * size, (index + 1) * size);
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
    /** Of the network's method; default FCDD's. */
    scoring?: Scoring;
    signal?: AbortSignal;
    onProgress?: (done: number, total: number) => void;
  },
): Promise<Scored> {
  const total = images.images.length;
  const { height, width } = network.input;
  const scored = emptyScored(total, height, width, options);
  if (total === 0) return scored;
  using store = device.createImageStore(images);
  const infer: InferOptions = { ...options.scoring, sigma: options.sigma, maps: options.maps };
  if (options.signal) infer.signal = options.signal;
  for (let first = 0; first < total; first += chunk) {
    const count = Math.min(chunk, total - first);
    const result = await network.inferImages(store, pipeline, { first, count }, infer);
    scored.scores.set(result.scores, first);
    addMaps(scored, first, result);
    options.onProgress?.(first + count, total);
  }
  return scored;
}
