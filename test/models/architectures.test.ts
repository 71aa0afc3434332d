import { describe, expect, it } from 'vitest';
import { ops } from '../../src/engine/index.js';
import { architecture, architectures } from '../../src/models/index.js';

/** Receptive fields of the published networks: output extent, jump, extent, start. */
const published: Record<string, [number, number, number, number]> = {
  cnn28: [7, 4, 16, 1.5],
  'cnn28-w': [7, 4, 16, 1.5],
  cnn32: [8, 4, 32, 1.5],
  'cnn32-s': [8, 4, 18, 1.5],
  'cnn32-lw3k': [8, 4, 22, 1.5],
  cnn224: [28, 8, 59, 0],
  'cnn224-w': [28, 8, 59, 0],
  'vgg11-nopt': [28, 8, 62, 3.5],
  vgg11: [28, 8, 62, 3.5],
  'vgg11-f': [28, 8, 62, 3.5],
};

describe('architectures', () => {
  it('are the ten of the method', () => {
    expect(architectures.map((a) => a.name)).toEqual(Object.keys(published));
  });

  it.each(architectures.map((a) => [a.name, a] as const))(
    '%s has the published receptive field',
    (name, net) => {
      const field = ops.receptiveField(net.layers({ bias: true }), net.input);
      const [extent, jump, size, start] = published[name]!;
      expect(field).toEqual({ height: extent, width: extent, jump, extent: size, start });
    },
  );

  it('names the frozen prefix of vgg11-f: 15 modules, four convolutions', () => {
    const layers = architecture('vgg11-f').layers({ bias: true });
    expect(layers.filter((layer) => layer.frozen)).toHaveLength(15);
    expect(layers.slice(0, 15).every((layer) => layer.frozen)).toBe(true);
  });

  it('drops biases and affine batch normalisation together, and refuses that for VGG', () => {
    for (const layer of architecture('cnn32').layers({ bias: false })) {
      if (layer.kind === 'conv') expect(layer.bias).toBe(false);
      if (layer.kind === 'batchnorm') expect(layer.affine).toBe(false);
    }
    expect(() => architecture('vgg11').layers({ bias: false })).toThrow(/need their biases/);
  });

  it('lists the names when one is unknown', () => {
    expect(() => architecture('resnet')).toThrow(/no architecture "resnet"/);
  });
});
