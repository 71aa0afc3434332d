import { openDevice, ops } from '../engine/index.js';
import type { ConvProblem, PostProblem, TimedOp, UpsampleProblem } from '../engine/ops.js';
import type { Device } from '../engine/types.js';
import { FcddError } from '../errors.js';
import { relativeDistance } from '../evaluation/distance.js';
import { median } from './ours.js';
import type { BenchRow } from './types.js';

/** A layer of the networks whose passes are timed. */
interface LayerCase {
  name: string;
  conv: ConvProblem;
}

const layer = (
  name: string,
  batch: number,
  extent: number,
  channels: number,
  filters: number,
  kernel: number,
): LayerCase => ({
  name,
  conv: { batch, height: extent, width: extent, channels, filters, kernel, padding: (kernel - 1) / 2 },
});

const layers: readonly LayerCase[] = [
  layer('cnn28-w conv1', 128, 28, 1, 128, 5),
  layer('cnn28-w conv2', 128, 14, 128, 128, 5),
  layer('cnn32-lw3k conv1', 20, 32, 3, 128, 3),
  layer('cnn32-lw3k conv2', 20, 16, 128, 256, 3),
  layer('cnn32-lw3k conv3', 20, 16, 256, 256, 3),
  layer('cnn224-w conv1', 8, 224, 3, 32, 5),
  layer('cnn224-w conv2', 8, 112, 32, 128, 5),
  layer('vgg11 conv1', 8, 224, 3, 64, 3),
  layer('vgg11 conv2', 8, 112, 64, 128, 3),
  layer('vgg11 conv3', 8, 56, 128, 256, 3),
  layer('vgg11 conv4', 8, 56, 256, 256, 3),
  layer('vgg11 conv5', 8, 28, 256, 512, 3),
  layer('vgg11 conv6', 8, 28, 512, 512, 3),
];

interface OpCase {
  name: string;
  op: TimedOp;
  batch: number;
  problem: object;
  operands: object;
  /** Of the direct algorithm. */
  flops: number;
  /** That must be read and written at least. */
  bytes: number;
}

/**
 * Numbers in (-1, 1) without a pattern that an algorithm could profit from, or that would let sums cancel and make the
 * error of the result look larger than it is: a 32-bit counter through the finaliser 'lowbias32'.
 */
function values(count: number, seed: number): Float32Array {
  const made = new Float32Array(count);
  for (let i = 0; i < count; i++) {
    let h = Math.imul(seed, 0x9e3779b9) + i;
    h = Math.imul(h ^ (h >>> 16), 0x7feb352d);
    h = Math.imul(h ^ (h >>> 15), 0x846ca68b);
    made[i] = (h ^ (h >>> 16)) / 2 ** 31;
  }
  return made;
}

function convCases({ name, conv }: LayerCase): OpCase[] {
  const { batch, height, width, channels, filters, kernel } = conv;
  const pixels = batch * height * width;
  const [x, y, w] = [pixels * channels, pixels * filters, filters * channels * kernel ** 2];
  const flops = 2 * y * channels * kernel ** 2;
  const bytes = 4 * (x + y + w);
  const common = { batch, problem: conv, flops, bytes };
  const first = channels <= 3; // whose input gradient nobody wants
  return [
    { name: `${name} forward`, op: 'conv2d', operands: { x: values(x, 1), w: values(w, 2) }, ...common },
    ...(first
      ? []
      : [
          {
            name: `${name} input gradient`,
            op: 'conv2dInputGrad' as const,
            operands: { dy: values(y, 3), w: values(w, 2) },
            ...common,
          },
        ]),
    {
      name: `${name} weight gradient`,
      op: 'conv2dWeightGrad',
      operands: { x: values(x, 1), dy: values(y, 3) },
      ...common,
    },
  ];
}

function otherCases(): OpCase[] {
  const post: PostProblem = { batch: 8, height: 112, width: 112, channels: 128, norm: 'batch', slope: 0 };
  const count = 8 * 112 * 112 * 128;
  const channels = {
    mean: values(128, 1),
    invStd: values(128, 2),
    gamma: values(128, 3),
    beta: values(128, 4),
  };
  const pooled = { ...post, pool: { kernel: 2 } };
  const up: UpsampleProblem = {
    batch: 8,
    inHeight: 28,
    inWidth: 28,
    height: 224,
    width: 224,
    taps: 62,
    jump: 8,
    shift: 3,
  };
  const weights = 4_500_000; // of vgg11
  const state = { w: values(weights, 1), grad: values(weights, 2), m: values(weights, 3) };
  return [
    {
      ...{ name: 'batch norm, ReLU, max pool', op: 'post' as const, batch: 8, problem: pooled },
      ...{
        operands: { x: values(count, 5), ...channels },
        flops: 3 * count,
        bytes: 4 * count * 1.25 + count / 4,
      },
    },
    {
      ...{ name: 'batch norm, ReLU backward', op: 'postBackward' as const, batch: 8, problem: post },
      ...{
        operands: { x: values(count, 5), dy: values(count, 6), ...channels },
        flops: 8 * count,
        bytes: 5 * 4 * count,
      },
    },
    {
      ...{ name: 'Gaussian upsampling 28 to 224', op: 'gaussianUpsample' as const, batch: 8, problem: up },
      operands: { x: values(8 * 28 * 28, 7), taps: ops.gaussianTaps(62, 12) },
      ...{ flops: 8 * (224 * 28 + 224 * 224) * 8 * 2, bytes: 4 * 8 * (28 * 28 + 224 * 224) },
    },
    {
      ...{
        name: 'SGD update',
        op: 'update' as const,
        batch: 1,
        problem: { kind: 'sgd', step: 2, lr: 0.01, momentum: 0.9 },
      },
      ...{ operands: state, flops: 6 * weights, bytes: 5 * 4 * weights },
    },
  ];
}

/** The same operation on one image of at most 16×16, which the reference device computes in a moment. */
function small(test: LayerCase): OpCase[] {
  const { height, width } = test.conv;
  return convCases({
    name: test.name,
    conv: { ...test.conv, batch: 1, height: Math.min(16, height), width: Math.min(16, width) },
  });
}

async function errorOf(device: Device, reference: Device, test: OpCase): Promise<number> {
  const [found, expected] = await Promise.all([
    ops.time(device, test.op, test.problem, test.operands, 0),
    ops.time(reference, test.op, test.problem, test.operands, 0),
  ]);
  const main = { conv2dInputGrad: 'dx', conv2dWeightGrad: 'dw', postBackward: 'dx', update: 'w' } as Record<
    string,
    string
  >;
  const name = main[test.op] ?? 'y';
  return relativeDistance(found.results[name]!, expected.results[name]!);
}

export interface OpsOptions {
  /** Networks whose layers are timed; default: all of the table, and the other operations. */
  models?: readonly string[];
  /** Images of a convolution's call; default: those of the table. */
  batches?: readonly number[];
  seconds: number;
  rounds: number;
  onNote?: (text: string) => void;
}

/** Times every operation on operands that stay on the device, after comparing it with `reference`. */
export async function benchOps(
  device: Device,
  roofs: { gflops: number; gigabytes: number } | null,
  { models, batches, seconds, rounds, onNote }: OpsOptions,
): Promise<BenchRow[]> {
  using reference = openDevice('reference');
  const chosen = layers
    .filter(({ name }) => models?.some((model) => name.startsWith(`${model} `)) ?? true)
    .flatMap(({ name, conv }) =>
      (batches ?? [conv.batch]).map((batch) => ({ name, conv: { ...conv, batch } })),
    );
  const cases = chosen.flatMap((test) =>
    convCases(test).map((full, i) => ({ full, check: small(test)[i]! })),
  );
  const others = models ? [] : otherCases().map((full) => ({ full, check: full }));
  if (cases.length + others.length === 0)
    throw new FcddError('FCDD_USAGE', `the suite ops has no layers of ${models!.join(', ')}`, {
      hint: 'it has those of cnn28-w, cnn32-lw3k, cnn224-w and vgg11',
    });
  const rows: BenchRow[] = [];
  for (const { full, check } of [...cases, ...others]) {
    onNote?.(full.name);
    const error = await errorOf(device, reference, check);
    const first = await ops.time(device, full.op, full.problem, full.operands, 3);
    const calls = Math.max(3, Math.ceil((1000 * seconds) / Math.max(median(first.milliseconds), 0.01)));
    const medians: number[] = [];
    for (let round = 0; round < rounds; round++) {
      const turn = await ops.time(device, full.op, full.problem, full.operands, Math.min(calls, 10_000));
      medians.push(median(turn.milliseconds));
    }
    const ms = median(medians);
    const gflops = full.flops / ms / 1e6;
    const gigabytes = full.bytes / ms / 1e6;
    rows.push({
      suite: 'ops',
      model: full.name,
      batch: full.batch,
      ms,
      spread: [Math.min(...medians), Math.max(...medians)],
      imagesPerSecond: (1000 * full.batch) / ms,
      ...{ peer: null, peerMs: null, ratio: null, error, gflops, gigabytes },
      ...(roofs ? { fmaShare: gflops / roofs.gflops, memoryShare: gigabytes / roofs.gigabytes } : {}),
    });
  }
  return rows;
}
