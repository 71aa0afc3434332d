/**
 * Counts of pixels per value, for a part of the values at a time: what is held at once does not grow with the number
 * of distinct values, which float32 maps of large pictures have by the million.
 */
import type { PixelEntry } from './pixel-counts.js';
import { ValueTable } from './value-table.js';

/** Counts of a group of images within one block; slots as in ValueTable. */
export interface BlockCounts {
  /** Per value. */
  positives: Float64Array;
  /** Per value: Σ over components of the share of its pixels that have this value. */
  covered: Float64Array;
  /** Per slot: [2t] between the values t−1 and t, [2t+1] equal to value t, the last one above all. */
  negatives: Float64Array;
}

/** The values of one block and the range of scores that it counts: low < score ≤ high. */
export interface ValueBlock {
  table: ValueTable;
  low: number;
  high: number;
}

/** Splits ascending distinct values into blocks, highest first. Together they count every score. */
export function valueBlocks(values: Float32Array, size: number): ValueBlock[] {
  const blocks: ValueBlock[] = [];
  for (let end = values.length; end > 0; end -= size) {
    const start = Math.max(0, end - size);
    blocks.push({
      table: new ValueTable(values.slice(start, end)),
      low: start === 0 ? Number.NEGATIVE_INFINITY : values[start - 1]!,
      high: end === values.length ? Number.POSITIVE_INFINITY : values[end - 1]!,
    });
  }
  return blocks;
}

export function emptyBlock(size: number): BlockCounts {
  return {
    positives: new Float64Array(size),
    covered: new Float64Array(size),
    negatives: new Float64Array(2 * size + 1),
  };
}

/** Counts the pixels of `entries` within a block into `counts`, which is cleared first. */
export function countBlock(entries: readonly PixelEntry[], block: ValueBlock, counts: BlockCounts): void {
  counts.positives.fill(0);
  counts.covered.fill(0);
  counts.negatives.fill(0);
  for (const entry of entries) countEntry(entry, block, counts);
}

function countEntry(entry: PixelEntry, { table, low, high }: ValueBlock, counts: BlockCounts): void {
  const { map, width, rows, columns, at, count, ends } = entry;
  const { positives, covered, negatives } = counts;
  for (let y = 0; y < rows.length; y++) {
    const repeat = rows[y]!;
    if (repeat === 0) continue;
    for (let x = 0, i = y * width; x < width; x++, i++) {
      const value = map[i]!;
      if (value > low && value <= high) negatives[table.slot(value)]! += repeat * columns[x]!;
    }
  }
  for (let c = 0, from = 0; c < ends.length; from = ends[c++]!) {
    let size = 0;
    for (let k = from; k < ends[c]!; k++) size += count[k]!;
    for (let k = from; k < ends[c]!; k++) {
      const value = map[at[k]!]!;
      if (!(value > low && value <= high)) continue;
      const slot = table.slot(value);
      const t = (slot - 1) / 2;
      negatives[slot]! -= count[k]!;
      positives[t]! += count[k]!;
      covered[t]! += count[k]! / size;
    }
  }
}
