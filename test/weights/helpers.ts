/** What the tests of weights share: the thin VGG of test/golden/onnx and random backbones of the real size. */
import { join } from 'node:path';
import type { Layer } from '../../src/engine/types.js';
import type { Tensor } from '../../src/models/index.js';
import { keptLayers, withoutNorms } from '../../src/weights/architecture.js';
import type { Candidate } from '../../src/weights/check.js';
import type { Backbone } from '../../src/weights/types.js';
import { values } from '../golden/formula.js';

export const onnxGolden = (name: string): string => join(import.meta.dirname, '../golden/onnx', name);

/** scripts/goldens/vgg_onnx.py: torchvision's VGG11-bn with thin channels, cut where ours is. */
export function thinLayers(): Layer[] {
  const filters = [4, 6, 8, 8, 10, 10];
  let position = 0;
  return keptLayers('vgg11').map((layer): Layer => {
    if (layer.kind !== 'conv') return layer;
    const thin = { ...layer, filters: filters[position]! };
    position++;
    return thin;
  });
}

export const thin: Candidate = { name: 'vgg-thin', layers: thinLayers() };

/** A backbone of an architecture of ours with values by the formula; every third γ is negative. */
export function formulaBackbone(
  architecture: string,
  channels: number,
  bn: 'live' | 'folded' = 'live',
): Backbone {
  const kept = keptLayers(architecture);
  const layers = bn === 'live' ? kept : withoutNorms(kept);
  const tensors = new Map<string, Tensor>();
  let inputs = channels;
  const add = (name: string, shape: number[], scale: number, centre: number): void => {
    const count = shape.reduce((a, b) => a * b, 1);
    tensors.set(name, { shape, data: Float32Array.from(values(name, count, scale, centre)) });
  };
  for (const layer of layers) {
    if (layer.kind === 'conv') {
      const { name, filters, kernel } = layer;
      const bound = 1 / Math.sqrt(inputs * kernel * kernel);
      add(`${name}.weight`, [filters, inputs, kernel, kernel], bound, 0);
      add(`${name}.bias`, [filters], bound, 0);
      inputs = filters;
    }
    if (layer.kind === 'batchnorm') {
      add(`${layer.name}.weight`, [inputs], 0.25, 1);
      add(`${layer.name}.bias`, [inputs], 0.25, 0);
      add(`${layer.name}.running_mean`, [inputs], 0.25, 0);
      add(`${layer.name}.running_var`, [inputs], 0.4, 1);
    }
  }
  return { architecture, channels, bn, layers, tensors };
}
