import { ops } from '../engine/index.js';
import type { InputShape, Layer } from '../engine/types.js';

/**
 * Multiply-adds of the direct algorithm for one image: of a forward pass, or of a whole training step, which adds the
 * weight gradient of every trained convolution and the input gradient of all but the first of those. Convolutions only:
 * everything else is small beside them.
 */
export function multiplyAdds(
  layers: readonly Layer[],
  input: InputShape,
  pass: 'inference' | 'train',
): number {
  let channels = input.channels;
  let total = 0;
  let trained = 0;
  ops.outputShapes(layers, input).forEach((shape, index) => {
    const layer = layers[index]!;
    if (layer.kind === 'conv') {
      const forward = shape.height * shape.width * shape.channels * channels * layer.kernel ** 2;
      const backward = pass === 'train' && layer.frozen !== true ? (trained++ === 0 ? 1 : 2) : 0;
      total += forward * (1 + backward);
    }
    channels = shape.channels;
  });
  return total;
}
