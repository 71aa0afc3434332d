import type { InputShape, Layer } from '../engine/types.js';
import type { Tensor } from '../models/safetensors.js';
import { networkNodes } from './network-nodes.js';
import { GraphBuilder } from './nodes.js';

/**
 * Layers and their tensors as an ONNX model (operator set 13, weights inline): what weights are verified with. The
 * image is `image` (batch×C×H×W); the outputs are `features`, what comes before the last layer, and `map`.
 * @throws FcddError FCDD_BAD_MODEL for a layer that ONNX files of ours do not have
 */
export function writeChain(
  layers: readonly Layer[],
  tensors: ReadonlyMap<string, Tensor>,
  { channels, height, width }: InputShape,
  batch = 1,
): readonly Uint8Array[] {
  const graph = new GraphBuilder(13);
  networkNodes(graph, 'image', layers, tensors, { keepBn: true, last: ['features', 'map'] });
  return graph.finish({
    name: 'fcdd',
    inputs: [{ name: 'image', type: 'float', shape: [batch, channels, height, width] }],
    outputs: [
      { name: 'features', type: 'float' },
      { name: 'map', type: 'float' },
    ],
  });
}
