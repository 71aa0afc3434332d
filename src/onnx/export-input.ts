/**
 * The first part of an exported graph: from a raw picture (uint8, N×H×W×3, RGB) to the network's input (float32, NCHW),
 * stage by stage what data/decode.ts and the native test pipeline do. What is rounded there is rounded here.
 */
import { FcddError } from '../errors.js';
import type { ModelMetadata } from '../models/index.js';
import type { GraphBuilder } from './nodes.js';
import { calculate, range, type Whole, whole, wholeName } from './whole-numbers.js';

/** Height or width of the picture as stored, and where each row or column of the network's input comes from. */
interface Axis {
  /** Extent of the picture given to the graph. */
  source: Whole;
  /** Extent that it is resized to first. */
  stored: Whole;
  /** Index into the stored picture of each of the input's rows or columns. */
  index: Whole;
  /** 1 where there is a picture, 0 in the padding; null without padding. */
  inside: number[] | null;
}

/** Where pictures of any size are taken: the first resize is inside the graph. */
export type InputSize = 'stored' | 'any';

/** Size of the picture that a graph for `stored` pictures takes. */
export function storedExtent({ stored }: ModelMetadata): { height: number; width: number } {
  return { height: stored.height, width: stored.fit === 'short-side' ? stored.height : stored.width };
}

/** @returns name of the N×C×H×W float32 input of the network */
export function inputStages(
  graph: GraphBuilder,
  image: string,
  metadata: ModelMetadata,
  size: InputSize,
): string {
  const rows = axisOf(graph, image, metadata, size, 'height');
  const columns = axisOf(graph, image, metadata, size, 'width');
  let x = placed(graph, image, metadata, size, rows, columns);
  if (metadata.input.channels === 1) x = greyLevel(graph, x);
  x = masked(graph, x, rows, columns);
  return normalised(graph, x, metadata.pipeline);
}

function axisOf(
  graph: GraphBuilder,
  image: string,
  metadata: ModelMetadata,
  size: InputSize,
  key: 'height' | 'width',
): Axis {
  const source: Whole = size === 'stored' ? whole(storedExtent(metadata)[key]) : extentOf(graph, image, key);
  const stored = size === 'stored' ? source : storedSize(graph, image, metadata, key, source);
  const { pipeline } = metadata;
  const resized = pipeline.resize ? whole(pipeline.resize[key]) : stored;
  const pad = pipeline.pad ?? 0;
  const margin = calculate(
    graph,
    'Sub',
    calculate(graph, 'Add', resized, whole(2 * pad)),
    whole(pipeline[key]),
  );
  const offset = centreOffset(graph, margin);
  const placedAt = calculate(graph, 'Add', range(pipeline[key]), offset);
  const { at, inside } = withoutPadding(placedAt, pad, resized);
  return { source, stored, index: pipeline.resize ? nearest(graph, at, stored, resized) : at, inside };
}

function extentOf(graph: GraphBuilder, image: string, key: 'height' | 'width'): Whole {
  const index = graph.constant('int64', [1], [key === 'height' ? 1 : 2]);
  return { node: graph.node('Gather', [graph.node('Shape', [image]), index], { axis: 0 }) };
}

/** As decode.ts: both extents, or the short one with the aspect kept and the long side rounded down. */
function storedSize(
  graph: GraphBuilder,
  image: string,
  { stored }: ModelMetadata,
  key: 'height' | 'width',
  source: Whole,
): Whole {
  if (stored.fit !== 'short-side') return whole(stored[key]);
  const other = extentOf(graph, image, key === 'height' ? 'width' : 'height');
  const short = calculate(graph, 'Min', source, other);
  return calculate(graph, 'Div', calculate(graph, 'Mul', whole(stored.height), source), short);
}

/** torchvision's centre crop: half the margin, rounded to even. */
function centreOffset(graph: GraphBuilder, margin: Whole): Whole {
  const half = calculate(graph, 'Div', margin, whole(2));
  const odd = calculate(graph, 'Mod', margin, whole(2));
  const up = calculate(graph, 'Mul', odd, calculate(graph, 'Mod', half, whole(2)));
  return calculate(graph, 'Add', half, up);
}

function withoutPadding(
  placedAt: Whole,
  pad: number,
  resized: Whole,
): { at: Whole; inside: number[] | null } {
  if (pad === 0) return { at: placedAt, inside: null };
  if ('node' in placedAt || 'node' in resized) {
    throw new FcddError(
      'FCDD_INVALID_ARGUMENT',
      'a model that pads pictures of any aspect cannot be exported',
      {
        hint: 'leave --dynamic out',
      },
    );
  }
  const at = placedAt.values.map((value) => value - pad);
  const last = resized.values[0]! - 1;
  return {
    at: { values: at.map((value) => Math.min(Math.max(value, 0), last)) },
    inside: at.map((value) => (value >= 0 && value <= last ? 1 : 0)),
  };
}

/** PIL's nearest neighbour: ⌊(i+½)·in/out⌋. */
function nearest(graph: GraphBuilder, at: Whole, stored: Whole, resized: Whole): Whole {
  const twice = calculate(graph, 'Add', calculate(graph, 'Mul', at, whole(2)), whole(1));
  const product = calculate(graph, 'Mul', twice, stored);
  return calculate(graph, 'Div', product, calculate(graph, 'Mul', resized, whole(2)));
}

/** The picture at the network's size, float32 N×3×H×W with the values of the bytes. */
function placed(
  graph: GraphBuilder,
  image: string,
  { stored }: ModelMetadata,
  size: InputSize,
  rows: Axis,
  columns: Axis,
): string {
  const planes = (x: string): string => graph.node('Transpose', [x], { perm: [0, 3, 1, 2] });
  if (size === 'stored' || stored.interpolation === 'nearest') {
    // Nearest after nearest is one lookup: ⌊i·in/out⌋ of the index.
    const index = ({ source, stored: target, index: at }: Axis): string => {
      const scaled = (): Whole => calculate(graph, 'Div', calculate(graph, 'Mul', at, source), target);
      return wholeName(graph, size === 'stored' ? at : scaled());
    };
    const x = graph.node('Gather', [image, index(rows)], { axis: 1 });
    const y = graph.node('Gather', [x, index(columns)], { axis: 2 });
    return planes(graph.node('Cast', [y], { to: 1 }));
  }
  // Both passes in float64 like decode.ts, so that a value is rounded to the same byte.
  const exact = planes(graph.node('Cast', [image], { to: 11 }));
  const across = graph.node('MatMul', [exact, resizeMatrix(graph, columns, stored.interpolation, true)]);
  const down = graph.node('MatMul', [resizeMatrix(graph, rows, stored.interpolation, false), across]);
  const rounded = graph.node('Floor', [graph.node('Add', [down, graph.constant('double', [], [0.5])])]);
  const bytes = graph.node('Min', [rounded, graph.constant('double', [], [255])]);
  const x = graph.node('Gather', [graph.node('Cast', [bytes], { to: 1 }), wholeName(graph, rows.index)], {
    axis: 2,
  });
  return graph.node('Gather', [x, wholeName(graph, columns.index)], { axis: 3 });
}

/** Weights of data/resample.ts as a matrix, target × source, or transposed: float64, each target's sum 1. */
function resizeMatrix(
  graph: GraphBuilder,
  { source, stored }: Axis,
  interpolation: 'area' | 'bilinear',
  transposed: boolean,
): string {
  const real = (value: number): string => graph.constant('double', [], [value]);
  const count = (extent: Whole): string => graph.node('Cast', [wholeName(graph, extent)], { to: 11 });
  const numbers = (extent: Whole, axis: number): string => {
    const limit = graph.node('Squeeze', [wholeName(graph, extent), graph.constant('int64', [1], [0])]);
    const zero = graph.constant('int64', [], [0]);
    const one = graph.constant('int64', [], [1]);
    const all = graph.node('Cast', [graph.node('Range', [zero, limit, one])], { to: 11 });
    return graph.node('Unsqueeze', [all, graph.constant('int64', [1], [axis])]);
  };
  const [targetAxis, sourceAxis] = transposed ? [0, 1] : [1, 0];
  const i = numbers(stored, targetAxis);
  const k = numbers(source, sourceAxis);
  const scale = graph.node('Div', [count(source), count(stored)]);
  // Triangle: 1 − |k + ½ − (i + ½)·scale| / max(scale, 1), not below 0.
  const centre = graph.node('Mul', [graph.node('Add', [i, real(0.5)]), scale]);
  const away = graph.node('Abs', [graph.node('Sub', [graph.node('Add', [k, real(0.5)]), centre])]);
  const share = graph.node('Div', [away, graph.node('Max', [scale, real(1)])]);
  let weights = graph.node('Sub', [real(1), share]);
  if (interpolation === 'area') {
    // Length of the overlap of the target's interval and the source pixel, where the axis shrinks.
    const low = graph.node('Mul', [i, scale]);
    const high = graph.node('Min', [
      graph.node('Mul', [graph.node('Add', [i, real(1)]), scale]),
      count(source),
    ]);
    const end = graph.node('Min', [high, graph.node('Add', [k, real(1)])]);
    const overlap = graph.node('Sub', [end, graph.node('Max', [low, k])]);
    weights = graph.node('Where', [graph.node('Greater', [scale, real(1)]), overlap, weights]);
  }
  const positive = graph.node('Max', [weights, real(0)]);
  const axis = graph.constant('int64', [1], [transposed ? 0 : 1]);
  return graph.node('Div', [positive, graph.node('ReduceSum', [positive, axis], { keepdims: 1 })]);
}

/** PIL's integer luma (r·19595 + g·38470 + b·7471 + 2^15) >> 16: below 2^24, so exact in float32. */
function greyLevel(graph: GraphBuilder, x: string): string {
  const weights = graph.constant('float', [1, 3, 1, 1], [19595, 38470, 7471]);
  const sum = graph.node('Conv', [x, weights, graph.constant('float', [1], [0x8000])], {
    kernel_shape: [1, 1],
  });
  return graph.node('Floor', [graph.node('Mul', [sum, graph.constant('float', [], [2 ** -16])])]);
}

/** Zeros in the padding. */
function masked(graph: GraphBuilder, x: string, rows: Axis, columns: Axis): string {
  let y = x;
  if (rows.inside?.includes(0)) {
    y = graph.node('Mul', [y, graph.constant('float', [rows.inside.length, 1], rows.inside)]);
  }
  if (columns.inside?.includes(0)) {
    y = graph.node('Mul', [y, graph.constant('float', [columns.inside.length], columns.inside)]);
  }
  return y;
}

function normalised(graph: GraphBuilder, x: string, pipeline: ModelMetadata['pipeline']): string {
  const { channels, lcn, offset, scale } = pipeline;
  const perChannel = (values: number[]): string => graph.constant('float', [1, channels, 1, 1], values);
  // Without LCN the division by 255 joins the constants; LCN does not see it.
  const unit = lcn ? 1 : 255;
  const start = lcn ? contrastNormalised(graph, x) : x;
  const shifted = graph.node('Sub', [start, perChannel(offset.map((value) => unit * value))]);
  return graph.node('Div', [shifted, perChannel(scale.map((value) => unit * value))]);
}

/** Minus the mean, divided by the mean absolute value (1 if 0), both over all channels and pixels of a picture. */
function contrastNormalised(graph: GraphBuilder, x: string): string {
  // From the first value on, so that a constant picture has exactly its mean.
  const vector = (...values: number[]): string => graph.constant('int64', [values.length], values);
  const first = graph.node('Slice', [x, vector(0, 0, 0), vector(1, 1, 1), vector(1, 2, 3)]);
  const from = graph.node('Sub', [x, first]);
  const centred = graph.node('Sub', [from, meanOf(graph, from, true)]);
  const deviation = meanOf(graph, graph.node('Abs', [centred]), true);
  const flat = graph.node('Equal', [deviation, graph.constant('float', [], [0])]);
  const divisor = graph.node('Where', [flat, graph.constant('float', [], [1]), deviation]);
  return graph.node('Div', [centred, divisor]);
}

/** Mean over all but the batch. */
export function meanOf(graph: GraphBuilder, x: string, keep: boolean, name?: string): string {
  const keepdims = keep ? 1 : 0;
  if (graph.opset < 18) return graph.node('ReduceMean', [x], { axes: [1, 2, 3], keepdims }, name);
  return graph.node('ReduceMean', [x, graph.constant('int64', [3], [1, 2, 3])], { keepdims }, name);
}
