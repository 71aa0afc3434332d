import { execFile } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import sharp from 'sharp';
import { beforeAll, describe, expect, it } from 'vitest';
import { Detector } from '../../src/detector.js';
import { openDevice } from '../../src/engine/index.js';
import { relativeDistance } from '../../src/evaluation/distance.js';
import { importSnapshot } from '../../src/models/import-snapshot.js';
import { architecture, readModel, readSafetensors, writeSafetensors } from '../../src/models/index.js';
import {
  matchingCandidates,
  readSnapshot,
  snapshotCandidates,
  snapshotTensors,
} from '../../src/models/snapshot.js';
import { values } from '../golden/formula.js';
import golden from '../golden/snapshot.json' with { type: 'json' };
import tolerances from '../tolerances.json' with { type: 'json' };
import { temporaryFolder } from '../training/helpers.js';

const file = (name: string): string => join(import.meta.dirname, '../golden', name);
const cnn28 = file('snapshot-cnn28.safetensors');
const main = join(import.meta.dirname, '../../dist/cli/main.js');

let folder: string;
beforeAll(async () => {
  folder = await temporaryFolder();
});

/** The picture of scripts/goldens/snapshot.py. */
const picture = (name: string): Uint8Array =>
  Uint8Array.from(values(name, 28 * 28), (value) => Math.trunc((value + 1) * 127.9));

describe('importSnapshot', () => {
  it('gives what PyTorch gives, from the bytes of a picture', async () => {
    const out = join(folder, 'cnn28.safetensors');
    const metadata = await importSnapshot(cnn28, out, { dataset: 'fashion-mnist', class: 't-shirt top' });
    expect(metadata).toMatchObject({
      architecture: 'cnn28',
      className: 'T-shirt/top',
      preprocessing: 'lcnaug1',
      calibration: null,
    });
    for (const [device, bound] of [
      ['reference', tolerances.snapshotFloat64],
      ['cpu', tolerances.opFloat32],
    ] as const) {
      using detector = await Detector.load(out, { device });
      expect(detector.threshold).toBeNull();
      const raw = { data: picture('snapshot/grey'), width: 28, height: 28, channels: 1 as const };
      const { score, map } = await detector.predict(raw);
      expect(Math.abs(score / golden.cnn28.score - 1)).toBeLessThan(bound);
      expect(relativeDistance(map.data, golden.cnn28.heatmap)).toBeLessThan(
        Math.max(bound, tolerances.storedFloat32),
      );
    }
  });

  it('takes a threshold from a folder of normal pictures', async () => {
    const normal = join(folder, 'normal');
    await mkdir(normal, { recursive: true });
    const raw = { raw: { width: 28, height: 28, channels: 1 as const } };
    for (let i = 0; i < 20; i++) {
      await writeFile(
        join(normal, `${i}.png`),
        await sharp(picture(`normal/${i}`), raw)
          .png()
          .toBuffer(),
      );
    }
    const out = join(folder, 'calibrated.safetensors');
    const options = { dataset: 'fashion-mnist', class: '0', calibrate: normal } as const;
    await importSnapshot(cnn28, out, options);
    const { metadata } = await readModel(out);
    expect(metadata.calibration).toMatchObject({ n: 20, falseAlarmRate: 0.05 });
    expect(metadata.calibration!.threshold).toBe(metadata.calibration!.scores.at(-1));
    expect(metadata.heatmapScale!.max).toBeGreaterThan(metadata.heatmapScale!.min);
    await expect(importSnapshot(cnn28, out, { ...options, calibrate: join(folder, 'none') })).rejects.toThrow(
      /none/,
    );
  });
});

/** VGG11-bn with a 32nd of its filters: the key names of the real one in a file of 23 kB. */
const thin = {
  name: 'vgg11',
  layers: architecture('vgg11')
    .layers({ bias: true })
    .map((layer) =>
      layer.kind === 'conv' && layer.filters > 1 ? { ...layer, filters: layer.filters / 32 } : layer,
    ),
  input: { channels: 3, height: 224, width: 224 },
};

describe('snapshots of VGG nets', () => {
  it('have the key names of VGG11-bn and give what PyTorch gives', async () => {
    const { tensors } = await readSafetensors(file('snapshot-vgg.safetensors'));
    expect([...tensors.keys()]).toEqual(golden.keys.map((key) => `module.${key}`));
    const kept = snapshotTensors(tensors);
    expect(matchingCandidates(kept, [thin])).toEqual([thin]);
    using device = openDevice('reference');
    using network = device.createNetwork(thin.layers, { channels: 3, height: 32, width: 32 });
    for (const { name } of network.tensors) await network.set(name, kept.get(name)!.data as Float32Array);
    const { scores, maps } = await network.infer(values('snapshot/pixels', 32 * 32 * 3), {
      sigma: 12,
      maps: true,
    });
    expect(Math.abs(scores[0]! / golden.vgg.score - 1)).toBeLessThan(tolerances.snapshotFloat64);
    expect(relativeDistance(maps!, golden.vgg.heatmap)).toBeLessThan(tolerances.storedFloat32);
  });

  it('are read as the net that the data set is trained with', async () => {
    const path = file('snapshot-vgg.safetensors');
    const frozen = { ...thin, name: 'vgg11-f', layers: thin.layers };
    const { metadata } = await readSnapshot(path, { dataset: 'mvtec', class: 'carpet' }, [thin, frozen]);
    expect(metadata).toMatchObject({ architecture: 'vgg11-f', sigma: 12, objective: { pixelwise: true } });
    expect(metadata.pipeline.offset[0]).toBe(-3.0334954261779785);
    const chosen = await readSnapshot(path, { dataset: 'mvtec', class: '3', model: 'vgg11' }, [thin, frozen]);
    expect(chosen.metadata.architecture).toBe('vgg11');
  });
});

describe('every architecture', () => {
  it('is recognised by names and shapes alone', async () => {
    using device = openDevice('cpu');
    const candidates = snapshotCandidates();
    for (const { name, layers, input } of candidates) {
      using network = device.createNetwork(layers, input);
      const tensors = new Map(
        network.tensors.map((tensor) => [tensor.name, { shape: tensor.shape, data: new Float32Array(0) }]),
      );
      const found = matchingCandidates(tensors, candidates);
      // The three VGG nets differ in what is trained, not in shapes.
      const expected = name.startsWith('vgg') ? ['vgg11-nopt', 'vgg11', 'vgg11-f'] : [name];
      expect(found.map((candidate) => candidate.name)).toEqual(expected);
    }
  });
});

describe('a wrong snapshot', () => {
  const options = { dataset: 'fashion-mnist', class: '0' } as const;

  it.each([
    [
      'another data set',
      cnn28,
      { ...options, dataset: 'mvtec', class: 'carpet' },
      /a cnn28 for 28×28 .* mvtec has 224×224/,
    ],
    ['another architecture', cnn28, { ...options, model: 'cnn32' }, /is cnn28 by its shapes, not cnn32/],
    ['an unknown class', cnn28, { ...options, class: 'hat' }, /received 'hat'/],
    ['a pickle', 'runs/snapshot.pt', options, /is a pickle/],
    ['a missing file', 'nowhere.safetensors', options, /nowhere/],
  ] as const)('gives one clear error: %s', async (_, path, given, message) => {
    await expect(readSnapshot(path, given)).rejects.toThrow(message);
  });

  it('gives one clear error: tensors of something else, values that are not finite', async () => {
    const { tensors } = await readSafetensors(cnn28);
    const path = join(folder, 'damaged.safetensors');
    const bias = tensors.get('net.conv1.bias')!;
    await writeSafetensors(
      path,
      new Map([
        ...tensors,
        ['net.conv1.bias', { ...bias, data: bias.data.map(() => Number.NaN as never) }],
      ]) as typeof tensors,
    );
    await expect(readSnapshot(path, options)).rejects.toThrow(
      /"conv1.bias" holds values that are not finite/,
    );
    await writeSafetensors(path, new Map([...tensors].slice(1)));
    await expect(readSnapshot(path, options)).rejects.toThrow(/no FCDD architecture has these \d+ tensors/);
  });
});

describe('fcdd-native import-snapshot', () => {
  it('says what it found and why there is no threshold', async () => {
    const out = join(folder, 'cli.safetensors');
    const args = [
      'import-snapshot',
      cnn28,
      '--dataset',
      'fashion-mnist',
      '--class',
      'trouser',
      '--out',
      out,
      '--json',
    ];
    const { stdout, stderr } = await promisify(execFile)('node', [main, ...args]);
    expect(stderr).toMatch(/no threshold: .*--calibrate DIR/);
    expect(JSON.parse(stdout)).toMatchObject({ architecture: 'cnn28', class: 'Trouser', threshold: null });
    expect((await readModel(out)).metadata.calibration).toBeNull();
  });
});
