/**
 * Scales of heatmaps: which values become the two ends of the colour map. A heatmap that is scaled by itself is red on
 * a good image too, so pictures use one scale for the whole set (`global`), as FCDD's reference code does: minus the
 * minimum, divided by the q-quantile over all maps, clamped to [0, 1].
 */
import { FcddError } from '../errors.js';
import { drawWithoutReplacement, seededRandom } from '../evaluation/random.js';

/** Values at the lower and upper end of the colour map. */
export interface Scale {
  min: number;
  max: number;
}

export interface GlobalScaleOptions {
  /** The value at the upper end is the k-th smallest, k = ⌊quantile·N⌋ counted from 1, at least the first. */
  quantile: number;
  /**
   * 0|1 per map: the more frequent label is thinned at random to equal counts, so that the scale does not depend on the
   * mix. Without labels, or with one label only, all maps count.
   */
  labels?: ArrayLike<number>;
  /** Of the thinning, default 0. */
  seed?: number;
}

/**
 * One scale for a set of maps. Exact for any number of values with constant memory: the order statistic is found by
 * radix, in two passes over the maps.
 * @param count number of maps
 * @param map gives the i-th map (upsampled); called twice per map, so it may read from disk
 * @throws FCDD_INVALID_ARGUMENT without maps, for values that are not finite, or a quantile outside (0, 1]
 */
export function globalScale(
  count: number,
  map: (index: number) => Float32Array,
  options: GlobalScaleOptions,
): Scale {
  const { quantile, labels, seed = 0 } = options;
  if (!(quantile > 0 && quantile <= 1)) {
    throw new FcddError('FCDD_INVALID_ARGUMENT', `expected a quantile in (0, 1], received ${quantile}`);
  }
  if (labels && labels.length !== count) {
    throw new FcddError(
      'FCDD_INVALID_ARGUMENT',
      `expected one label per map, received ${labels.length} labels for ${count} maps`,
    );
  }
  return scaleOf(labels ? balanced(labels, seed) : range(count), map, quantile);
}

/** globalScale of maps that are in memory. */
export function heatmapScale(
  maps: readonly { map: Float32Array; label: 0 | 1 }[],
  options: { quantile: number; seed?: number },
): Scale {
  const labels = maps.map(({ label }) => label);
  return globalScale(maps.length, (i) => maps[i]!.map, { ...options, labels });
}

/** Scale of one map by itself: its own minimum and maximum. */
export function localScale(map: Float32Array): Scale {
  let min = Number.POSITIVE_INFINITY;
  let max = Number.NEGATIVE_INFINITY;
  for (const v of map) {
    if (v < min) min = v;
    if (v > max) max = v;
  }
  return { min, max };
}

/** Position of a value on the scale, clamped to [0, 1]; 0 on a scale without extent. */
export function onScale(value: number, { min, max }: Scale): number {
  return max > min ? Math.min(1, Math.max(0, (value - min) / (max - min))) : 0;
}

/** Indices with the more frequent label thinned at random; all of them when only one label occurs. */
export function balanced(labels: ArrayLike<number>, seed: number): number[] {
  const all = range(labels.length);
  const normal = all.filter((i) => labels[i] === 0);
  const anomalous = all.filter((i) => labels[i] !== 0);
  const [few, many] = normal.length < anomalous.length ? [normal, anomalous] : [anomalous, normal];
  if (few.length === 0) return all;
  const kept = drawWithoutReplacement(many.length, few.length, seededRandom(seed)).map((k) => many[k]!);
  return [...few, ...kept].sort((a, b) => a - b);
}

/** Minimum and k-th smallest, by a histogram of the upper 16 bits of the ordered keys, then one of the lower. */
function scaleOf(indices: number[], map: (index: number) => Float32Array, quantile: number): Scale {
  const upper = new Float64Array(65536);
  let total = 0;
  let lowest = 0xffffffff;
  for (const i of indices) {
    const keys = orderedKeys(map(i));
    for (const key of keys) {
      upper[key >>> 16]!++;
      if (key < lowest) lowest = key;
    }
    total += keys.length;
  }
  if (total === 0) throw new FcddError('FCDD_INVALID_ARGUMENT', 'expected at least one map, received none');
  const high = locate(upper, Math.max(1, Math.floor(quantile * total)));
  const lower = new Float64Array(65536);
  for (const i of indices) {
    for (const key of orderedKeys(map(i))) {
      if (key >>> 16 === high.bin) lower[key & 0xffff]!++;
    }
  }
  const low = locate(lower, high.rest);
  return { min: valueOfKey(lowest), max: valueOfKey(((high.bin << 16) | low.bin) >>> 0) };
}

/** The bin that holds the k-th smallest, and which one it is in there. */
function locate(histogram: Float64Array, k: number): { bin: number; rest: number } {
  let rest = k;
  let bin = 0;
  while (rest > histogram[bin]!) rest -= histogram[bin++]!;
  return { bin, rest };
}

/** float32 → uint32 with the same order. */
function orderedKeys(values: Float32Array): Uint32Array {
  const keys = new Uint32Array(values.length);
  keys.set(new Uint32Array(values.buffer, values.byteOffset, values.length));
  for (let i = 0; i < keys.length; i++) {
    const bits = keys[i]!;
    // All exponent bits set: infinite or not a number.
    if ((bits & 0x7f800000) === 0x7f800000) {
      throw new FcddError('FCDD_INVALID_ARGUMENT', `expected finite heatmaps, received ${values[i]}`);
    }
    keys[i] = bits & 0x80000000 ? ~bits : bits | 0x80000000;
  }
  return keys;
}

function valueOfKey(key: number): number {
  const bits = Uint32Array.of(key & 0x80000000 ? key & 0x7fffffff : ~key);
  return new Float32Array(bits.buffer)[0]!;
}

function range(count: number): number[] {
  return Array.from({ length: count }, (_, i) => i);
}
