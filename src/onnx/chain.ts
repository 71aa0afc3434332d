import type { Layer } from '../engine/types.js';
import { FcddError } from '../errors.js';
import type { GraphNode, OnnxGraph, TensorRef } from './read-graph.js';

/**
 * An ONNX graph against a list of layers, by walking its edges: from the image through the only consumer of each
 * tensor. Names of nodes and tensors mean nothing; operators, their attributes and the shapes of weights decide. What
 * comes after the last layer is not looked at, so the head of a classifier may be anything.
 */

/** Where the tensor of a layer comes from. */
export interface Binding {
  /** As our layers name it: features.0.weight. */
  tensor: string;
  shape: number[];
  /** Null: the file has no such tensor and it is all zeros (a convolution without bias). */
  source: TensorRef | null;
}

export interface MatchedChain {
  bindings: Binding[];
  /** Batch normalisation as nodes of its own, or folded into the convolutions. */
  bn: 'live' | 'folded';
  /** Channels of the image. */
  channels: number;
  /** Exported in training mode: tracing has moved the running statistics. */
  traced: boolean;
}

/** The graph is another network; `depth` things fitted before the first that did not. */
export class ChainMismatch extends FcddError {
  readonly depth: number;

  constructor(message: string, depth: number) {
    super('FCDD_BAD_MODEL', message);
    this.depth = depth;
  }
}

/** Operators that change nothing of what a weight file is read for. */
const transparent = new Set(['Identity', 'Cast', 'Dropout']);

/**
 * Finds the tensors of `layers` (without head) in `graph`.
 * @param what how messages call the network that the layers belong to
 * @throws ChainMismatch where the graph differs; FcddError FCDD_BAD_MODEL where it is damaged
 */
export function matchChain(graph: OnnxGraph, layers: readonly Layer[], what: string): MatchedChain {
  return new Matcher(graph, layers, what).match();
}

class Matcher {
  readonly #graph: OnnxGraph;
  readonly #layers: readonly Layer[];
  readonly #what: string;
  readonly #producers = new Map<string, GraphNode>();
  readonly #consumers = new Map<string, GraphNode[]>();
  readonly #bindings: Binding[] = [];
  /** The tensor that the walk has reached, and its channels once a convolution gave them. */
  #at = '';
  #channels: number | undefined;
  #input: number | undefined;
  #depth = 0;
  #norms = { live: 0, folded: 0 };
  #traced = false;

  constructor(graph: OnnxGraph, layers: readonly Layer[], what: string) {
    this.#graph = graph;
    this.#layers = layers;
    this.#what = what;
    for (const node of graph.nodes) {
      for (const output of node.outputs.filter((name) => name !== '')) {
        if (this.#producers.has(output)) throw this.#differs(`two nodes write "${output}"`);
        this.#producers.set(output, node);
      }
      for (const input of new Set(node.inputs)) {
        const list = this.#consumers.get(input) ?? [];
        list.push(node);
        this.#consumers.set(input, list);
      }
    }
  }

  match(): MatchedChain {
    this.#at = this.#image();
    for (const layer of this.#layers) this.#layer(layer);
    if (this.#norms.live > 0 && this.#norms.folded > 0)
      throw this.#differs('some of its batch normalisations are folded into convolutions and some are not');
    const bn = this.#norms.folded > 0 ? 'folded' : 'live';
    return { bindings: this.#bindings, bn, channels: this.#input!, traced: this.#traced };
  }

  /** The graph's input that is no weight: older exporters list weights as inputs too. */
  #image(): string {
    const { inputs, initializers } = this.#graph;
    const image = inputs.find((name) => !initializers.has(name) && this.#consumers.has(name));
    if (image === undefined) throw this.#differs('it has no input for an image');
    return image;
  }

  #layer(layer: Layer): void {
    const node = this.#peek();
    if (layer.kind === 'batchnorm' && node?.op !== 'BatchNormalization') {
      this.#norms.folded++;
      return;
    }
    if (!node) throw this.#differs(`it ends where ${describe(layer)} should follow`);
    switch (layer.kind) {
      case 'conv':
        this.#conv(layer, node);
        break;
      case 'batchnorm':
        this.#norms.live++;
        this.#batchnorm(layer, node);
        break;
      case 'relu':
        this.#expect(node, 'Relu', layer);
        break;
      case 'lrelu':
        this.#expect(node, 'LeakyRelu', layer);
        this.#near(node, 'slope', node.attributes.get('alpha')?.float ?? 0.01, layer.slope ?? 0.01);
        break;
      case 'maxpool':
        this.#maxpool(layer, node);
        break;
    }
    this.#at = node.outputs[0] ?? '';
  }

  /** The only node that takes the tensor reached as its data, past those that change nothing. */
  #peek(): GraphNode | undefined {
    for (let steps = 0; steps <= this.#graph.nodes.length; steps++) {
      const next = this.#consumers.get(this.#at) ?? [];
      if (next.length > 1) throw this.#differs(`the graph branches after "${this.#at}"`);
      const node = next[0];
      if (!node) return undefined;
      if (node.inputs[0] !== this.#at)
        throw this.#differs(`${title(node)} takes the image's features as weights`);
      if (!transparent.has(node.op)) return node;
      this.#at = node.outputs[0] ?? '';
    }
    throw this.#differs('its nodes form a circle');
  }

  #conv(layer: Extract<Layer, { kind: 'conv' }>, node: GraphNode): void {
    this.#expect(node, 'Conv', layer);
    const weight = this.#weights(node, 1, 'weights');
    const [filters = 0, fanIn = 0, height, width] = weight.shape;
    const { kernel, stride = 1, padding = 0 } = layer;
    this.#equal(node, 'kernel', `${height}×${width}`, `${kernel}×${kernel}`);
    this.#equal(node, 'filters', filters, layer.filters);
    this.#equal(node, 'input channels', fanIn, this.#channels ?? fanIn);
    this.#equal(node, 'groups', node.attributes.get('group')?.int ?? 1, 1);
    this.#window(node, { kernel, stride, padding });
    this.#bindings.push({
      tensor: `${layer.name}.weight`,
      shape: [layer.filters, fanIn, kernel, kernel],
      source: weight,
    });
    if (layer.bias !== false) this.#bias(layer, node);
    this.#input ??= fanIn;
    this.#channels = layer.filters;
  }

  #bias(layer: Extract<Layer, { kind: 'conv' }>, node: GraphNode): void {
    const given = node.inputs[2] ?? '';
    const source = given === '' ? null : this.#weights(node, 2, 'bias');
    if (source) this.#equal(node, 'bias values', source.shape.join('×'), String(layer.filters));
    this.#bindings.push({ tensor: `${layer.name}.bias`, shape: [layer.filters], source });
  }

  #batchnorm(layer: Extract<Layer, { kind: 'batchnorm' }>, node: GraphNode): void {
    this.#near(node, 'epsilon', node.attributes.get('epsilon')?.float ?? 1e-5, layer.eps ?? 1e-5);
    // Up to operator set 13 training mode shows in further outputs, later in an attribute.
    this.#traced ||= node.outputs.length > 1 || node.attributes.get('training_mode')?.int === 1;
    const channels = this.#channels ?? 0;
    for (const [index, name] of ['weight', 'bias', 'running_mean', 'running_var'].entries()) {
      const source = this.#weights(node, index + 1, name);
      this.#equal(node, name, source.shape.join('×'), String(channels));
      this.#bindings.push({ tensor: `${layer.name}.${name}`, shape: [channels], source });
    }
  }

  #maxpool(layer: Extract<Layer, { kind: 'maxpool' }>, node: GraphNode): void {
    this.#expect(node, 'MaxPool', layer);
    const { kernel, stride = kernel, padding = 0 } = layer;
    const shape = node.attributes.get('kernel_shape')?.ints ?? [];
    this.#equal(node, 'window', shape.join('×'), `${kernel}×${kernel}`);
    this.#equal(node, 'ceil_mode', node.attributes.get('ceil_mode')?.int ?? 0, 0);
    this.#window(node, { kernel, stride, padding });
  }

  /** Strides, dilations and padding, the same on all sides. */
  #window(node: GraphNode, wanted: { kernel: number; stride: number; padding: number }): void {
    const { kernel, stride, padding } = wanted;
    const ints = (name: string, otherwise: number[]): string =>
      (node.attributes.get(name)?.ints ?? otherwise).join(',');
    this.#equal(node, 'strides', ints('strides', [1, 1]), `${stride},${stride}`);
    this.#equal(node, 'dilations', ints('dilations', [1, 1]), '1,1');
    const auto = node.attributes.get('auto_pad')?.text ?? 'NOTSET';
    if (auto === 'NOTSET') {
      this.#equal(node, 'padding', ints('pads', [0, 0, 0, 0]), Array(4).fill(padding).join(','));
      return;
    }
    // Equal padding on both sides of an odd kernel with stride 1 is what SAME means.
    const same = auto.startsWith('SAME') && kernel % 2 === 1 && stride === 1 ? (kernel - 1) / 2 : Number.NaN;
    this.#equal(node, `padding (${auto})`, auto === 'VALID' ? 0 : same, padding);
  }

  /** The tensor behind a node's input: an initialiser or a constant, maybe through Identity or Cast. */
  #weights(node: GraphNode, index: number, role: string): TensorRef {
    let name = node.inputs[index] ?? '';
    if (name === '') throw this.#differs(`${title(node)} has no ${role}`);
    for (let steps = 0; steps <= this.#graph.nodes.length; steps++) {
      const initializer = this.#graph.initializers.get(name);
      if (initializer) return initializer;
      const producer = this.#producers.get(name);
      const constant = producer?.op === 'Constant' ? producer.attributes.get('value')?.tensor : undefined;
      if (constant) return { ...constant, name: constant.name || name };
      if (!producer || (producer.op !== 'Identity' && producer.op !== 'Cast')) break;
      name = producer.inputs[0] ?? '';
    }
    throw this.#differs(
      `the ${role} of ${title(node)}, "${node.inputs[index]}", is neither an initialiser nor a constant of the file`,
    );
  }

  #expect(node: GraphNode, op: string, layer: Layer): void {
    if (node.op === op && (node.domain === '' || node.domain === 'ai.onnx')) return;
    throw this.#differs(`expected ${describe(layer)}, found ${title(node)}`);
  }

  #equal(node: GraphNode, what: string, found: number | string, expected: number | string): void {
    this.#depth++;
    if (found === expected) return;
    throw this.#differs(`${title(node)} has ${what} ${found}, expected ${expected}`);
  }

  /** Attributes are float32 in the file. */
  #near(node: GraphNode, what: string, found: number, expected: number): void {
    if (Math.abs(found - expected) > 1e-6 * Math.abs(expected)) this.#equal(node, what, found, expected);
  }

  #differs(reason: string): ChainMismatch {
    return new ChainMismatch(`it is not ${this.#what}: ${reason}`, this.#depth);
  }
}

const title = (node: GraphNode): string => (node.name ? `${node.op} "${node.name}"` : node.op);

function describe(layer: Layer): string {
  if (layer.kind === 'conv') return `Conv (${layer.kernel}×${layer.kernel}, ${layer.filters} filters)`;
  const names: Partial<Record<Layer['kind'], string>> = {
    batchnorm: 'BatchNormalization',
    relu: 'Relu',
    lrelu: 'LeakyRelu',
    maxpool: 'MaxPool',
  };
  return names[layer.kind] ?? layer.kind;
}
