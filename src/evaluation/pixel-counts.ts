/**
 * Counts of original pixels per map pixel, and of these per value. Nearest-neighbour upsampling (source index
 * ⌊i·in/out⌋) gives every original pixel one of the map's values, so the map at the original size is never built.
 */
import type { Mask } from '../data/types.js';
import { FcddError } from '../errors.js';
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
  /** Indices of map pixels with anomalous original pixels, and their number. */
  at: Uint32Array;
  count: Uint32Array;
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

export function copyCounts({ positives, negatives }: PixelCounts): PixelCounts {
  return { positives: positives.slice(), negatives: negatives.slice() };
}

export function addCounts(to: PixelCounts, from: PixelCounts): void {
  for (let i = 0; i < to.positives.length; i++) to.positives[i]! += from.positives[i]!;
  for (let i = 0; i < to.negatives.length; i++) to.negatives[i]! += from.negatives[i]!;
}

/** How many of `out` original rows (or columns) take their value from each of `size` map rows. */
function repeats(size: number, out: number): Uint32Array {
  const counts = new Uint32Array(size);
  for (let i = 0; i < out; i++) counts[Math.floor((i * size) / out)]!++;
  return counts;
}

/** Map pixels that stand for anomalous original pixels, and how many each. */
function anomalousPixels(height: number, width: number, mask: Mask): { at: Uint32Array; count: Uint32Array } {
  const counts = new Uint32Array(height * width);
  for (let y = 0; y < mask.height; y++) {
    const row = Math.floor((y * height) / mask.height) * width;
    for (let x = 0; x < mask.width; x++) {
      if (mask.data[y * mask.width + x] !== 0) counts[row + Math.floor((x * width) / mask.width)]!++;
    }
  }
  const covered = counts.reduce((n, count) => (count > 0 ? n + 1 : n), 0);
  const at = new Uint32Array(covered);
  for (let i = 0, next = 0; next < covered; i++) {
    if (counts[i]! > 0) at[next++] = i;
  }
  return { at, count: at.map((i) => counts[i]!) };
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
