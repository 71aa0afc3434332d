/**
 * Where the object is in normal images, so that synthetic anomalies can be kept to it. Estimated from the images alone:
 *
 * 1. The background's colour is, per image, the median of each channel over a frame along the border (a twenty-fifth of
 *    the shorter side wide), so that light may change from image to image.
 * 2. A pixel's distance is the largest difference of a channel to that colour, after a 5×5 mean.
 * 3. One threshold for all images, Otsu's on the distances of all of them together.
 * 4. Beyond the threshold is object; pieces below a fiftieth of the largest one go, holes are filled, and the edge is
 *    moved out by two pixels.
 *
 * Textures (carpet, tiles) fill the picture, and there is no background to see. They are told by their border: where it
 * is as mixed as the rest, the threshold cuts through it; or by what was found: an object of one product has about the
 * same size in every picture, a patch of light has not. Then, or where the two sides of the threshold hardly differ, the
 * whole picture counts as object, for all images alike; and so it does for a single image of which next to nothing or
 * next to everything was found.
 */
import type { StoredImages } from '../engine/types.js';

export interface Foreground {
  /** Per image 0|1 per pixel, or null: the whole image. */
  planes: (Uint8Array | null)[];
  /** Mean share of the pixels that are object, 0…1. */
  share: number;
  /** How many images count as a whole. */
  whole: number;
  /** Grey levels of distance from which on a pixel is object; null: no background was found. */
  threshold: number | null;
  /** One line for people. */
  summary: string;
}

/** Width of the frame as a part of the shorter side. */
const frameShare = 1 / 25;
/** Share of the frame's pixels beyond the threshold above which the frame is no background. */
const mixedFrame = 0.25;
/** Between-class variance over total variance (Otsu's criterion) below which there are no two classes. */
const leastSeparability = 0.6;
/** Difference of the mean distances of both sides, in grey levels, below which they are one. */
const leastContrast = 16;
/** Upper over lower quartile of the images' shares above which these are no pictures of one object. */
const greatestSpread = 2;
/** Shares of an image between which its foreground is believed. */
const leastShare = 0.02;
const greatestShare = 0.97;
/** Pieces smaller than this part of the largest one are dirt. */
const leastPiece = 1 / 50;
const margin = 2;

/** Foregrounds of normal images; their masks and labels are not read. */
export function estimateForeground(store: StoredImages): Foreground {
  const distances = store.images.map((_, index) => distanceToBorder(store, index));
  const histogram = new Float64Array(256);
  for (const distance of distances) for (const value of distance) histogram[value]!++;
  const cut = otsu(histogram);
  const reason = noBackground(store, distances, cut);
  if (reason !== null) return wholeImages(store, reason);
  const planes = distances.map((distance, index) => objectOf(distance, store.images[index]!, cut.threshold));
  const shares = planes.map((plane) => (plane === null ? 1 : shareOf(plane)));
  if (quantile(shares, 0.75) > greatestSpread * quantile(shares, 0.25))
    return wholeImages(store, 'what stands out from the border differs too much from picture to picture');
  const share = shares.reduce((sum, value) => sum + value, 0) / Math.max(1, shares.length);
  const whole = planes.filter((plane) => plane === null).length;
  const exceptions = whole > 0 ? `, ${whole} of them as a whole` : '';
  return {
    planes,
    share,
    whole,
    threshold: cut.threshold,
    summary: `on object: ${(100 * share).toFixed(0)} % of the pixels of ${planes.length} normal images are the object${exceptions}`,
  };
}

function wholeImages(store: StoredImages, reason: string): Foreground {
  const planes = store.images.map(() => null);
  const summary = `on object: the whole picture is the object (${reason})`;
  return { planes, share: 1, whole: planes.length, threshold: null, summary };
}

function quantile(values: readonly number[], q: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.round(q * (sorted.length - 1))] ?? 0;
}

interface Extent {
  height: number;
  width: number;
}

/** Grey levels of distance to the image's own border colour, per pixel. */
function distanceToBorder(store: StoredImages, index: number): Uint8Array {
  const { pixels, height, width } = store.images[index]!;
  const { channels, bytes } = store;
  const area = height * width;
  const distance = new Uint8Array(area);
  const plane = new Uint8Array(area);
  for (let c = 0; c < channels; c++) {
    for (let i = 0; i < area; i++) plane[i] = bytes[pixels + i * channels + c]!;
    const smooth = boxMean(plane, { height, width });
    const background = median(framePlaces({ height, width }).map((i) => smooth[i]!));
    for (let i = 0; i < area; i++)
      distance[i] = Math.max(distance[i]!, Math.round(Math.abs(smooth[i]! - background)));
  }
  return distance;
}

/** 5×5 mean, of what lies inside at the border. */
function boxMean(plane: Uint8Array, { height, width }: Extent): Float64Array {
  const rows = new Float64Array(plane.length);
  const reach = 2;
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      let sum = 0;
      const last = Math.min(width - 1, x + reach);
      const first = Math.max(0, x - reach);
      for (let k = first; k <= last; k++) sum += plane[y * width + k]!;
      rows[y * width + x] = sum / (last - first + 1);
    }
  }
  const mean = new Float64Array(plane.length);
  for (let y = 0; y < height; y++) {
    const first = Math.max(0, y - reach);
    const last = Math.min(height - 1, y + reach);
    for (let x = 0; x < width; x++) {
      let sum = 0;
      for (let k = first; k <= last; k++) sum += rows[k * width + x]!;
      mean[y * width + x] = sum / (last - first + 1);
    }
  }
  return mean;
}

/** Indices of the pixels of the frame along the border. */
function framePlaces({ height, width }: Extent): number[] {
  const thickness = Math.max(1, Math.round(Math.min(height, width) * frameShare));
  const places: number[] = [];
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const depth = Math.min(y, x, height - 1 - y, width - 1 - x);
      if (depth < thickness) places.push(y * width + x);
    }
  }
  return places;
}

function median(values: number[]): number {
  const sorted = Float64Array.from(values).sort();
  return sorted[Math.floor(sorted.length / 2)]!;
}

interface Cut {
  /** Values above it are the upper class. */
  threshold: number;
  separability: number;
  /** Difference of the classes' means. */
  contrast: number;
}

/** Otsu's threshold of a histogram (A threshold selection method from gray-level histograms, 1979). */
function otsu(histogram: Float64Array): Cut {
  let total = 0;
  let sum = 0;
  let squares = 0;
  histogram.forEach((count, value) => {
    total += count;
    sum += count * value;
    squares += count * value * value;
  });
  const variance = squares / total - (sum / total) ** 2;
  let best: Cut = { threshold: 255, separability: 0, contrast: 0 };
  let below = 0;
  let sumBelow = 0;
  for (let value = 0; value < histogram.length - 1; value++) {
    below += histogram[value]!;
    sumBelow += histogram[value]! * value;
    const above = total - below;
    if (below === 0 || above === 0) continue;
    const contrast = (sum - sumBelow) / above - sumBelow / below;
    const separability = ((below / total) * (above / total) * contrast ** 2) / variance;
    if (separability > best.separability) best = { threshold: value, separability, contrast };
  }
  return best;
}

/** Why the images show no background, or null. */
function noBackground(store: StoredImages, distances: readonly Uint8Array[], cut: Cut): string | null {
  if (cut.contrast < leastContrast) return 'nothing stands out from the border';
  let beyond = 0;
  let frame = 0;
  for (const [index, distance] of distances.entries()) {
    for (const i of framePlaces(store.images[index]!)) {
      frame++;
      if (distance[i]! > cut.threshold) beyond++;
    }
  }
  if (beyond > mixedFrame * frame) return 'the border is as mixed as the rest';
  return cut.separability < leastSeparability ? 'there is no clear edge to a background' : null;
}

function objectOf(distance: Uint8Array, extent: Extent, threshold: number): Uint8Array | null {
  const found = distance.map((value) => (value > threshold ? 1 : 0));
  const plane = grown(filled(largePieces(found, extent), extent), extent);
  const share = shareOf(plane);
  return share < leastShare || share > greatestShare ? null : plane;
}

function shareOf(plane: Uint8Array): number {
  return plane.reduce((sum, value) => sum + value, 0) / plane.length;
}

/** Number of the 4-connected piece that each pixel of `value` belongs to (from 1), and the pieces' sizes. */
function pieces(plane: Uint8Array, { height, width }: Extent, value: number) {
  const piece = new Int32Array(plane.length);
  const sizes = [0];
  const open: number[] = [];
  for (let start = 0; start < plane.length; start++) {
    if (plane[start] !== value || piece[start] !== 0) continue;
    const number = sizes.length;
    sizes.push(0);
    piece[start] = number;
    open.push(start);
    while (open.length > 0) {
      const at = open.pop()!;
      sizes[number]!++;
      const x = at % width;
      const visit = (next: number) => {
        if (plane[next] !== value || piece[next] !== 0) return;
        piece[next] = number;
        open.push(next);
      };
      if (x > 0) visit(at - 1);
      if (x < width - 1) visit(at + 1);
      if (at >= width) visit(at - width);
      if (at < (height - 1) * width) visit(at + width);
    }
  }
  return { piece, sizes };
}

function largePieces(plane: Uint8Array, extent: Extent): Uint8Array {
  const { piece, sizes } = pieces(plane, extent, 1);
  const least = sizes.reduce((most, size) => Math.max(most, size), 0) * leastPiece;
  return plane.map((value, i) => (value === 1 && sizes[piece[i]!]! >= least ? 1 : 0));
}

/** Background that is not connected with the border is a hole. */
function filled(plane: Uint8Array, extent: Extent): Uint8Array {
  const { height, width } = extent;
  const { piece } = pieces(plane, extent, 0);
  const outside = new Set<number>();
  for (let x = 0; x < width; x++) outside.add(piece[x]!).add(piece[(height - 1) * width + x]!);
  for (let y = 0; y < height; y++) outside.add(piece[y * width]!).add(piece[y * width + width - 1]!);
  outside.delete(0);
  return plane.map((value, i) => (value === 1 || !outside.has(piece[i]!) ? 1 : 0));
}

/** The edge moved out by `margin` pixels. */
function grown(plane: Uint8Array, { height, width }: Extent): Uint8Array {
  const spread = (from: Uint8Array, step: number, along: (i: number) => number, extent: number) =>
    from.map((value, i) => {
      if (value === 1) return 1;
      const at = along(i);
      for (let k = 1; k <= margin; k++) {
        if (at - k >= 0 && from[i - k * step] === 1) return 1;
        if (at + k < extent && from[i + k * step] === 1) return 1;
      }
      return 0;
    });
  const rows = spread(plane, 1, (i) => i % width, width);
  return spread(rows, width, (i) => Math.floor(i / width), height);
}
