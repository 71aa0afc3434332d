/** Folded batch normalisation, estimated from images, against the true one of the same network. */
import { beforeAll, describe, expect, it } from 'vitest';
import type { Features } from '../../src/weights/activations.js';
import { readBackbone } from '../../src/weights/read.js';
import { recoverNorms } from '../../src/weights/recover.js';
import type { Backbone } from '../../src/weights/types.js';
import { relativeDistance, tolerances } from '../golden/files.js';
import { values } from '../golden/formula.js';
import { onnxGolden, thin } from './helpers.js';

/** Images of the formula: those that the statistics of the golden file are of, or others. */
async function* images(prefix: string, count: number): AsyncGenerator<Features> {
  for (let i = 0; i < count; i++) {
    const data = Float32Array.from(values(`${prefix}/${i}`, 32 * 32 * 3, 1.75));
    yield { batch: 1, height: 32, width: 32, channels: 3, data };
  }
}

const norms = thin.layers.filter((layer) => layer.kind === 'batchnorm').map(({ name }) => name);
const data = ({ tensors }: Backbone, name: string): Float32Array => tensors.get(name)!.data as Float32Array;

describe('recovered batch normalisation', () => {
  let kept: Backbone;
  let folded: Backbone;
  beforeAll(async () => {
    kept = await readBackbone(onnxGolden('vgg-thin-kept.onnx'), 'onnx', [thin]);
    folded = await readBackbone(onnxGolden('vgg-thin-folded.onnx'), 'onnx', [thin]);
  });

  const gammaError = (backbone: Backbone, norm: string): number =>
    relativeDistance(data(backbone, `${norm}.weight`), data(kept, `${norm}.weight`).map(Math.abs));

  it('is the true |γ| and β on the images that the true statistics are of', async () => {
    const { backbone, images: count, distance } = await recoverNorms(folded, thin.layers, images('x', 16));
    expect(count).toBe(16);
    expect(backbone).toMatchObject({ bn: 'recovered', layers: thin.layers });
    expect(distance).toBeLessThan(tolerances.recoveredInference);
    for (const norm of norms) {
      expect(gammaError(backbone, norm), norm).toBeLessThan(tolerances.recoveredNorm);
      expect(relativeDistance(data(backbone, `${norm}.bias`), data(kept, `${norm}.bias`)), norm).toBeLessThan(
        tolerances.recoveredNorm,
      );
    }
  });

  it('is near them on other images of the same kind, and equals the folded network in inference all the same', async () => {
    const { backbone, distance } = await recoverNorms(folded, thin.layers, images('y', 16));
    expect(distance).toBeLessThan(tolerances.recoveredInference);
    for (const norm of norms) {
      expect(gammaError(backbone, norm), norm).toBeLessThan(tolerances.recoveredNormOtherImages);
      expect(gammaError(backbone, norm), norm).toBeGreaterThan(tolerances.recoveredNorm);
    }
  });

  it('needs images, and something to recover', async () => {
    await expect(recoverNorms(folded, thin.layers, images('x', 0))).rejects.toThrow(/needs images/);
    await expect(recoverNorms(kept, thin.layers, images('x', 1))).rejects.toThrow(
      /nothing has to be recovered/,
    );
  });
});
