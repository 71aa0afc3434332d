import sharp from 'sharp';
import { decodeImage, openPicture, toChannels } from './data/index.js';
import { DetectorQueue } from './detector-queue.js';
import { openDevice } from './engine/index.js';
import type { Device, DeviceInfo, DeviceName, DeviceOptions, Network } from './engine/types.js';
import { FcddError } from './errors.js';
import { type ModelMetadata, readModel } from './models/index.js';
import { renderOverlay } from './reports/heatmaps.js';
import { type Scoring, scoringOfModel } from './training/methods.js';

/** Pixels without a file format: interleaved rows, 8 bits per value. */
export interface RawPixels {
  data: Uint8Array;
  width: number;
  height: number;
  channels: 1 | 3 | 4;
}

export interface Prediction {
  /** Mean of the pseudo-Huber map, or a baseline's own score; higher is more anomalous. */
  score: number;
  /** Null when the model has no threshold and none was given. */
  anomalous: boolean | null;
  threshold: number | null;
  /** Share of held-out normal images with a higher score: below 0.05 is unusual. Null without calibration. */
  pValue: number | null;
  /** Heatmap at the network's input size, row by row. */
  map: { data: Float32Array; height: number; width: number };
  /** The picture at its own size with the heatmap over it, as PNG, on the model's fixed scale. */
  overlay(): Promise<Buffer>;
  /** What the decoder had to do: alpha removed, 16 bits scaled … */
  warnings: string[];
}

export interface DetectorOptions extends DeviceOptions {
  device?: DeviceName;
  /** Overrides the model's calibrated threshold. */
  threshold?: number;
  /** Values of 16-bit images that mean black and white. */
  bitRange?: { low: number; high: number };
}

/**
 * A trained model, ready to score pictures. Safe to call from many requests at once: what comes while the device is busy
 * is scored together next, with the same bits as alone, and the event loop stays free.
 *
 * @example
 * using detector = await Detector.load('runs/demo-1/model.safetensors');
 * const { score, anomalous, overlay } = await detector.predict('part.png');
 */
export class Detector implements Disposable {
  readonly metadata: ModelMetadata;
  /** Null when the model was trained without held-out images and none was given. */
  readonly threshold: number | null;
  readonly #device: Device;
  readonly #network: Network;
  readonly #options: DetectorOptions;
  readonly #queue: DetectorQueue;

  private constructor(device: Device, loaded: LoadedModel, scoring: Scoring, options: DetectorOptions) {
    this.#device = device;
    this.#network = loaded.network;
    const { pipeline, sigma } = loaded.metadata;
    this.#queue = new DetectorQueue(device, loaded.network, pipeline, { ...scoring, sigma });
    this.#options = options;
    this.metadata = loaded.metadata;
    this.threshold = options.threshold ?? loaded.metadata.calibration?.threshold ?? null;
  }

  /** @throws FcddError FCDD_NOT_FOUND, FCDD_BAD_MODEL, FCDD_NO_DEVICE */
  static async load(path: string, options: DetectorOptions = {}): Promise<Detector> {
    const { device: name = 'auto', threads, isa, precision } = options;
    const device = openDevice(name, {
      ...(threads === undefined ? {} : { threads }),
      ...(isa ? { isa } : {}),
      ...(precision ? { precision } : {}),
    });
    try {
      const loaded = await loadModel(path, device);
      return new Detector(device, loaded, scoringOfModel(path, loaded.metadata), options);
    } catch (error) {
      device.dispose();
      throw error;
    }
  }

  /** Where the network runs, and why not on a GPU when 'auto' found none. */
  get device(): DeviceInfo {
    return this.#device.info;
  }

  /**
   * Scores one picture.
   * @param image path, encoded file (png, jpg, bmp, tiff, webp …) or raw pixels
   * @throws FcddError FCDD_NOT_FOUND or FCDD_BAD_IMAGE naming what is wrong with it
   */
  async predict(
    image: string | Buffer | RawPixels,
    options: { signal?: AbortSignal } = {},
  ): Promise<Prediction> {
    const source = typeof image === 'string' || Buffer.isBuffer(image) ? image : await encode(image);
    const { metadata, threshold } = this;
    const { bitRange } = this.#options;
    const decoded = await decodeImage(source, {
      channels: metadata.input.channels,
      stored: metadata.stored,
      ...(bitRange ? { bitRange } : {}),
    });
    const { score, map: data } = await this.#queue.infer(decoded, options.signal);
    const map = { data, height: metadata.input.height, width: metadata.input.width };
    return {
      score,
      anomalous: threshold === null ? null : score > threshold,
      threshold,
      pValue: pValue(score, metadata.calibration?.scores),
      map,
      overlay: () => overlay(source, map, metadata),
      warnings: decoded.warnings,
    };
  }

  dispose(): void {
    this.#network.dispose();
    this.#device.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}

/** A model file on a device: the network with its weights, and what goes with it. */
export interface LoadedModel extends Disposable {
  metadata: ModelMetadata;
  network: Network;
}

/** @throws FcddError FCDD_BAD_MODEL when tensors are missing or do not fit the layers */
export async function loadModel(path: string, device: Device): Promise<LoadedModel> {
  const { metadata, tensors } = await readModel(path);
  const network = createNetwork(path, metadata, device);
  try {
    for (const { name, shape } of network.tensors) {
      const tensor = tensors.get(name);
      if (!tensor) throw new FcddError('FCDD_BAD_MODEL', `${path} lacks the tensor "${name}"`);
      const { data } = tensor;
      if (
        !(data instanceof Float32Array || data instanceof Float64Array) ||
        tensor.shape.join() !== shape.join()
      ) {
        throw new FcddError(
          'FCDD_BAD_MODEL',
          `${path}: "${name}" should be float of shape ${shape.join('×')}, is ${tensor.shape.join('×')}`,
        );
      }
      if (!data.every(Number.isFinite))
        throw new FcddError('FCDD_BAD_MODEL', `${path}: "${name}" holds values that are not finite`);
      await network.set(name, data);
    }
    return { metadata, network, [Symbol.dispose]: () => network.dispose() };
  } catch (error) {
    network.dispose();
    throw error;
  }
}

function createNetwork(path: string, metadata: ModelMetadata, device: Device): Network {
  try {
    return device.createNetwork(metadata.layers, metadata.input);
  } catch (cause) {
    throw new FcddError('FCDD_BAD_MODEL', `${path}: ${(cause as Error).message}`, { cause });
  }
}

/** Conformal p-value: share of held-out normal scores at least as high, this image counted in. */
function pValue(score: number, scores: readonly number[] | undefined): number | null {
  if (!scores || scores.length === 0) return null;
  const higher = scores.filter((normal) => normal >= score).length;
  return (higher + 1) / (scores.length + 1);
}

/** Raw pixels take the same way as files, so that they are treated the same. */
async function encode({ data, width, height, channels }: RawPixels): Promise<Buffer> {
  if (data.length !== width * height * channels) {
    throw new FcddError(
      'FCDD_INVALID_ARGUMENT',
      `expected ${width}×${height}×${channels} = ${width * height * channels} bytes, received ${data.length}`,
    );
  }
  return sharp(data, { raw: { width, height, channels } }).png({ compressionLevel: 1 }).toBuffer();
}

async function overlay(
  source: string | Buffer,
  map: Prediction['map'],
  metadata: ModelMetadata,
): Promise<Buffer> {
  const picture = toChannels(await openPicture(source), 3);
  const scale = metadata.heatmapScale ?? { min: 0, max: Math.max(...map.data, Number.MIN_VALUE) };
  return renderOverlay({
    pixels: picture.data,
    height: picture.height,
    width: picture.width,
    map: map.data,
    mapHeight: map.height,
    mapWidth: map.width,
    scale,
  });
}
