import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { ops } from '../../src/engine/index.js';
import { readCheckpoint } from '../../src/training/checkpoint.js';
import { type TrainHooks, type TrainResult, train } from '../../src/training/train.js';
import { temporaryFolder, tiny } from './helpers.js';

let folder: string;
let whole: TrainResult;
beforeAll(async () => {
  folder = await temporaryFolder();
  whole = await train(
    { ...tiny, evaluateAt: [1, 3], saveMaps: true, dumpStep: 2 },
    { out: join(folder, 'whole') },
  );
}, 120_000);

const model = (out: string): Promise<Buffer> => readFile(join(out, 'model.safetensors'));
const json = async (out: string, name: string): Promise<Record<string, unknown>> =>
  JSON.parse(await readFile(join(out, name), 'utf8')) as Record<string, unknown>;

/** Hooks that fire the signal once `epoch` is under way. */
function stopIn(epoch: number): TrainHooks {
  const controller = new AbortController();
  return {
    signal: controller.signal,
    onProgress: (progress) => {
      if (progress.epoch >= epoch) controller.abort();
    },
  };
}

describe('a run', () => {
  it('leaves a complete folder behind', async () => {
    const names = await readdir(whole.out);
    for (const name of [
      'config.json',
      'history.json',
      'metrics.json',
      'scores.csv',
      'model.safetensors',
      'checkpoint.safetensors',
      'preview.png',
      'heatmaps',
      'maps',
      'loss.svg',
      'roc.svg',
      'index.html',
      'step-2.safetensors',
    ]) {
      expect(names).toContain(name);
    }
    expect(names.filter((name) => name.endsWith('.tmp'))).toEqual([]);
    expect((await readdir(join(whole.out, 'heatmaps'))).length).toBeGreaterThan(3);
  });

  it('reports figures, held-out threshold, baselines and the epochs asked for', async () => {
    const metrics = await json(whole.out, 'metrics.json');
    expect(metrics).toEqual(JSON.parse(JSON.stringify(whole.metrics)));
    expect(whole.metrics!.sample.rocAuc).toBeGreaterThan(0);
    expect(whole.metrics!.pixel.rocAuc).toBeGreaterThan(0);
    expect(whole.metrics!.threshold!.n).toBeGreaterThan(5);
    expect(whole.metrics!.evaluations.map(({ epoch }) => epoch)).toEqual([1, 3]);
    expect(whole.metrics!.evaluations.at(-1)!.sample).toBe(whole.metrics!.sample.rocAuc);
    const history = (await json(whole.out, 'history.json')) as unknown as { epoch: number; loss: number }[];
    expect(history.map(({ epoch }) => epoch)).toEqual([1, 2, 3]);
    expect(history.every(({ loss }) => Number.isFinite(loss) && loss > 0)).toBe(true);
  });

  it('keeps nothing of the machine in the model file', async () => {
    const head = (await model(whole.out)).subarray(0, 4096).toString('latin1');
    expect(head).not.toContain(folder);
    expect(head).not.toContain('threads');
  });

  it('gives the same bits again, whatever the number of threads', async () => {
    for (const threads of [1, 7]) {
      const again = await train({ ...tiny, threads }, { out: join(folder, `threads-${threads}`) });
      expect((await model(again.out)).equals(await model(whole.out))).toBe(true);
    }
  }, 120_000);

  it('gives other bits for another seed', async () => {
    const other = await train({ ...tiny, epochs: 1, seed: 6 }, { out: join(folder, 'seed') });
    expect((await model(other.out)).equals(await model(whole.out))).toBe(false);
  });

  it('is repeated by its config.json', async () => {
    const { versions: _, ...config } = await json(whole.out, 'config.json');
    const again = await train(config, { out: join(folder, 'repeated') });
    expect((await model(again.out)).equals(await model(whole.out))).toBe(true);
  });

  it('refuses a folder that holds a run', async () => {
    await expect(train(tiny, { out: whole.out })).rejects.toThrow(/already holds a run/);
  });

  it('says that it diverged instead of training on', async () => {
    await expect(train({ ...tiny, lr: 1e30 }, { out: join(folder, 'diverged') })).rejects.toMatchObject({
      hint: expect.stringMatching(/smaller --lr/),
    });
  });
});

describe('resuming', () => {
  it('continues bit-identically after a stop in the middle of an epoch', async () => {
    const out = join(folder, 'stopped');
    const stopped = await train(tiny, { out, ...stopIn(2) });
    expect(stopped.finished).toBe(false);
    const { position } = (await readCheckpoint(join(out, 'checkpoint.safetensors')))!;
    expect(position.epoch).toBe(1);
    expect(position.step).toBeGreaterThan(0);
    const resumed = await train({}, { out, resume: true });
    expect(resumed.finished).toBe(true);
    expect((await model(out)).equals(await model(whole.out))).toBe(true);
    const losses = async (run: string): Promise<unknown> =>
      ((await json(run, 'history.json')) as unknown as { loss: number }[]).map(({ loss }) => loss);
    expect(await losses(out)).toEqual(await losses(whole.out));
  });

  it('says that a run is finished, and trains on when more epochs are asked for', async () => {
    const notes: string[] = [];
    const again = await train({}, { out: whole.out, resume: true, onNote: (text) => notes.push(text) });
    expect(again.finished).toBe(true);
    expect(notes.join('\n')).toMatch(/already finished/);
  });

  it('starts from zero, and says so, where there is no checkpoint', async () => {
    const out = join(folder, 'fresh');
    const notes: string[] = [];
    await train({ ...tiny, epochs: 1 }, { out, resume: true, onNote: (text) => notes.push(text) });
    expect(notes.join('\n')).toMatch(/starting from zero/);
    expect(await readdir(out)).toContain('model.safetensors');
  });

  it('refuses other settings than the checkpoint was made with', async () => {
    const out = join(folder, 'other');
    await train(tiny, { out, ...stopIn(1) });
    await expect(train({ lr: 0.5 }, { out, resume: true })).rejects.toThrow(/other data or settings/);
  });

  it('refuses a damaged checkpoint instead of starting over in silence', async () => {
    const out = join(folder, 'damaged');
    await train(tiny, { out, ...stopIn(1) });
    const path = join(out, 'checkpoint.safetensors');
    const bytes = await readFile(path);
    await writeFile(path, bytes.subarray(0, bytes.length - 100));
    await expect(train({}, { out, resume: true })).rejects.toThrow(/truncated/);
  });

  it('goes on with another instruction set, and says that bits will differ', async () => {
    const { isas } = ops.cpuInfo();
    if (isas.length < 2) return console.log('this machine has one instruction set: nothing to switch to');
    const out = join(folder, 'isa');
    await train(tiny, { out, ...stopIn(2) });
    const warnings: string[] = [];
    process.env.FCDD_CPU_ISA = 'baseline';
    try {
      const resumed = await train({}, { out, resume: true, onWarning: (text) => warnings.push(text) });
      expect(resumed.finished).toBe(true);
    } finally {
      delete process.env.FCDD_CPU_ISA;
    }
    expect(warnings.join('\n')).toMatch(/bits will differ/);
  });
});
