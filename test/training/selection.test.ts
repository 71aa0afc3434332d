import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { lossPlot } from '../../src/reports/plots.js';
import { type EpochRecord, readCheckpoint } from '../../src/training/checkpoint.js';
import type { TrainOptions } from '../../src/training/config.js';
import { bestEpoch, criterion, selectedOf } from '../../src/training/selection.js';
import { type TrainResult, train } from '../../src/training/train.js';
import { temporaryFolder } from './helpers.js';
import { tinySet } from './tiny-set.js';

let folder: string;
let whole: TrainResult;
let options: TrainOptions;

beforeAll(async () => {
  folder = await temporaryFolder();
  // A rate that overshoots, so that the last epoch need not be the best.
  options = {
    ...tinySet(join(folder, 'data')),
    epochs: 3,
    lr: 0.3,
    select: 'best',
    evaluateAt: [1, 2, 3],
  };
  whole = await train(options, { out: join(folder, 'whole') });
}, 120_000);

const file = (out: string, name: string): Promise<Buffer> => readFile(join(out, name));

describe('the choice of the epoch', () => {
  it('takes the highest criterion, the earliest of equals', () => {
    const record = (epoch: number, value?: number) =>
      ({ epoch, ...(value === undefined ? {} : { criterion: value }) }) as EpochRecord;
    expect(bestEpoch([record(1, 0.5), record(2, 0.9), record(3, 0.9), record(4, 0.2)])!.epoch).toBe(2);
    expect(bestEpoch([record(1)])).toBeNull();
    expect(selectedOf([record(1, 0.7), record(2, 0.6)])).toMatchObject({
      epoch: 1,
      value: 0.7,
      lastValue: 0.6,
    });
  });

  it('counts image and pixel figures alike', () => {
    const figures = { noise: 'confetti', n: 3, note: '' };
    expect(criterion({ ...figures, sampleRocAuc: 0.8, pixelRocAuc: 0.6 })).toBeCloseTo(0.7, 12);
    expect(criterion({ ...figures, sampleRocAuc: 0.8, pixelRocAuc: null })).toBe(0.8);
  });

  it('reports the chosen epoch beside the last one', async () => {
    const { metrics } = whole;
    const history = JSON.parse(String(await file(whole.out, 'history.json'))) as EpochRecord[];
    const criteria = history.map((record) => record.criterion!);
    expect(criteria).toHaveLength(3);
    const best = criteria.indexOf(Math.max(...criteria)) + 1;
    expect(best).toBeLessThan(3); // else this file would show nothing
    expect(metrics!.selected).toMatchObject({
      epoch: best,
      value: criteria[best - 1],
      lastValue: criteria[2],
    });
    // Test figures of all epochs were asked for: those of the model are of the chosen one, `last` of the last.
    const at = (epoch: number) => metrics!.evaluations.find((entry) => entry.epoch === epoch)!;
    expect(metrics!.sample.rocAuc).toBe(at(best).sample);
    expect(metrics!.pixel.rocAuc).toBe(at(best).pixel);
    expect(metrics!.last).toEqual(at(3));
    expect(String(await file(whole.out, 'loss.svg'))).toContain(`model: epoch ${best}`);
    expect(String(await file(whole.out, 'index.html'))).toContain('epoch of the model');
  });

  it('makes the model that a run up to that epoch would make', async () => {
    const epoch = whole.metrics!.selected!.epoch;
    const short = await train({ ...options, epochs: epoch, select: 'last' }, { out: join(folder, 'short') });
    expect(
      (await file(short.out, 'model.safetensors')).equals(await file(whole.out, 'model.safetensors')),
    ).toBe(true);
  }, 60_000);

  it('survives a stop in the middle of an epoch bit by bit', async () => {
    const out = join(folder, 'stopped');
    const controller = new AbortController();
    const stopped = await train(options, {
      out,
      signal: controller.signal,
      onProgress: ({ epoch }) => {
        if (epoch >= 3) controller.abort();
      },
    });
    expect(stopped.finished).toBe(false);
    const kept = (await readCheckpoint(join(out, 'checkpoint.safetensors')))!;
    expect(Object.keys(kept.best!)).toEqual(Object.keys(kept.tensors));
    const resumed = await train({}, { out, resume: true });
    expect(resumed.metrics!.selected).toEqual(whole.metrics!.selected);
    expect((await file(out, 'model.safetensors')).equals(await file(whole.out, 'model.safetensors'))).toBe(
      true,
    );
  }, 60_000);

  it('trains on from the last epoch, not from the chosen one', async () => {
    const out = join(folder, 'longer');
    await train({ ...options, epochs: 2 }, { out });
    const longer = await train({ epochs: 3 }, { out, resume: true });
    expect(longer.metrics!.selected).toEqual(whole.metrics!.selected);
    expect((await file(out, 'model.safetensors')).equals(await file(whole.out, 'model.safetensors'))).toBe(
      true,
    );
  }, 60_000);
});

it('a plot of the loss without a chosen epoch marks none', async () => {
  const points = [1, 2].map((epoch) => ({ epoch, loss: 1 / epoch, normal: 0.4, anomalous: null }));
  expect(await lossPlot(points)).not.toContain('model: epoch');
  expect(await lossPlot(points, 1)).toContain('model: epoch 1');
});
