/**
 * Building and cutting StoredImages: pixels H×W×C interleaved, each image's mask (H×W, 0|1) and foreground (H×W, 0|1),
 * where it has them, directly after its pixels.
 * Images lie in the order they were added, so that equal inputs give equal bytes.
 */
import type { StoredImages } from '../engine/types.js';
import type { Split } from './types.js';

export interface StoredPicture {
  pixels: Uint8Array;
  height: number;
  width: number;
  label: number;
  mask?: Uint8Array;
  foreground?: Uint8Array;
}

export interface StoreBuilder {
  add(picture: StoredPicture): void;
  /** The store; the builder must not be used afterwards. */
  finish(): StoredImages;
}

/** `expectedBytes` is reserved at once; more is taken when needed. */
export function createStoreBuilder(channels: 1 | 3, expectedBytes: number): StoreBuilder {
  let bytes = new Uint8Array(expectedBytes);
  let used = 0;
  const images: StoredImages['images'] = [];
  const append = (part: Uint8Array): number => {
    if (used + part.length > bytes.length) {
      const larger = new Uint8Array(Math.max(used + part.length, Math.ceil(bytes.length * 1.5)));
      larger.set(bytes.subarray(0, used));
      bytes = larger;
    }
    bytes.set(part, used);
    used += part.length;
    return used - part.length;
  };
  return {
    add: ({ pixels, height, width, label, mask, foreground }) => {
      const image = { pixels: append(pixels), mask: mask ? append(mask) : null, height, width, label };
      images.push(foreground ? { ...image, foreground: append(foreground) } : image);
    },
    finish: () => ({ channels, bytes: used === bytes.length ? bytes : bytes.slice(0, used), images }),
  };
}

/** A split of the images at `indices`, in that order, with bytes of its own. */
export function subset(split: Split, indices: readonly number[]): Split {
  return {
    images: subsetImages(split.images, indices),
    records: indices.map((index) => split.records[index]!),
  };
}

export function subsetImages(store: StoredImages, indices: readonly number[]): StoredImages {
  const size = (index: number) => {
    const { height, width, mask, foreground } = store.images[index]!;
    const planes = (mask === null ? 0 : 1) + ((foreground ?? null) === null ? 0 : 1);
    return height * width * (store.channels + planes);
  };
  const builder = createStoreBuilder(
    store.channels,
    indices.reduce((sum, index) => sum + size(index), 0),
  );
  for (const index of indices) {
    const { pixels, mask, height, width, label } = store.images[index]!;
    const foreground = store.images[index]!.foreground ?? null;
    const area = height * width;
    builder.add({
      pixels: store.bytes.subarray(pixels, pixels + area * store.channels),
      height,
      width,
      label,
      ...(mask === null ? {} : { mask: store.bytes.subarray(mask, mask + area) }),
      ...(foreground === null ? {} : { foreground: store.bytes.subarray(foreground, foreground + area) }),
    });
  }
  return builder.finish();
}

/** The same images with a foreground each; null: the whole image is the object. */
export function withForegrounds(
  store: StoredImages,
  foregrounds: readonly (Uint8Array | null)[],
): StoredImages {
  const added = foregrounds.reduce((sum, plane) => sum + (plane?.length ?? 0), 0);
  const bytes = new Uint8Array(store.bytes.length + added);
  bytes.set(store.bytes);
  let end = store.bytes.length;
  const images = store.images.map((image, i) => {
    const plane = foregrounds[i] ?? null;
    if (plane === null) return image;
    bytes.set(plane, end);
    end += plane.length;
    return { ...image, foreground: end - plane.length };
  });
  return { channels: store.channels, bytes, images };
}

/** The same images without masks: an anomalous image is anomalous everywhere. */
export function withoutMasks(store: StoredImages): StoredImages {
  return { ...store, images: store.images.map((image) => ({ ...image, mask: null })) };
}

/** The images of several stores of equal channels, one after the other. */
export function concatenateImages(stores: readonly StoredImages[]): StoredImages {
  const bytes = new Uint8Array(stores.reduce((sum, store) => sum + store.bytes.length, 0));
  const images: StoredImages['images'] = [];
  let start = 0;
  for (const store of stores) {
    bytes.set(store.bytes, start);
    for (const image of store.images) {
      images.push({
        ...image,
        pixels: image.pixels + start,
        mask: image.mask === null ? null : image.mask + start,
        ...(typeof image.foreground === 'number' ? { foreground: image.foreground + start } : {}),
      });
    }
    start += store.bytes.length;
  }
  return { channels: stores[0]!.channels, bytes, images };
}

export function emptySplit(channels: 1 | 3): Split {
  return { images: { channels, bytes: new Uint8Array(0), images: [] }, records: [] };
}

/** Whether every image shows the same value in its three channels (one-channel stores are grey). */
export function isGrey(store: StoredImages): boolean {
  if (store.channels === 1) return true;
  return store.images.every(({ pixels, height, width }) =>
    hasEqualChannels(store.bytes.subarray(pixels, pixels + height * width * 3)),
  );
}

export function hasEqualChannels(rgb: Uint8Array): boolean {
  for (let i = 0; i < rgb.length; i += 3) {
    if (rgb[i] !== rgb[i + 1] || rgb[i] !== rgb[i + 2]) return false;
  }
  return true;
}
