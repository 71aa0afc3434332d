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
import {
  type BootstrapOptions,
  bootstrapPairs,
  groupIndices,
  type Interval,
  mergePairs,
} from './bootstrap.js';
import {
  addCounts,
  copyCounts,
  countPixels,
  type PixelCounts,
  type PixelEntry,
  pixelEntry,
} from './pixel-counts.js';
import { pairsOfGroups } from './pixel-pairs.js';
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

export class PixelRoc {
  readonly #entries: PixelEntry[] = [];

  /**
   * Adds one image.
   * @param map height×width pixel scores
   * @param mask at the original resolution, whatever its size; 1 = anomalous
   * @param type anomaly type, null for a normal image
   */
  add(map: Float32Array, height: number, width: number, mask: Mask, type: string | null = null): void {
    this.#entries.push(pixelEntry(map, height, width, mask, type));
  }

  /** @param maxPoints of the curve */
  result(maxPoints = 200): PixelRocResult {
    const table = this.#table();
    const lowest = this.#entries.reduce((least, e) => Math.min(least, e.lowest), Number.POSITIVE_INFINITY);
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
      perType.push([type, { images: entries.length, rocAuc: areaOfRanked(ranked(counts, table, lowest)) }]);
    }
    const all = ranked(total, table, lowest);
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
   * Bootstrap intervals of the ROC-AUC by groups of images, in all and per anomaly type; exact, see bootstrap.ts.
   * @param groups name of the group of each image, in the order of add
   * @returns null where there are no anomalous or no normal pixels or fewer than two groups
   */
  intervals(
    groups: readonly string[],
    options: BootstrapOptions = {},
  ): { all: Interval | null; perType: Record<string, Interval | null> } {
    if (groups.length !== this.#entries.length) {
      throw new FcddError(
        'FCDD_INVALID_ARGUMENT',
        `expected one group per image added, received ${groups.length} groups for ${this.#entries.length} images`,
      );
    }
    // Images of one group and type are counted together once; every figure is a sum over such cells.
    const cells = groupIndices(this.#entries.map(({ type }, i) => JSON.stringify([type, groups[i]])));
    const members: PixelEntry[][] = Array.from({ length: cells.count }, () => []);
    const groupOfCell: string[] = [];
    this.#entries.forEach((entry, i) => {
      members[cells.of[i]!]!.push(entry);
      groupOfCell[cells.of[i]!] = groups[i]!;
    });
    const pairs = pairsOfGroups(members, this.#table());
    const interval = (type?: string) => {
      const chosen = members.map(([entry]) => type === undefined || (entry!.type ?? type) === type);
      const target = groupOfCell.map((group, cell) => (chosen[cell] ? group : null));
      return bootstrapPairs(mergePairs(pairs, target), options);
    };
    const types = [...groupByType(this.#entries).keys()];
    return {
      all: interval(),
      perType: Object.fromEntries(types.map((type) => [type, interval(type)])),
    };
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

/** Highest first, as the ROC functions take it, with the threshold that reaches just as far down. */
function ranked({ positives, negatives }: PixelCounts, { values }: ValueTable, lowest: number): RankedCounts {
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

function groupByType(entries: readonly PixelEntry[]): Map<string, PixelEntry[]> {
  const groups = new Map<string, PixelEntry[]>();
  for (const entry of entries) {
    if (entry.type === null) continue;
    if (!groups.has(entry.type)) groups.set(entry.type, []);
    groups.get(entry.type)!.push(entry);
  }
  return groups;
}

function sum(values: ArrayLike<number>): number {
  let total = 0;
  for (let i = 0; i < values.length; i++) total += values[i]!;
  return total;
}
