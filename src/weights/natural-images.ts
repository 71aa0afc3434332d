import { readdir, stat } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { decodeImage } from '../data/decode.js';
import { FcddError } from '../errors.js';
import type { Features } from './activations.js';

/** Photographs as torchvision's ImageNet networks are given them: short side 256, centre 224×224, mean and deviation. */

const types = new Set(['.png', '.jpg', '.jpeg', '.bmp', '.tif', '.tiff', '.webp']);
const [short, extent] = [256, 224];
/** https://pytorch.org/vision/stable/models.html */
const mean = [0.485, 0.456, 0.406];
const deviation = [0.229, 0.224, 0.225];

/** At most `most` pictures of a folder and its subfolders, at equal steps of their sorted names. */
export async function listPictures(folder: string, most: number): Promise<string[]> {
  const found = await stat(folder).catch(() => undefined);
  if (!found?.isDirectory()) throw new FcddError('FCDD_NOT_FOUND', `${folder} is not a folder of images`);
  const names = (await readdir(folder, { recursive: true }))
    .filter((name) => types.has(extname(name).toLowerCase()))
    .sort();
  if (names.length === 0)
    throw new FcddError('FCDD_NOT_FOUND', `${folder} holds no images (${[...types].join(' ')})`);
  const count = Math.min(most, names.length);
  return Array.from({ length: count }, (_, i) =>
    join(folder, names[Math.floor((i * names.length) / count)]!),
  );
}

export async function* naturalImages(paths: readonly string[]): AsyncGenerator<Features> {
  for (const path of paths) {
    const { pixels, height, width } = await decodeImage(path, {
      channels: 3,
      stored: { fit: 'short-side', height: short, width: short, interpolation: 'bilinear' },
    });
    const [top, left] = [Math.round((height - extent) / 2), Math.round((width - extent) / 2)];
    const data = new Float32Array(extent * extent * 3);
    for (let y = 0; y < extent; y++) {
      for (let i = 0; i < extent * 3; i++) {
        const c = i % 3;
        const value = pixels[((y + top) * width + left) * 3 + i]! / 255;
        data[y * extent * 3 + i] = (value - mean[c]!) / deviation[c]!;
      }
    }
    yield { batch: 1, height: extent, width: extent, channels: 3, data };
  }
}
