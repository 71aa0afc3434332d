/** Heatmaps as pictures: values on a scale, in the colours of `jet`, alone or over the image they belong to. */
import sharp from 'sharp';
import { FcddError } from '../errors.js';
import type { Picture } from './canvas.js';
import { jet, jetOffset } from './colour.js';
import { onScale, type Scale } from './normalise.js';

/** Pixel scores of one image, height × width. */
export interface HeatMap {
  data: Float32Array;
  height: number;
  width: number;
}

export interface OverlayOptions {
  /** The image, bytes height × width × channels. */
  pixels: Uint8Array;
  height: number;
  width: number;
  channels?: 1 | 3;
  /** Its map, of any size: it is stretched over the image. */
  map: Float32Array;
  mapHeight: number;
  mapWidth: number;
  /** Values at the two ends of the colour map: use one scale for all images, or good images turn red too. */
  scale: Scale;
}

/** Share of the colour where the map is at the lower and at the upper end of the scale: defects stand out. */
const overlayAlpha = { low: 0.15, high: 0.65 };

/** The image with its heatmap over it, in the image's size. */
export function overlay(options: OverlayOptions): Picture {
  const { pixels, height, width, channels = 3, map, mapHeight, mapWidth, scale } = options;
  if (pixels.length !== height * width * channels) {
    throw new FcddError(
      'FCDD_INVALID_ARGUMENT',
      `expected ${height}×${width}×${channels} bytes for pixels, received ${pixels.length}`,
    );
  }
  const values = stretch({ data: map, height: mapHeight, width: mapWidth }, height, width);
  const data = new Uint8Array(height * width * 3);
  for (let i = 0; i < values.length; i++) {
    const v = onScale(values[i]!, scale);
    const alpha = overlayAlpha.low + (overlayAlpha.high - overlayAlpha.low) * v;
    const colour = jetOffset(v);
    for (let c = 0; c < 3; c++) {
      const pixel = pixels[i * channels + (channels === 3 ? c : 0)]!;
      data[3 * i + c] = Math.round(alpha * jet[colour + c]! + (1 - alpha) * pixel);
    }
  }
  return { data, height, width, channels: 3 };
}

/** The overlay as a PNG file's content. */
export function renderOverlay(options: OverlayOptions): Promise<Buffer> {
  const { data, height, width } = overlay(options);
  return sharp(data, { raw: { width, height, channels: 3 } })
    .png()
    .toBuffer();
}

/** The map in colours, height × width pixels. */
export function colourise(map: HeatMap, scale: Scale, height: number, width: number): Picture {
  const values = stretch(map, height, width);
  const data = new Uint8Array(height * width * 3);
  for (let i = 0; i < values.length; i++) {
    const colour = jetOffset(onScale(values[i]!, scale));
    for (let c = 0; c < 3; c++) data[3 * i + c] = jet[colour + c]!;
  }
  return { data, height, width, channels: 3 };
}

/**
 * The map at another size, bilinear between pixel centres: for pictures only, figures use nearest neighbours.
 * @throws FCDD_INVALID_ARGUMENT when the map does not have height × width values
 */
export function stretch(map: HeatMap, height: number, width: number): Float32Array {
  if (map.data.length !== map.height * map.width || map.data.length === 0) {
    throw new FcddError(
      'FCDD_INVALID_ARGUMENT',
      `expected ${map.height}×${map.width} values for the map, received ${map.data.length}`,
    );
  }
  if (height === map.height && width === map.width) return map.data;
  const rows = neighbours(map.height, height);
  const columns = neighbours(map.width, width);
  const out = new Float32Array(height * width);
  for (let y = 0; y < height; y++) {
    const above = rows.low[y]! * map.width;
    const below = rows.high[y]! * map.width;
    const v = rows.part[y]!;
    for (let x = 0; x < width; x++) {
      const left = columns.low[x]!;
      const right = columns.high[x]!;
      const u = columns.part[x]!;
      const top = map.data[above + left]! * (1 - u) + map.data[above + right]! * u;
      const bottom = map.data[below + left]! * (1 - u) + map.data[below + right]! * u;
      out[y * width + x] = top * (1 - v) + bottom * v;
    }
  }
  return out;
}

/** For each output index the two source indices around its centre and how far it is from the first to the second. */
function neighbours(size: number, out: number): { low: Uint32Array; high: Uint32Array; part: Float64Array } {
  const at = Float64Array.from({ length: out }, (_, i) =>
    Math.min(size - 1, Math.max(0, ((i + 0.5) * size) / out - 0.5)),
  );
  const low = Uint32Array.from(at, Math.floor);
  return {
    low,
    high: low.map((i) => Math.min(i + 1, size - 1)),
    part: at.map((position, i) => position - low[i]!),
  };
}
