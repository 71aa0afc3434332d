/** The layers of a network as nodes of an ONNX graph. */
import type { Layer } from '../engine/types.js';
import { FcddError } from '../errors.js';
import type { Tensor } from '../models/safetensors.js';
import type { ElementType, GraphBuilder } from './nodes.js';

function tensorOf(
  tensors: ReadonlyMap<string, Tensor>,
  name: string,
): Tensor & { data: Float32Array | Float64Array } {
  const tensor = tensors.get(name);
  if (tensor && (tensor.data instanceof Float32Array || tensor.data instanceof Float64Array)) {
    return tensor as Tensor & { data: Float32Array | Float64Array };
  }
  throw new FcddError('FCDD_BAD_MODEL', `the model lacks the tensor "${name}"`);
}

type BatchNorm = Extract<Layer, { kind: 'batchnorm' }>;

/** γ, β, mean and variance per channel; γ = 1 and β = 0 without affine terms. */
function normOf(tensors: ReadonlyMap<string, Tensor>, { name, affine = true }: BatchNorm) {
  const mean = tensorOf(tensors, `${name}.running_mean`).data;
  return {
    gamma: affine ? tensorOf(tensors, `${name}.weight`).data : mean.map(() => 1),
    beta: affine ? tensorOf(tensors, `${name}.bias`).data : mean.map(() => 0),
    mean,
    variance: tensorOf(tensors, `${name}.running_var`).data,
  };
}

export interface NetworkNodeOptions {
  /** Default float. */
  type?: ElementType;
  /** Batch normalisations as nodes of their own; otherwise one after a convolution is folded into it. */
  keepBn: boolean;
  /** Names of the last layers' outputs. */
  last?: readonly string[];
}

/**
 * Adds the nodes of a network, layer by layer, with constants named as its tensors.
 * @returns the name of the last output
 * @throws FcddError FCDD_BAD_MODEL for a missing tensor or a layer that ONNX files of ours do not have
 */
export function networkNodes(
  graph: GraphBuilder,
  input: string,
  layers: readonly Layer[],
  tensors: ReadonlyMap<string, Tensor>,
  { type = 'float', keepBn, last = [] }: NetworkNodeOptions,
): string {
  let x = input;
  let folded: Layer | undefined;
  layers.forEach((layer, index) => {
    if (layer === folded) return;
    const output = last[index - layers.length + last.length];
    if (layer.kind === 'conv') {
      const next = layers[index + 1];
      folded = next?.kind === 'batchnorm' && !keepBn ? next : undefined;
      x = convNode(graph, x, layer, tensors, folded as BatchNorm | undefined, type, output);
    } else if (layer.kind === 'batchnorm') {
      const { gamma, beta, mean, variance } = normOf(tensors, layer);
      const names = { weight: gamma, bias: beta, running_mean: mean, running_var: variance };
      const inputs = Object.entries(names).map(([part, values]) =>
        graph.constant(type, [values.length], values, `${layer.name}.${part}`),
      );
      const attributes = { epsilon: { float: layer.eps ?? 1e-5 } };
      x = graph.node('BatchNormalization', [x, ...inputs], attributes, output);
    } else if (layer.kind === 'relu') {
      x = graph.node('Relu', [x], {}, output);
    } else if (layer.kind === 'lrelu') {
      x = graph.node('LeakyRelu', [x], { alpha: { float: layer.slope ?? 0.01 } }, output);
    } else if (layer.kind !== 'maxpool') {
      throw new FcddError('FCDD_BAD_MODEL', `a layer of kind ${layer.kind} cannot be exported`);
    } else {
      const { kernel, stride = kernel, padding = 0 } = layer;
      x = graph.node('MaxPool', [x], window(kernel, stride, padding), output);
    }
  });
  return x;
}

const window = (kernel: number, stride: number, padding: number) => ({
  kernel_shape: [kernel, kernel],
  strides: [stride, stride],
  pads: [padding, padding, padding, padding],
});

function convNode(
  graph: GraphBuilder,
  x: string,
  layer: Extract<Layer, { kind: 'conv' }>,
  tensors: ReadonlyMap<string, Tensor>,
  norm: BatchNorm | undefined,
  type: ElementType,
  output: string | undefined,
): string {
  const { name, kernel, stride = 1, padding = 0, bias: hasBias = true } = layer;
  const { shape, data } = tensorOf(tensors, `${name}.weight`);
  let weights = Float64Array.from(data);
  let bias: Float64Array | null = hasBias ? Float64Array.from(tensorOf(tensors, `${name}.bias`).data) : null;
  if (norm) {
    const { gamma, beta, mean, variance } = normOf(tensors, norm);
    const factor = Float64Array.from(gamma, (g, k) => g / Math.sqrt(variance[k]! + (norm.eps ?? 1e-5)));
    const fanIn = weights.length / factor.length;
    weights = weights.map((w, i) => w * factor[Math.floor(i / fanIn)]!);
    bias = factor.map((f, k) => ((bias?.[k] ?? 0) - mean[k]!) * f + beta[k]!);
  }
  const inputs = [x, graph.constant(type, shape, weights, `${name}.weight`)];
  if (bias) inputs.push(graph.constant(type, [bias.length], bias, `${name}.bias`));
  return graph.node('Conv', inputs, window(kernel, stride, padding), output);
}
