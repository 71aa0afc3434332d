/** foreground.png: normal images, where their object was found, and the two together. */
import type { StoredImages } from '../engine/types.js';
import type { Picture } from './canvas.js';
import { renderSheet } from './grid.js';
import { maskPicture } from './sheets.js';

const perLine = 8;
const shown = 16;

/**
 * @param planes per image 0|1 per pixel, or null: all of it
 * @param summary what was found, one line
 */
export function renderForegrounds(
  images: StoredImages,
  planes: readonly (Uint8Array | null)[],
  summary: string,
): Promise<Buffer> {
  const count = Math.min(shown, images.images.length);
  const columns = Array.from({ length: count }, (_, i) => {
    const { pixels, height, width } = images.images[i]!;
    const data = images.bytes.subarray(pixels, pixels + height * width * images.channels);
    const picture: Picture = { data, height, width, channels: images.channels };
    const plane = planes[i] ?? new Uint8Array(height * width).fill(1);
    const share = plane.reduce((sum, value) => sum + value, 0) / plane.length;
    return {
      pictures: [picture, maskPicture({ data: plane, height, width }), faded(picture, plane)],
      captions: [`${(100 * share).toFixed(0)} %`],
    };
  });
  const bands = [];
  for (let i = 0; i < count; i += perLine) bands.push({ columns: columns.slice(i, i + perLine) });
  return renderSheet({
    title: 'Where anomalies are kept to',
    notes: [summary],
    rows: ['image', 'object', 'both'],
    bands,
  });
}

/** The picture with everything but the object at a quarter of its brightness. */
function faded(picture: Picture, plane: Uint8Array): Picture {
  const data = picture.data.map((value, i) =>
    plane[Math.floor(i / picture.channels)] === 1 ? value : value >> 2,
  );
  return { ...picture, data };
}
