/**
 * Exact figures over all pixels of a test set, at the masks' original resolution, without building the maps at that
 * resolution: nearest-neighbour upsampling (source index ⌊i·in/out⌋) gives every original pixel one of the map's
 * values, so it is enough to count, per map pixel, how many anomalous and normal original pixels it stands for.
 * ROC-AUC, average precision and best F1 as scikit-learn's; AUPRO over the 8-connected components of the masks.
 *
 * Memory: the maps are kept by reference, 4 bytes per map pixel (do not write to them afterwards), plus 12 bytes per map
 * pixel that covers an anomaly, plus 64 MiB at most. Only the values of such pixels can be points where a curve turns, so
 * negatives are counted between them, a block of values at a time, and nothing is sorted as a whole.
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
import { type BestF1, CurveScan } from './curve-scan.js';
import { type PixelEntry, pixelEntry } from './pixel-counts.js';
import { pairsOfGroups } from './pixel-pairs.js';
import { CurvePoints, type RocCurve } from './roc.js';
import { type BlockCounts, countBlock, emptyBlock, type ValueBlock, valueBlocks } from './value-blocks.js';
import { ValueTable } from './value-table.js';

/** All null when there are no anomalous or no normal pixels. */
export interface PixelFigures {
  rocAuc: number | null;
  averagePrecision: number | null;
  bestF1: BestF1 | null;
  /** Area under the per-region overlap up to 30 % false-positive rate, divided by 0.3. */
  aupro: number | null;
}

export interface PixelRocResult extends PixelFigures {
  curve: RocCurve | null;
  /** Per anomaly type: that type's images against them and the normal images. */
  perType: Record<string, PixelFigures & { images: number }>;
  images: number;
  pixels: number;
  anomalousPixels: number;
  /** 8-connected defects in the masks. */
  components: number;
}

/** Values counted at a time, over all groups of images. */
const defaultBlockValues = 2 ** 21;

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

  /**
   * @param maxPoints of the curve
   * @param blockValues distinct values counted at a time, over all groups of images: memory against time
   */
  result(maxPoints = 200, blockValues = defaultBlockValues): PixelRocResult {
    const entries = this.#entries;
    const normal = entries.filter((e) => e.type === null);
    const types = [...groupByType(entries)];
    const totals = totalsOf(entries);
    const all = new CurveScan(totals);
    const points = new CurvePoints(totals.positives, totals.negatives);
    // The first group is that of the normal images, which count for every type.
    const groups = [normal, ...types.map(([, members]) => members)];
    const scans = types.map(([, members]) => new CurveScan(totalsOf([...normal, ...members])));
    const { values } = this.#table();
    const size = Math.min(values.length, Math.ceil(blockValues / groups.length));
    const counts = groups.map(() => emptyBlock(size));
    const lowest = entries.reduce((least, e) => Math.min(least, e.lowest), Number.POSITIVE_INFINITY);
    for (const block of valueBlocks(values, size)) {
      groups.forEach((members, g) => {
        countBlock(members, block, counts[g]!);
      });
      for (let slot = 2 * block.table.values.length; slot >= 0; slot--) {
        const value = slotValue(block, slot, lowest);
        const before = all.tp + all.fp;
        addSlot(all, value, slot, counts);
        if (all.tp + all.fp > before) points.add(value, all.tp, all.fp);
        scans.forEach((scan, t) => {
          addSlot(scan, value, slot, [counts[0]!, counts[t + 1]!]);
        });
      }
    }
    const figures = figuresOf(all);
    return {
      ...figures,
      curve: figures.rocAuc === null ? null : points.curve(maxPoints),
      perType: Object.fromEntries(
        types.map(([type, members], t) => [type, { images: members.length, ...figuresOf(scans[t]!) }]),
      ),
      images: entries.length,
      pixels: totals.positives + totals.negatives,
      anomalousPixels: totals.positives,
      components: totals.components,
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

function totalsOf(entries: readonly PixelEntry[]): {
  positives: number;
  negatives: number;
  components: number;
} {
  let positives = 0;
  let pixels = 0;
  let components = 0;
  for (const entry of entries) {
    positives += sum(entry.count);
    pixels += entry.pixels;
    components += entry.ends.length;
  }
  return { positives, negatives: pixels - positives, components };
}

const none: PixelFigures = { rocAuc: null, averagePrecision: null, bestF1: null, aupro: null };

const figuresOf = (scan: CurveScan): PixelFigures => scan.figures() ?? none;

function addSlot(scan: CurveScan, value: number, slot: number, counts: readonly BlockCounts[]): void {
  let positives = 0;
  let negatives = 0;
  let covered = 0;
  const t = (slot - 1) / 2;
  for (const group of counts) {
    negatives += group.negatives[slot]!;
    if (slot % 2 === 0) continue;
    positives += group.positives[t]!;
    covered += group.covered[t]!;
  }
  scan.add(value, positives, negatives, covered);
}

/** The threshold that reaches down to a slot: its value, or just above the value below it. */
function slotValue({ table: { values }, low }: ValueBlock, slot: number, lowest: number): number {
  if (slot % 2 === 1) return values[slot >> 1]!;
  if (slot > 0) return nextAbove(values[(slot >> 1) - 1]!);
  return low === Number.NEGATIVE_INFINITY ? lowest : nextAbove(low);
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
