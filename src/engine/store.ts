/** Images as bytes, resident on a device until disposed of. */
import { FcddError } from '../errors.js';
import { call, callAsync, unshared } from './call.js';
import type { NativeDevice, NativeImageStore } from './native.js';
import type { ImageStatistics, ImageStore, Pipeline, StoredImages } from './types.js';

/** Native sides of stores; kept here so that no handle is a public property. */
const handles = new WeakMap<ImageStore, NativeImageStore>();

class ResidentImages implements ImageStore {
  readonly count: number;
  readonly channels: 1 | 3;
  readonly #native: NativeImageStore;

  constructor(native: NativeImageStore, images: StoredImages) {
    this.#native = native;
    this.count = images.images.length;
    this.channels = images.channels;
    handles.set(this, native);
  }

  statistics(pipeline: Pipeline): Promise<ImageStatistics> {
    return callAsync(this.statistics, () => this.#native.statistics(pipeline));
  }

  dispose(): void {
    this.#native.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}

export function createImageStore(device: NativeDevice, images: StoredImages): ImageStore {
  return call(createImageStore, () => {
    const fields: StoredImages =
      typeof images === 'object' && images !== null ? { ...images, bytes: unshared(images.bytes) } : images;
    return new ResidentImages(device.createImageStore(fields), images);
  });
}

/** The native side of a store that a caller passed as `argument`. */
export function nativeStore(store: ImageStore, argument: string): NativeImageStore {
  const handle = typeof store === 'object' && store !== null ? handles.get(store) : undefined;
  if (handle !== undefined) return handle;
  throw new FcddError(
    'FCDD_INVALID_ARGUMENT',
    `Expected an image store (from device.createImageStore) for ${argument} but received ${typeof store}`,
  );
}
