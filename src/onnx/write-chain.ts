import type { InputShape, Layer } from '../engine/types.js';
import { FcddError } from '../errors.js';
import type { Tensor } from '../models/safetensors.js';
import { WireWriter } from './proto.js';

/**
 * Layers and their tensors as an ONNX model (operator set 13, weights inline): what weights are verified with. The
 * image is `image` (batch×C×H×W); the outputs are `features`, what comes before the last convolution, and `map`.
 */
export function writeChain(
  layers: readonly Layer[],
  tensors: ReadonlyMap<string, Tensor>,
  input: InputShape,
  batch = 1,
): readonly Uint8Array[] {
  const graph = new WireWriter().text(2, 'fcdd');
  const outputs = ['image', ...layers.map((_, index) => `t${index}`)];
  outputs[outputs.length - 1] = 'map';
  outputs[outputs.length - 2] = 'features';
  layers.forEach((layer, index) => {
    graph.message(1, node(layer, outputs[index]!, outputs[index + 1]!));
  });
  for (const [name, tensor] of tensors) graph.message(5, tensorProto(name, tensor));
  graph.message(11, valueInfo('image', [batch, input.channels, input.height, input.width]));
  graph.message(12, valueInfo('features', []));
  graph.message(12, valueInfo('map', []));
  const opset = new WireWriter().text(1, '').varint(2, 13);
  return new WireWriter().varint(1, 7).text(2, 'fcdd-native').message(7, graph).message(8, opset).parts;
}

function node(layer: Layer, input: string, output: string): WireWriter {
  switch (layer.kind) {
    case 'conv': {
      const { name, kernel, stride = 1, padding = 0, bias } = layer;
      const inputs = [input, `${name}.weight`, ...(bias === false ? [] : [`${name}.bias`])];
      return nodeProto('Conv', inputs, output, windowOf(kernel, stride, padding));
    }
    case 'batchnorm': {
      const tensors = ['weight', 'bias', 'running_mean', 'running_var'].map(
        (part) => `${layer.name}.${part}`,
      );
      return nodeProto('BatchNormalization', [input, ...tensors], output, [
        float('epsilon', layer.eps ?? 1e-5),
      ]);
    }
    case 'relu':
      return nodeProto('Relu', [input], output, []);
    case 'lrelu':
      return nodeProto('LeakyRelu', [input], output, [float('alpha', layer.slope ?? 0.01)]);
    case 'maxpool': {
      const { kernel, stride = kernel, padding = 0 } = layer;
      return nodeProto('MaxPool', [input], output, windowOf(kernel, stride, padding));
    }
    default:
      throw new FcddError('FCDD_BAD_MODEL', `a layer of kind ${layer.kind} cannot be written as ONNX`);
  }
}

function nodeProto(
  op: string,
  inputs: readonly string[],
  output: string,
  attributes: WireWriter[],
): WireWriter {
  const proto = new WireWriter();
  for (const input of inputs) proto.text(1, input);
  proto.text(2, output).text(3, `${op}_${output}`).text(4, op);
  for (const attribute of attributes) proto.message(5, attribute);
  return proto;
}

const windowOf = (kernel: number, stride: number, padding: number): WireWriter[] => [
  ints('kernel_shape', [kernel, kernel]),
  ints('strides', [stride, stride]),
  ints('pads', [padding, padding, padding, padding]),
];

/** AttributeProto.type: 1 float, 7 integers. */
const float = (name: string, value: number): WireWriter =>
  new WireWriter().text(1, name).float(2, value).varint(20, 1);

function ints(name: string, values: readonly number[]): WireWriter {
  const proto = new WireWriter().text(1, name);
  for (const value of values) proto.varint(8, value);
  return proto.varint(20, 7);
}

/** TensorProto, float32 as raw_data; the values are not copied where they are float32 already. */
function tensorProto(name: string, { shape, data }: Tensor): WireWriter {
  const proto = new WireWriter();
  for (const extent of shape) proto.varint(1, extent);
  const values = data instanceof Float32Array ? data : Float32Array.from(data as Float64Array);
  const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  return proto.varint(2, 1).text(8, name).bytes(9, bytes);
}

/** ValueInfoProto of a float32 tensor; without dimensions its shape is left open. */
function valueInfo(name: string, shape: readonly number[]): WireWriter {
  const dimensions = new WireWriter();
  for (const extent of shape) dimensions.message(1, new WireWriter().varint(1, extent));
  const type = new WireWriter().varint(1, 1);
  if (shape.length > 0) type.message(2, dimensions);
  return new WireWriter().text(1, name).message(2, new WireWriter().message(1, type));
}
