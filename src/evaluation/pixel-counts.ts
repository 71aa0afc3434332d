/**
 * Counts of original pixels per map pixel, and of these per value. Nearest-neighbour upsampling (source index
 * ⌊i·in/out⌋) gives every original pixel one of the map's values, so the map at the original size is never built.
 */
import type { Mask } from '../data/types.js';
import { FcddError } from '../errors.js';
import { maskComponents } from './components.js';
import type { ValueTable } from './value-table.js';

/** What a map pixel stands for: sparse positives, and how often each map row and column is repeated. */
export interface PixelEntry {
  type: string | null;
  /** Lowest value of the map. */
  lowest: number;
  map: Float32Array;
  width: number;
  rows: Uint32Array;
  columns: Uint32Array;
  /** Original pixels. */
  pixels: number;
  /**
   * Indices of map pixels with anomalous original pixels, and their number, component after component: a map pixel that
   * several components share is listed once for each.
   */
  at: Uint32Array;
  count: Uint32Array;
  /** Of each component, the end of its part of `at`. */
  ends: Uint32Array;
}

/**
 * @param map height×width pixel scores, kept by reference
 * @param mask at the original resolution
 * @throws FCDD_INVALID_ARGUMENT for sizes that do not fit and scores that are not finite
 */
export function pixelEntry(
  map: Float32Array,
  height: number,
  width: number,
  mask: Mask,
  type: string | null,
): PixelEntry {
  return {
    type,
    lowest: checkedMinimum(map, height, width, mask),
    map,
    width,
    rows: repeats(height, mask.height),
    columns: repeats(width, mask.width),
    pixels: mask.height * mask.width,
    ...anomalousPixels(height, width, mask),
  };
}

/**
 * Counts against a table of T values, lowest first. `positives[t]` have the value t; `negatives[2t+1]` too;
 * `negatives[2t]` lie between the values t−1 and t (the last entry, 2T, above all).
 */
export interface PixelCounts {
  positives: Float64Array;
  negatives: Float64Array;
}

/** @param counts cleared and used again, so that counting many groups does not allocate for each */
export function countPixels(
  entries: readonly PixelEntry[],
  table: ValueTable,
  counts: PixelCounts = emptyCounts(table),
): PixelCounts {
  counts.positives.fill(0);
  counts.negatives.fill(0);
  for (const entry of entries) countEntry(entry, table, counts);
  return counts;
}

export function emptyCounts({ values }: ValueTable): PixelCounts {
  return { positives: new Float64Array(values.length), negatives: new Float64Array(2 * values.length + 1) };
}

function countEntry(entry: PixelEntry, table: ValueTable, { positives, negatives }: PixelCounts): void {
  const { map, width, rows, columns, at, count } = entry;
  for (let y = 0; y < rows.length; y++) {
    const repeat = rows[y]!;
    if (repeat === 0) continue;
    for (let x = 0; x < width; x++) {
      const pixels = repeat * columns[x]!;
      if (pixels > 0) negatives[table.slot(map[y * width + x]!)]! += pixels;
    }
  }
  for (let k = 0; k < at.length; k++) {
    const slot = table.slot(map[at[k]!]!);
    negatives[slot]! -= count[k]!;
    positives[(slot - 1) / 2]! += count[k]!;
  }
}

/** How many of `out` original rows (or columns) take their value from each of `size` map rows. */
function repeats(size: number, out: number): Uint32Array {
  const counts = new Uint32Array(size);
  for (let i = 0; i < out; i++) counts[Math.floor((i * size) / out)]!++;
  return counts;
}

/** Map pixels that stand for anomalous original pixels, and how many each, by component. */
function anomalousPixels(
  height: number,
  width: number,
  mask: Mask,
): { at: Uint32Array; count: Uint32Array; ends: Uint32Array } {
  const components = maskComponents(mask);
  const counts = new Uint32Array(components.length > 0 ? height * width : 0);
  const at: number[] = [];
  const count: number[] = [];
  const ends = components.map((runs) => {
    const touched: number[] = [];
    for (const { row, from, to } of runs) {
      const start = Math.floor((row * height) / mask.height) * width;
      for (let x = from; x < to; x++) {
        const i = start + Math.floor((x * width) / mask.width);
        if (counts[i]!++ === 0) touched.push(i);
      }
    }
    for (const i of touched) {
      at.push(i);
      count.push(counts[i]!);
      counts[i] = 0;
    }
    return at.length;
  });
  return { at: Uint32Array.from(at), count: Uint32Array.from(count), ends: Uint32Array.from(ends) };
}

function checkedMinimum(map: Float32Array, height: number, width: number, mask: Mask): number {
  if (map.length !== height * width || map.length === 0) {
    throw new FcddError(
      'FCDD_INVALID_ARGUMENT',
      `expected a map of ${height}×${width} values, received ${map.length}`,
    );
  }
  if (mask.data.length !== mask.height * mask.width || mask.data.length === 0) {
    throw new FcddError(
      'FCDD_INVALID_ARGUMENT',
      `expected a mask of ${mask.height}×${mask.width} values, received ${mask.data.length}`,
    );
  }
  let lowest = Number.POSITIVE_INFINITY;
  for (let i = 0; i < map.length; i++) {
    lowest = Math.min(lowest, map[i]!);
    if (!Number.isFinite(map[i])) {
      throw new FcddError('FCDD_INVALID_ARGUMENT', `expected finite pixel scores, received ${map[i]}`, {
        hint: 'A network that has diverged gives such scores: train again with a lower learning rate.',
      });
    }
  }
  return lowest;
}
