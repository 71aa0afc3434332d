/** The cache of imported weights: content-addressed, checked, never half written. */
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { writeSafetensors } from '../../src/models/index.js';
import { importWeights, listWeights, verifyWeights, weightsFolder } from '../../src/weights/index.js';
import { tolerances } from '../golden/files.js';
import { temporaryFolder } from '../training/helpers.js';
import { formulaBackbone, onnxGolden } from './helpers.js';

let cache: string;
beforeEach(async () => {
  cache = await temporaryFolder();
  vi.stubEnv('FCDD_CACHE', cache);
});
afterEach(() => void vi.unstubAllEnvs());

const kept = onnxGolden('cnn28-kept.onnx');

describe('the cache of weights', () => {
  it('holds what was imported, compared with onnxruntime in a process of its own', async () => {
    const { weights, verification, existed } = await importWeights(kept);
    expect(existed).toBe(false);
    expect(verification).toMatchObject({ verified: true });
    const { features, map } = verification as { features: number; map: number };
    expect(Math.max(features, map)).toBeLessThan(tolerances.runtimeFloat32);
    expect(features).toBeGreaterThan(0); // two implementations, not one
    expect(weights.path).toBe(join(cache, 'weights', `cnn28-${weights.sha256.slice(0, 16)}.safetensors`));
    expect((await listWeights()).weights).toEqual([weights]);
    expect(await verifyWeights('cnn28')).toMatchObject({ weights: [{ problem: null }], damaged: [] });
  });

  it('takes equal weights once, whatever file they came in', async () => {
    const first = await importWeights(kept, { verify: false });
    const copy = join(cache, 'another name.onnx');
    await writeFile(copy, await readFile(kept));
    expect(await importWeights(copy, { verify: false, name: 'other' })).toMatchObject({
      existed: true,
      weights: { path: first.weights.path, name: 'cnn28' },
    });
  });

  it('takes a safetensors file and an ONNX file of the same network as the same weights', async () => {
    const backbone = formulaBackbone('cnn28', 1);
    const path = join(cache, 'module.safetensors');
    const prefixed = new Map([...backbone.tensors].map(([name, tensor]) => [`module.${name}`, tensor]));
    await writeSafetensors(path, prefixed);
    const { weights } = await importWeights(path, { as: 'cnn28' });
    expect(weights).toMatchObject({ bn: 'live', channels: 1, source: { format: 'safetensors' } });
  });

  it('refuses another content under a name that is taken', async () => {
    await importWeights(kept, { verify: false, name: 'mine' });
    const other = importWeights(onnxGolden('cnn28-folded.onnx'), { verify: false, name: 'mine' });
    await expect(other).rejects.toMatchObject({ code: 'FCDD_INVALID_ARGUMENT' });
    expect((await listWeights()).weights).toHaveLength(1);
  });

  it('names folded weights so that nobody takes them for live ones', async () => {
    const { weights } = await importWeights(onnxGolden('cnn28-folded.onnx'), { verify: false });
    expect(weights).toMatchObject({ name: 'cnn28-folded', bn: 'folded' });
  });

  it.each([
    [
      'a changed value',
      (bytes: Buffer) => bytes.writeUInt8(bytes.readUInt8(bytes.length - 3) ^ 1, bytes.length - 3),
    ],
    ['a changed description', (bytes: Buffer) => bytes.write('folded', bytes.indexOf('live') - 0)],
  ])('notices %s', async (_, damage) => {
    const { weights } = await importWeights(kept, { verify: false });
    const bytes = await readFile(weights.path);
    damage(bytes);
    await writeFile(weights.path, bytes);
    const { weights: checked, damaged } = await verifyWeights();
    expect([...checked.map(({ problem }) => problem), ...damaged.map(({ reason }) => reason)]).toEqual([
      expect.stringMatching(/damaged|not a usable|not a weights file/),
    ]);
    // Importing again repairs it.
    const again = await importWeights(kept, { verify: false });
    expect(again.existed).toBe(false);
    expect((await verifyWeights()).weights).toMatchObject([{ problem: null }]);
  });

  it('lists files that are no weights as damaged, and is empty where there is none', async () => {
    expect(await listWeights()).toEqual({ weights: [], damaged: [] });
    await mkdir(weightsFolder(), { recursive: true });
    await writeFile(join(weightsFolder(), 'x.safetensors'), 'nonsense');
    expect((await listWeights()).damaged).toHaveLength(1);
    await expect(verifyWeights('absent')).rejects.toMatchObject({ code: 'FCDD_NOT_FOUND' });
  });

  it('leaves nothing behind when an import fails', async () => {
    const path = join(cache, 'cut.onnx');
    await writeFile(path, (await readFile(kept)).subarray(0, 9000));
    await expect(importWeights(path)).rejects.toMatchObject({ code: 'FCDD_BAD_MODEL' });
    expect(await readdir(weightsFolder()).catch(() => [])).toEqual([]);
    await expect(importWeights(kept, { name: 'random' })).rejects.toThrow(/cannot be the name/);
    await expect(importWeights(kept, { name: '../x' })).rejects.toThrow(/cannot be the name/);
    await expect(importWeights(kept, { as: 'resnet' })).rejects.toMatchObject({
      code: 'FCDD_INVALID_ARGUMENT',
    });
  });

  it('lies where XDG says, in the home folder otherwise', () => {
    vi.stubEnv('FCDD_CACHE', '');
    vi.stubEnv('XDG_CACHE_HOME', '/var/x');
    expect(weightsFolder()).toBe('/var/x/fcdd-native/weights');
    vi.stubEnv('XDG_CACHE_HOME', 'relative');
    vi.stubEnv('HOME', '/home/somebody');
    expect(weightsFolder()).toBe('/home/somebody/.cache/fcdd-native/weights');
  });

  it('recovers only where the normalisation of images is known', async () => {
    await expect(importWeights(onnxGolden('cnn28-folded.onnx'), { recoverBn: cache })).rejects.toThrow(
      /for VGG11/,
    );
  });
});
