/**
 * Exact ROC-AUC over all pixels of a test set, at the masks' original resolution, without building the maps at that
 * resolution: nearest-neighbour upsampling (source index ⌊i·in/out⌋) gives every original pixel one of the map's
 * values, so it is enough to count, per map pixel, how many anomalous and normal original pixels it stands for.
 *
 * Memory: the maps are kept by reference, 4 bytes per map pixel (do not write to them afterwards), plus 8 bytes per map
 * pixel that covers an anomaly, plus a few arrays over the distinct values of such pixels. Only these values can be
 * points where the true positive rate changes, so negatives are counted between them and nothing is sorted as a whole.
 */
import type { Mask } from '../data/types.js';
import { FcddError } from '../errors.js';
import { emptyPairs, groupIndices, type PairCounts } from './bootstrap.js';
import { areaOfRanked, curveOfRanked, type RankedCounts, type RocCurve } from './roc.js';
import { ValueTable } from './value-table.js';

export interface PixelRocResult {
  /** Null when there are no anomalous or no normal pixels. */
  rocAuc: number | null;
  curve: RocCurve | null;
  /** Per anomaly type: that type's images against them and the normal images. */
  perType: Record<string, { images: number; rocAuc: number | null }>;
  images: number;
  pixels: number;
  anomalousPixels: number;
}

/** What a map pixel stands for: sparse positives, and how often each map row and column is repeated. */
interface Entry {
  type: string | null;
  map: Float32Array;
  width: number;
  rows: Uint32Array;
  columns: Uint32Array;
  /** Indices of map pixels with anomalous original pixels, and their number. */
  at: Uint32Array;
  count: Uint32Array;
}

export class PixelRoc {
  readonly #entries: Entry[] = [];
  #lowest = Number.POSITIVE_INFINITY;

  /**
   * Adds one image.
   * @param map height×width pixel scores
   * @param mask at the original resolution, whatever its size; 1 = anomalous
   * @param type anomaly type, null for a normal image
   */
  add(map: Float32Array, height: number, width: number, mask: Mask, type: string | null = null): void {
    this.#lowest = Math.min(this.#lowest, checkedMinimum(map, height, width, mask));
    this.#entries.push({
      type,
      map,
      width,
      rows: repeats(height, mask.height),
      columns: repeats(width, mask.width),
      ...anomalousPixels(height, width, mask),
    });
  }

  /** @param maxPoints of the curve */
  result(maxPoints = 200): PixelRocResult {
    const table = this.#table();
    const normal = countPixels(
      this.#entries.filter((e) => e.type === null),
      table,
    );
    const total = copyCounts(normal);
    const perType: [string, { images: number; rocAuc: number | null }][] = [];
    for (const [type, entries] of groupByType(this.#entries)) {
      const counts = countPixels(entries, table);
      addCounts(total, counts);
      addCounts(counts, normal);
      perType.push([
        type,
        { images: entries.length, rocAuc: areaOfRanked(ranked(counts, table, this.#lowest)) },
      ]);
    }
    const all = ranked(total, table, this.#lowest);
    return {
      rocAuc: areaOfRanked(all),
      curve: curveOfRanked(all, maxPoints),
      perType: Object.fromEntries(perType),
      images: this.#entries.length,
      pixels: sum(all.positives) + sum(all.negatives),
      anomalousPixels: sum(all.positives),
    };
  }

  /**
   * Pair counts between groups of images, for bootstrapPairs.
   * @param groups name of the group of each image, in the order of add
   * @param type only this anomaly type's images and the normal ones
   */
  pairs(groups: readonly string[], type?: string): PairCounts {
    if (groups.length !== this.#entries.length) {
      throw new FcddError(
        'FCDD_INVALID_ARGUMENT',
        `expected one group per image added, received ${groups.length} groups for ${this.#entries.length} images`,
      );
    }
    const chosen = this.#entries.map((_, i) => i).filter((i) => this.#isOf(i, type));
    const { of, count } = groupIndices(chosen.map((i) => groups[i]!));
    const members: Entry[][] = Array.from({ length: count }, () => []);
    chosen.forEach((entry, k) => {
      members[of[k]!]!.push(this.#entries[entry]!);
    });
    return pairsOfGroups(members, this.#table());
  }

  #isOf(i: number, type: string | undefined): boolean {
    const own = this.#entries[i]!.type;
    return type === undefined || own === null || own === type;
  }

  /** The distinct values of map pixels that cover an anomaly. */
  #table(): ValueTable {
    const length = this.#entries.reduce((n, e) => n + e.at.length, 0);
    const values = new Float32Array(length);
    let next = 0;
    for (const { map, at } of this.#entries) {
      for (const i of at) values[next++] = map[i]!;
    }
    return new ValueTable(values);
  }
}

/**
 * Counts against a table of T values, lowest first. `positives[t]` have the value t; `negatives[2t+1]` too;
 * `negatives[2t]` lie between the values t−1 and t (the last entry, 2T, above all).
 */
interface Counts {
  positives: Float64Array;
  negatives: Float64Array;
}

function countPixels(entries: readonly Entry[], table: ValueTable): Counts {
  const counts = {
    positives: new Float64Array(table.values.length),
    negatives: new Float64Array(2 * table.values.length + 1),
  };
  for (const entry of entries) countEntry(entry, table, counts);
  return counts;
}

function countEntry(entry: Entry, table: ValueTable, { positives, negatives }: Counts): void {
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

function copyCounts({ positives, negatives }: Counts): Counts {
  return { positives: positives.slice(), negatives: negatives.slice() };
}

function addCounts(to: Counts, from: Counts): void {
  for (let i = 0; i < to.positives.length; i++) to.positives[i]! += from.positives[i]!;
  for (let i = 0; i < to.negatives.length; i++) to.negatives[i]! += from.negatives[i]!;
}

/** Highest first, as the ROC functions take it, with the threshold that reaches just as far down. */
function ranked({ positives, negatives }: Counts, { values }: ValueTable, lowest: number): RankedCounts {
  const slots = negatives.length;
  const result = {
    values: new Float64Array(slots),
    positives: new Float64Array(slots),
    negatives: new Float64Array(slots),
  };
  for (let slot = slots - 1, i = 0; slot >= 0; slot--, i++) {
    const t = slot >> 1;
    const isValue = slot % 2 === 1;
    result.values[i] = isValue ? values[t]! : t === 0 ? lowest : nextAbove(values[t - 1]!);
    result.positives[i] = isValue ? positives[t]! : 0;
    result.negatives[i] = negatives[slot]!;
  }
  return result;
}

const word = new Float32Array(1);
const wordBits = new Int32Array(word.buffer);

/** The next larger float32: `score ≥ nextAbove(v)` says `score > v`. */
function nextAbove(value: number): number {
  word[0] = value + 0;
  wordBits[0]! += value >= 0 ? 1 : -1;
  return word[0]!;
}

/** For each group of negatives the number below each value, against each group's positives of that value. */
function pairsOfGroups(members: readonly Entry[][], table: ValueTable): PairCounts {
  const pairs = emptyPairs(members.length);
  const size = table.values.length;
  const positives = members.map((entries) => sparsePositives(entries, table));
  positives.forEach((p, g) => {
    pairs.positives[g] = sum(p.count);
  });
  const wins = new Float64Array(size);
  members.forEach((entries, n) => {
    const { negatives } = countPixels(entries, table);
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

function sparsePositives(entries: readonly Entry[], table: ValueTable) {
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
  const at = counts.reduce<number[]>((found, n, i) => {
    if (n > 0) found.push(i);
    return found;
  }, []);
  return { at: Uint32Array.from(at), count: Uint32Array.from(at, (i) => counts[i]!) };
}

function groupByType(entries: readonly Entry[]): Map<string, Entry[]> {
  const groups = new Map<string, Entry[]>();
  for (const entry of entries) {
    if (entry.type === null) continue;
    if (!groups.has(entry.type)) groups.set(entry.type, []);
    groups.get(entry.type)!.push(entry);
  }
  return groups;
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

function sum(values: ArrayLike<number>): number {
  let total = 0;
  for (let i = 0; i < values.length; i++) total += values[i]!;
  return total;
}
