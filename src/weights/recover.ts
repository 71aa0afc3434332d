import { openDevice } from '../engine/index.js';
import type { Layer } from '../engine/types.js';
import { FcddError } from '../errors.js';
import type { Tensor } from '../models/safetensors.js';
import { blockOutputs, type Features } from './activations.js';
import type { Backbone } from './types.js';
import { distance } from './verify.js';

/**
 * Batch normalisation back from convolutions that it was folded into. A folded convolution gives
 * y = γ·(x − μ)/√(σ² + ε) + β, and μ, σ² are the mean and variance of x over the images that the network was trained
 * on; so over such images y has the mean β and the standard deviation |γ| (for σ² ≫ ε). Live normalisation divides
 * the scale of a convolution out, so that w' = w·γ/√(σ² + ε) serves as well as w, with its sign beside |γ|: γ and β are
 * all that is missing. The running statistics are then set so that inference equals the folded network exactly:
 * σ'² = γ'² − ε and μ' = β', with the folded bias left in the convolution.
 *
 * All layers are measured in one pass: inference of the recovered network is that of the folded one, layer by layer.
 */
export interface Recovery {
  backbone: Backbone;
  /** Images measured. */
  images: number;
  /** Relative L2 distance of the recovered network's features from the folded one's, in inference, on the first image. */
  distance: number;
}

/** Sum and sum of squares per channel. */
interface Moments {
  count: number;
  sum: Float64Array;
  squares: Float64Array;
}

/**
 * @param full layers with batch normalisation, of which `folded` has all others
 * @param images 1×H×W×C, normalised as the network was trained
 * @throws FcddError FCDD_INVALID_ARGUMENT without images, or when nothing is folded
 */
export async function recoverNorms(
  folded: Backbone,
  full: Layer[],
  images: AsyncIterable<Features>,
): Promise<Recovery> {
  if (folded.bn !== 'folded')
    throw new FcddError(
      'FCDD_INVALID_ARGUMENT',
      'its batch normalisation is there: nothing has to be recovered',
    );
  using device = openDevice('cpu');
  const moments = new Map<string, Moments>();
  let count = 0;
  let first: Features | undefined;
  for await (const image of images) {
    first ??= image;
    count += image.batch;
    for await (const { name, convolved } of blockOutputs(device, folded.layers, folded.tensors, image))
      addTo(moments, name, convolved);
  }
  if (!first) throw new FcddError('FCDD_INVALID_ARGUMENT', 'recovering batch normalisation needs images');
  const backbone: Backbone = {
    ...folded,
    bn: 'recovered',
    layers: full,
    tensors: withNorms(folded.tensors, full, moments),
  };
  const last = async ({ layers, tensors }: Backbone): Promise<ArrayLike<number>> => {
    let data: ArrayLike<number> = [];
    for await (const { output } of blockOutputs(device, layers, tensors, first)) data = output.data;
    return data;
  };
  return { backbone, images: count, distance: distance(await last(backbone), await last(folded)) };
}

function addTo(moments: Map<string, Moments>, name: string, { data, channels }: Features): void {
  const found = moments.get(name) ?? {
    count: 0,
    sum: new Float64Array(channels),
    squares: new Float64Array(channels),
  };
  moments.set(name, found);
  found.count += data.length / channels;
  for (let i = 0; i < data.length; i += channels) {
    for (let c = 0; c < channels; c++) {
      const value = data[i + c]!;
      found.sum[c]! += value;
      found.squares[c]! += value * value;
    }
  }
}

function withNorms(
  folded: ReadonlyMap<string, Tensor>,
  layers: readonly Layer[],
  moments: ReadonlyMap<string, Moments>,
): Map<string, Tensor> {
  const tensors = new Map(folded);
  layers.forEach((layer, index) => {
    const conv = layers[index - 1];
    if (layer.kind !== 'batchnorm' || conv?.kind !== 'conv') return;
    const { count, sum, squares } = moments.get(conv.name)!;
    const eps = layer.eps ?? 1e-5;
    const mean = Float32Array.from(sum, (value) => value / count);
    // At least √ε, below which no running variance could give the folded scale.
    const gamma = Float32Array.from(squares, (value, c) =>
      Math.sqrt(Math.max(value / count - (sum[c]! / count) ** 2, eps)),
    );
    const variance = gamma.map((value) => Math.max(value ** 2 - eps, 0));
    const set = (part: string, data: Float32Array): void =>
      void tensors.set(`${layer.name}.${part}`, { shape: [data.length], data });
    set('weight', gamma);
    set('bias', mean);
    set('running_mean', mean.slice());
    set('running_var', variance);
  });
  return tensors;
}
