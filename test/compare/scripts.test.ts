/** The parts of scripts/compare that decide a comparison: statistics, tile groups, and the error without a peer. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test, vi } from 'vitest';

interface Statistics {
  summary(values: number[]): { n: number; mean: number; sd: number | null };
  difference(
    ours: number[],
    theirs: number[],
  ): {
    difference: number;
    standardError: number;
    interval95: [number, number];
  };
  resumable<T>(path: string, run: () => Promise<T>): Promise<T>;
}

const load = (name: string): Promise<unknown> =>
  import(new URL(`../../scripts/compare/${name}`, import.meta.url).href);
const statistics = (await load('record.mjs')) as Statistics;
const tiles = (await load('tile-figures.mjs')) as { tileGroups(names: string[]): string[] };
const python = (await load('python.mjs')) as { findPython(modules?: string[]): string };

test('the difference of means equals SciPy’s Welch interval', () => {
  const ours = [0.85, 0.86, 0.84, 0.87, 0.83];
  const theirs = [0.8, 0.84, 0.82, 0.86, 0.79, 0.85];
  const { difference, standardError, interval95 } = statistics.difference(ours, theirs);
  expect(difference).toBeCloseTo(0.023333333333333428, 12);
  expect(standardError).toBeCloseTo(0.01345775282545756, 12);
  expect(interval95[0]).toBeCloseTo(-0.007651451232561418, 4);
  expect(interval95[1]).toBeCloseTo(0.054318117899228274, 4);
});

test('one value has no standard deviation', () => {
  expect(statistics.summary([0.5])).toEqual({ n: 1, mean: 0.5, sd: null });
});

test('a gap of more than 200 in num starts another tile, whatever the folder and the order', () => {
  const names = [
    'test/good/exp1_num_1000.jpg',
    'test/crack/exp4_num_1600.jpg',
    'test/good/exp2_num_1200.jpg',
    'test/good/exp3_num_1399.jpg',
    'test/crack/exp1_num_1601.jpg',
  ];
  const groups = tiles.tileGroups(names);
  expect(groups[0]).toBe(groups[2]);
  expect(groups[2]).toBe(groups[3]);
  expect(groups[1]).toBe(groups[4]);
  expect(groups[1]).not.toBe(groups[0]);
  expect(() => tiles.tileGroups(['test/good/other.jpg'])).toThrow('exp1_num_126299.jpg');
});

test('a missing peer is an error that says what to do', () => {
  vi.stubEnv('FCDD_PYTHON', join(tmpdir(), 'no-such-python'));
  expect(() => python.findPython(['torch'])).toThrow(/no-such-python.*FCDD_PYTHON/s);
  vi.unstubAllEnvs();
});

test('a kept run is not made again', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'fcdd-resumable-'));
  const run = vi.fn(async () => ({ rocAuc: 0.5 }));
  const path = join(folder, 'deeper', 'run.json');
  expect(await statistics.resumable(path, run)).toEqual({ rocAuc: 0.5 });
  expect(await statistics.resumable(path, run)).toEqual({ rocAuc: 0.5 });
  expect(run).toHaveBeenCalledTimes(1);
  rmSync(folder, { recursive: true });
});

test('the table of protocols has means over seeds and says what is missing', async () => {
  const { table, chosenSettings } = (await load('protocols.mjs')) as {
    table(settings: Record<string, object[]>): string;
    chosenSettings(asked: string | undefined, oe: string | undefined): string[];
  };
  const run = (image: number, aupro: number | null) => ({
    epoch: 2,
    best: { image, pixel: 0.5, aupro },
    last: { image: 0.25, pixel: null },
  });
  const lines = table({ unsupervised: [run(0.6, null), run(0.7, null)], empty: [] }).split('\n');
  expect(lines).toHaveLength(3);
  expect(lines[2]).toBe(
    '| unsupervised | 2 | 0.650 ± 0.071 | 0.500 ± 0.000 | n/a | 2, 2 | 0.250 ± 0.000 | n/a |',
  );
  expect(table({ x: [run(0.5, 0.125)] })).toContain('| 0.500 | 0.500 | 0.125 |');
  const silent = vi.spyOn(console, 'error').mockImplementation(() => {});
  expect(chosenSettings('texture-gt, natural images;unsupervised', undefined)).toEqual(['unsupervised']);
  expect(silent).toHaveBeenCalledOnce();
  silent.mockRestore();
  expect(() => chosenSettings('unsupervised,other', undefined)).toThrow(/'other' is none of/);
});
