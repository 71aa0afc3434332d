import type { Layer } from '../engine/types.js';
import type { Tensor } from '../models/safetensors.js';

/**
 * Folds batch normalisation with its running statistics into the convolution before it, as PyTorch's exporter does:
 * w' = s·w, b' = s·(b − μ) + β with s = γ/√(σ² + ε), computed in float64.
 */
export function foldNorm(
  conv: Extract<Layer, { kind: 'conv' }>,
  norm: Extract<Layer, { kind: 'batchnorm' }>,
  tensors: ReadonlyMap<string, Tensor>,
): { weight: Tensor; bias: Tensor } {
  const values = (name: string): Float32Array => tensors.get(name)!.data as Float32Array;
  const part = (name: string): Float32Array => values(`${norm.name}.${name}`);
  const [weight, bias] = [values(`${conv.name}.weight`), values(`${conv.name}.bias`)];
  const [gamma, beta, mean, variance] = [
    part('weight'),
    part('bias'),
    part('running_mean'),
    part('running_var'),
  ];
  const scales = Float64Array.from(gamma, (value, k) => value / Math.sqrt(variance[k]! + (norm.eps ?? 1e-5)));
  const fanIn = weight.length / conv.filters;
  return {
    weight: {
      shape: tensors.get(`${conv.name}.weight`)!.shape,
      data: Float32Array.from(weight, (value, index) => value * scales[Math.floor(index / fanIn)]!),
    },
    bias: {
      shape: [conv.filters],
      data: Float32Array.from(bias, (value, k) => (value - mean[k]!) * scales[k]! + beta[k]!),
    },
  };
}

/** The tensors of `layers` without any batch normalisation. */
export function foldAll(layers: readonly Layer[], tensors: ReadonlyMap<string, Tensor>): Map<string, Tensor> {
  const folded = new Map<string, Tensor>();
  layers.forEach((layer, index) => {
    if (layer.kind !== 'conv') return;
    const next = layers[index + 1];
    const { weight, bias } =
      next?.kind === 'batchnorm'
        ? foldNorm(layer, next, tensors)
        : { weight: tensors.get(`${layer.name}.weight`)!, bias: tensors.get(`${layer.name}.bias`)! };
    folded.set(`${layer.name}.weight`, weight).set(`${layer.name}.bias`, bias);
  });
  return folded;
}
