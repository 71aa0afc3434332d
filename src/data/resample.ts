/**
 * Resizing of 8-bit pictures, H×W×C interleaved. Plain functions of their arguments, so that training, evaluation
 * and a detector see the same bytes on every machine. Results are rounded to nearest.
 */
export interface Raster {
  height: number;
  width: number;
  channels: 1 | 3;
  data: Uint8Array;
}

/** Nearest neighbour without antialiasing: source index ⌊i·in/out⌋, as the published MVTec constants assume. */
export function resizeNearest(source: Raster, height: number, width: number): Raster {
  const { channels } = source;
  if (height === source.height && width === source.width) return source;
  const columns = Int32Array.from(
    { length: width },
    (_, x) => Math.floor((x * source.width) / width) * channels,
  );
  const data = new Uint8Array(height * width * channels);
  let target = 0;
  for (let y = 0; y < height; y++) {
    const row = Math.floor((y * source.height) / height) * source.width * channels;
    for (let x = 0; x < width; x++) {
      const from = row + columns[x]!;
      for (let c = 0; c < channels; c++) data[target++] = source.data[from + c]!;
    }
  }
  return { height, width, channels, data };
}

/** Mean over the covered source area (exact coverage) along an axis that shrinks, linear along one that grows. */
export function resizeArea(source: Raster, height: number, width: number): Raster {
  return resizeSeparable(source, height, width, areaWeights);
}

/** Bilinear with antialiasing: a triangle as wide as the reduction, as PIL's BILINEAR. */
export function resizeBilinear(source: Raster, height: number, width: number): Raster {
  return resizeSeparable(source, height, width, triangleWeights);
}

/** For each output index the first source index and the weights (sum 1) from there on. */
type Weights = { first: number; weights: Float64Array }[];

function areaWeights(size: number, target: number): Weights {
  if (target >= size) return triangleWeights(size, target);
  const scale = size / target;
  return Array.from({ length: target }, (_, i) => {
    const low = i * scale;
    const high = Math.min((i + 1) * scale, size);
    const first = Math.floor(low);
    const weights = new Float64Array(Math.ceil(high) - first);
    for (let k = 0; k < weights.length; k++) {
      weights[k] = Math.min(high, first + k + 1) - Math.max(low, first + k);
    }
    return { first, weights: normalise(weights) };
  });
}

function triangleWeights(size: number, target: number): Weights {
  const scale = size / target;
  const support = Math.max(scale, 1);
  return Array.from({ length: target }, (_, i) => {
    const centre = (i + 0.5) * scale;
    const first = Math.max(Math.floor(centre - support + 0.5), 0);
    const last = Math.min(Math.floor(centre + support + 0.5), size);
    const weights = new Float64Array(last - first);
    for (let k = 0; k < weights.length; k++) {
      weights[k] = Math.max(0, 1 - Math.abs((first + k + 0.5 - centre) / support));
    }
    return { first, weights: normalise(weights) };
  });
}

function normalise(weights: Float64Array): Float64Array {
  const sum = weights.reduce((total, weight) => total + weight, 0);
  return weights.map((weight) => weight / sum);
}

function resizeSeparable(
  source: Raster,
  height: number,
  width: number,
  weightsOf: (size: number, target: number) => Weights,
): Raster {
  if (height === source.height && width === source.width) return source;
  const { channels } = source;
  const columns = weightsOf(source.width, width);
  const sourceRow = new Float64Array(width * channels);
  const data = new Uint8Array(height * width * channels);
  const sums = new Float64Array(width * channels);
  // Rows are reduced horizontally when first needed and kept while an output row still covers them.
  const reduced = new Map<number, Float64Array>();
  weightsOf(source.height, height).forEach(({ first, weights }, y) => {
    for (const row of reduced.keys()) if (row < first) reduced.delete(row);
    sums.fill(0);
    weights.forEach((weight, k) => {
      const row = first + k;
      let values = reduced.get(row);
      if (!values) {
        reduceRow(source, row, columns, sourceRow);
        values = sourceRow.slice();
        reduced.set(row, values);
      }
      for (let i = 0; i < sums.length; i++) sums[i] = sums[i]! + weight * values[i]!;
    });
    for (let i = 0; i < sums.length; i++)
      data[y * sums.length + i] = Math.min(255, Math.floor(sums[i]! + 0.5));
  });
  return { height, width, channels, data };
}

function reduceRow(source: Raster, row: number, columns: Weights, out: Float64Array): void {
  const { channels, data, width } = source;
  const base = row * width * channels;
  columns.forEach(({ first, weights }, x) => {
    for (let c = 0; c < channels; c++) {
      let sum = 0;
      for (let k = 0; k < weights.length; k++) sum += weights[k]! * data[base + (first + k) * channels + c]!;
      out[x * channels + c] = sum;
    }
  });
}

/** Three equal channels of one, or ITU-R 601 luma of three (PIL's integer weights); else the picture itself. */
export function toChannels(source: Raster, channels: 1 | 3): Raster {
  if (source.channels === channels) return source;
  const area = source.height * source.width;
  const data = new Uint8Array(area * channels);
  for (let i = 0; i < area; i++) {
    if (channels === 3) {
      data.fill(source.data[i]!, 3 * i, 3 * i + 3);
    } else {
      const [r, g, b] = [source.data[3 * i]!, source.data[3 * i + 1]!, source.data[3 * i + 2]!];
      data[i] = (r * 19595 + g * 38470 + b * 7471 + 0x8000) >> 16;
    }
  }
  return { height: source.height, width: source.width, channels, data };
}
