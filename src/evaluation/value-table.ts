/**
 * Where a value lies among sorted distinct values. Buckets of equal width narrow the binary search to a few entries,
 * which makes counting tens of millions of pixels cheap.
 */
export class ValueTable {
  /** Ascending, distinct. */
  readonly values: Float32Array;
  readonly #starts: Uint32Array;
  readonly #scale: number;

  /** @param values finite, in any order, with repetitions; sorted in place */
  constructor(values: Float32Array) {
    this.values = distinct(values.sort());
    const size = this.values.length;
    const span = size > 0 ? this.values[size - 1]! - this.values[0]! : 0;
    this.#scale = span > 0 ? size / span : 0;
    // starts[b]: the first value in bucket b or later; a monotone bucket function makes this a valid bracket.
    this.#starts = new Uint32Array(size + 2).fill(size);
    for (let i = size - 1; i >= 0; i--) this.#starts[this.#bucket(this.values[i]!)] = i;
    for (let b = size; b >= 0; b--) {
      this.#starts[b] = Math.min(this.#starts[b]!, this.#starts[b + 1]!);
    }
  }

  /** 2t+1 for a value equal to values[t], 2t for one between values[t−1] and values[t], 2·length above all. */
  slot(value: number): number {
    const { values } = this;
    const size = values.length;
    if (size === 0 || value < values[0]!) return 0;
    if (value > values[size - 1]!) return 2 * size;
    const bucket = this.#bucket(value);
    let low = this.#starts[bucket]!;
    let high = this.#starts[bucket + 1]!;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (values[middle]! < value) low = middle + 1;
      else high = middle;
    }
    return values[low] === value ? 2 * low + 1 : 2 * low;
  }

  #bucket(value: number): number {
    return Math.min(Math.floor((value - this.values[0]!) * this.#scale), this.values.length);
  }
}

function distinct(sorted: Float32Array): Float32Array {
  let size = 0;
  for (let i = 0; i < sorted.length; i++) {
    if (size === 0 || sorted[i] !== sorted[size - 1]) sorted[size++] = sorted[i]!;
  }
  return sorted.slice(0, size);
}
