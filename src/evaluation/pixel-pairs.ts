/** Pair counts between groups of images, over their pixels, for bootstrap intervals of the pixel ROC-AUC. */
import { emptyPairs, type PairCounts } from './bootstrap.js';
import { countPixels, emptyCounts, type PixelEntry } from './pixel-counts.js';
import type { ValueTable } from './value-table.js';

/** For each group of negatives the number below each value, against each group's positives of that value. */
export function pairsOfGroups(members: readonly PixelEntry[][], table: ValueTable): PairCounts {
  const pairs = emptyPairs(members.length);
  const size = table.values.length;
  const positives = members.map((entries) => sparsePositives(entries, table));
  positives.forEach((p, g) => {
    pairs.positives[g] = sum(p.count);
  });
  const counts = emptyCounts(table);
  const wins = new Float64Array(size);
  members.forEach((entries, n) => {
    const { negatives } = countPixels(entries, table, counts);
    let below = 0;
    for (let t = 0; t < size; t++) {
      below += negatives[2 * t]!;
      wins[t] = below + negatives[2 * t + 1]! / 2;
      below += negatives[2 * t + 1]!;
    }
    pairs.negatives[n] = below + negatives[2 * size]!;
    positives.forEach((p, g) => {
      let won = 0;
      for (let k = 0; k < p.at.length; k++) won += p.count[k]! * wins[p.at[k]!]!;
      pairs.wins[g * members.length + n] = won;
    });
  });
  return pairs;
}

function sparsePositives(entries: readonly PixelEntry[], table: ValueTable) {
  const at: number[] = [];
  const count: number[] = [];
  for (const entry of entries) {
    for (let k = 0; k < entry.at.length; k++) {
      at.push((table.slot(entry.map[entry.at[k]!]!) - 1) / 2);
      count.push(entry.count[k]!);
    }
  }
  return { at: Uint32Array.from(at), count: Float64Array.from(count) };
}

function sum(values: ArrayLike<number>): number {
  let total = 0;
  for (let i = 0; i < values.length; i++) total += values[i]!;
  return total;
}
