/** The settings of MVTec AD on a category made on the spot: real anomalies, objects, patches, textures. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { openDevice } from '../../src/engine/index.js';
import type { AugmentedBatch } from '../../src/engine/types.js';
import { resolveConfig, type TrainOptions } from '../../src/training/config.js';
import { evaluate } from '../../src/training/evaluate.js';
import { type PreparedRun, prepareRun } from '../../src/training/prepare.js';
import { train } from '../../src/training/train.js';
import { temporaryFolder, writeMask, writePicture } from '../data/fixtures.js';

const folder = temporaryFolder();
const part = join(folder, 'part');
const size = { height: 60, width: 60 };

/** A dark disc on a light table; `red` paints its upper rows pure red. */
function disc(shift: number, red = 0): Uint8Array {
  const data = new Uint8Array(60 * 60 * 3);
  for (let i = 0; i < 3600; i++) {
    const [y, x] = [Math.floor(i / 60), i % 60];
    const inside = Math.hypot(y - 30, x - 28 - shift) < 16;
    const level = inside ? 60 + ((x * y) % 30) : 205;
    data.fill(level, 3 * i, 3 * i + 3);
    if (y < red) data.set([255, 0, 0], 3 * i);
  }
  return data;
}

beforeAll(async () => {
  const good = (name: string, i: number) =>
    writePicture(join(part, name, 'good', `${i}.png`), { ...size, data: disc(i % 5) });
  for (let i = 0; i < 5; i++) await good('train', i);
  for (let i = 0; i < 2; i++) await good('test', i);
  for (const [type, rows] of [
    ['dent', 20],
    ['scratch', 34],
  ] as const) {
    for (let i = 0; i < 3; i++) {
      await writePicture(join(part, 'test', type, `${i}.png`), { ...size, data: disc(i, rows) });
      await writeMask(join(part, 'ground_truth', type, `${i}_mask.png`), 60, 60, rows);
    }
  }
}, 60_000);

const base: TrainOptions = {
  dataset: 'mvtec',
  data: part,
  model: 'cnn28',
  epochs: 1,
  batchSize: 20,
  seed: 3,
  device: 'cpu',
  threads: 2,
};
const semiSupervised: TrainOptions = { ...base, supervise: 'noise', noise: 'mvtec-gt', oeLimit: 1 };

const metricsOf = async (out: string, name = 'metrics.json') =>
  JSON.parse(await readFile(join(out, name), 'utf8'));

/** Prepares a run and shows its first training samples to `body`. */
async function samples(
  options: TrainOptions,
  body: (batch: AugmentedBatch, run: PreparedRun) => void,
): Promise<void> {
  using device = openDevice('cpu', { threads: 2 });
  using run = await prepareRun(resolveConfig(options).config, device);
  body(await run.trainer.augment(0, 0, 40), run);
}

describe('real anomalies of the test split', () => {
  it('bring their masks through the crops that their pictures go through', async () => {
    await samples(semiSupervised, ({ bytes, masks, labels }) => {
      let anomalous = 0;
      labels.forEach((label, n) => {
        anomalous += label;
        const mask = masks.subarray(n * 224 * 224, (n + 1) * 224 * 224);
        let wrong = 0;
        for (let i = 0; i < mask.length; i++) {
          const at = 3 * (n * mask.length + i);
          const red = bytes[at]! - bytes[at + 1]! > 130 ? 1 : 0;
          if (red !== mask[i]) wrong++;
        }
        // The border row between both may mix where pictures are brought to size by area.
        expect(wrong).toBeLessThan(3 * 224);
        expect(mask.some((value) => value === 1)).toBe(label === 1);
      });
      expect(anomalous).toBeGreaterThan(8);
      expect(anomalous).toBeLessThan(32);
    });
    await samples({ ...semiSupervised, noise: 'mvtec' }, ({ masks, labels }) => {
      labels.forEach((label, n) => {
        expect(masks.subarray(n * 224 * 224, (n + 1) * 224 * 224).every((v) => v === label)).toBe(true);
      });
    });
  });

  it('leave the test split, are listed in config.json and repeat from it', async () => {
    const out = join(folder, 'semi');
    const { metrics } = await train(semiSupervised, { out });
    const { versions: _, ...config } = await metricsOf(out, 'config.json');
    expect(config.oeFiles).toHaveLength(2);
    expect(config.oeFiles[0]).toMatch(/^test\/dent\/\d\.png$/);
    expect(config.oeFiles[1]).toMatch(/^test\/scratch\/\d\.png$/);
    expect([metrics!.sample.normal, metrics!.sample.anomalous]).toEqual([2, 4]);
    expect(metrics!.withoutOe).toBeUndefined();
    const scores = await readFile(join(out, 'scores.csv'), 'utf8');
    for (const name of config.oeFiles) expect(scores).not.toContain(name);
    const again = join(folder, 'semi-again');
    await train(config, { out: again });
    const model = (run: string) => readFile(join(run, 'model.safetensors'));
    expect((await model(again)).equals(await model(out))).toBe(true);
    // A finished run is found again by its own configuration.
    expect((await train({}, { out, resume: true })).finished).toBe(true);

    const notes: string[] = [];
    const path = join(out, 'model.safetensors');
    const honest = await evaluate(path, { data: part }, { onNote: (text) => notes.push(text) });
    expect(honest.metrics.sample).toEqual(metrics!.sample);
    expect(notes.join('\n')).toMatch(/2 test images that the model was trained on are left out/);
    const all = await evaluate(path, { data: part, keepOeInTest: true });
    expect(all.metrics.sample.anomalous).toBe(6);
  }, 60_000);

  it('stay in the test split as published on request, with both figures', async () => {
    const out = join(folder, 'kept');
    const { metrics } = await train({ ...semiSupervised, keepOeInTest: true }, { out });
    expect(metrics!.sample.anomalous).toBe(6);
    expect(metrics!.withoutOe).toMatchObject({ removed: 2, sample: { normal: 2, anomalous: 4 } });
    expect(await readFile(join(out, 'index.html'), 'utf8')).toMatch(/2 test images were trained on/);
  }, 60_000);

  it('of a folder come from its test split where it has no others', async () => {
    const own = join(folder, 'own');
    for (let i = 0; i < 3; i++)
      await writePicture(join(own, `train/disc/normal/${i}.png`), { ...size, data: disc(i) });
    for (let i = 0; i < 2; i++) {
      await writePicture(join(own, `test/disc/normal/${i}.png`), { ...size, data: disc(i) });
      await writePicture(join(own, `test/disc/anomalous/${i}.png`), { ...size, data: disc(i, 20) });
      await writeMask(join(own, `test_maps/disc/anomalous/${i}.png`), 60, 60, 20);
    }
    using device = openDevice('cpu', { threads: 2 });
    const { config } = resolveConfig({ ...semiSupervised, dataset: 'folder', data: own, batchSize: 3 });
    using run = await prepareRun(config, device);
    expect(run.config.oeFiles).toEqual([expect.stringMatching(/^test\/disc\/anomalous\/\d\.png$/)]);
    expect(run.dataset.test!.records).toHaveLength(3);
    expect(run.pixelwise).toBe(true);
  });
});

describe('synthetic anomalies', () => {
  /** The table is light: nothing of it may change, whatever the noise. */
  it.each(['confetti', 'cut-paste', 'texture'] as const)(
    '%s stay on the object',
    async (noise) => {
      const options: TrainOptions = { ...base, supervise: 'malformed-normal-gt', noise, onObject: true };
      const notes: string[] = [];
      using device = openDevice('cpu', { threads: 2 });
      using run = await prepareRun(resolveConfig(options).config, device, {
        onNote: (text) => notes.push(text),
      });
      expect(notes.join('\n')).toMatch(/on object: 2\d % of the pixels of 5 normal images/);
      const { labels, masks, bytes } = await run.trainer.augment(0, 0, 40);
      let changed = 0;
      for (let i = 0; i < masks.length; i++) {
        if (masks[i] === 0) continue;
        changed++;
        const [y, x] = [Math.floor(i / 224) % 224, i % 224];
        // The disc's middle wanders by 4/60 and crops move it by up to 16 pixels.
        expect(Math.hypot(y - 112, x - 112)).toBeLessThan(64 + 30);
      }
      const anomalies = labels.reduce((sum, label) => sum + label, 0);
      expect(changed / anomalies).toBeGreaterThan(200);
      expect(bytes.some((value) => value > 180)).toBe(true);
    },
    60_000,
  );

  it('of a texture folder show its colours, and the run reports the foreground', async () => {
    for (let i = 0; i < 2; i++) {
      const data = new Uint8Array(900 * 3).map((_, k) => (k % 3 === 1 ? 255 : 0));
      await writePicture(join(folder, `green/${i}.png`), { height: 30, width: 30, data });
    }
    const options: TrainOptions = {
      ...base,
      supervise: 'malformed-normal-gt',
      noise: 'texture',
      texture: join(folder, 'green'),
      confettiColour: 'rgb',
      onObject: true,
    };
    const out = join(folder, 'textured');
    const { metrics } = await train(options, { out });
    expect(metrics!.synthetic!.noise).toBe('texture');
    expect((await readFile(join(out, 'foreground.png'))).length).toBeGreaterThan(1000);
    expect(await readFile(join(out, 'index.html'), 'utf8')).toMatch(/Where anomalies are kept to/);
  }, 60_000);
});
