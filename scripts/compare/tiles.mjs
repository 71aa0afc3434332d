#!/usr/bin/env node
/**
 * Real photographs: magnetic tiles, ours beside PyTorch and beside trivial scores.
 *
 *   node scripts/compare/tiles.mjs --data ../shared/data/magnetic-tile [--seeds 3] [--epochs 20] [--threads N]
 *     [--modes malformed-normal,malformed-normal-gt] [--peers ours,torch] [--work runs/compare/tiles] [--out benchmarks/tiles.json]
 *
 * cnn224, confetti, both kinds of supervision. Runs are kept under --work, so that a comparison that was cut off goes
 * on, and several processes can share it (each its own modes or peers). `--only-report` makes the figures of the runs that are there, however many, and starts none.
 */
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { openDataSet } from '../../dist/data/index.js';
import { findPython, KEEP_MEMORY } from './python.mjs';
import { cli, environment, readJson, resumable, runMeasured, script, writeJson } from './record.mjs';
import { heatmapFigures, trivialFigures } from './tile-figures.mjs';

/** Values of a float32 .npy file and its shape. */
function readNpy(path) {
  const file = readFileSync(path);
  const start = 10 + file.readUInt16LE(8);
  const header = file.toString('latin1', 10, start);
  const shape = /'shape': \(([^)]*)\)/
    .exec(header)[1]
    .split(',')
    .filter((part) => part.trim())
    .map(Number);
  if (!header.includes("'<f4'")) throw new Error(`${path}: expected float32, received ${header}`);
  return {
    shape,
    data: new Float32Array(file.buffer.slice(file.byteOffset + start, file.byteOffset + file.length)),
  };
}

const lastLine = (text) => JSON.parse(text.trim().split('\n').at(-1));

async function trainOurs({ data, epochs, threads, work }, mode, seed) {
  const out = join(work, 'ours', `${mode}-seed-${seed}-run`);
  rmSync(out, { recursive: true, force: true });
  const setting = [
    '--dataset',
    'mvtec',
    '--data',
    data,
    '--model',
    'cnn224',
    '--noise',
    'confetti',
    '--supervise',
    mode,
  ];
  const own = [
    '--epochs',
    String(epochs),
    '--seed',
    String(seed),
    '--device',
    'cpu',
    '--save-maps',
    '--out',
    out,
    '--json',
  ];
  const machine = threads === undefined ? [] : ['--threads', String(threads)];
  const { stdout, ...measured } = await runMeasured(process.execPath, [
    cli,
    'train',
    ...setting,
    ...own,
    ...machine,
  ]);
  const rows = readFileSync(join(out, 'scores.csv'), 'utf8')
    .trim()
    .split('\r\n')
    .slice(1)
    .map((row) => row.split(','));
  renameSync(join(out, 'maps', 'test.npy'), join(work, 'ours', `${mode}-seed-${seed}.npy`));
  const { seconds, imagesPerSecond } = lastLine(stdout);
  const figures = { supervise: mode, seed, epochs, seconds, imagesPerSecond, ...measured };
  return { ...figures, names: rows.map((row) => row[0]), scores: rows.map((row) => Number(row[3])) };
}

async function trainTorch({ data, epochs, threads, work }, mode, seed) {
  const maps = join(work, 'torch', `${mode}-seed-${seed}.npy`);
  const setting = ['--data', data, '--supervise', mode, '--epochs', String(epochs), '--seed', String(seed)];
  const machine = threads === undefined ? [] : ['--threads', String(threads)];
  const args = [script('torch_mvtec.py'), ...setting, ...machine, '--maps', maps, '--json'];
  const { stdout, ...measured } = await runMeasured(findPython(), args, KEEP_MEMORY);
  return { ...lastLine(stdout), ...measured };
}

const PEERS = { ours: trainOurs, torch: trainTorch };

/** The runs of one peer and mode; with onlyReport those that exist. */
async function runsOf(options, peer, mode) {
  const runs = [];
  mkdirSync(join(options.work, peer), { recursive: true });
  for (let seed = 0; seed < options.seeds; seed++) {
    const path = join(options.work, peer, `${mode}-seed-${seed}.json`);
    if (options.onlyReport && !existsSync(path)) continue;
    const run = options.onlyReport
      ? readJson(path)
      : await resumable(path, () => PEERS[peer](options, mode, seed));
    if (run.epochs !== options.epochs)
      throw new Error(`${path} is of ${run.epochs} epochs: choose another --work`);
    console.log(
      `${peer} ${mode} seed ${seed}: ${run.seconds.toFixed(0)} s, ${run.imagesPerSecond.toFixed(1)} images/s`,
    );
    runs.push({ ...run, maps: path.replace(/json$/, 'npy') });
  }
  return runs;
}

/** Scores and maps of a run in the order of the test split's records. */
function inOrder(run, records) {
  const position = new Map(run.names.map((name, i) => [name.replace(/^test\//, ''), i]));
  const { shape, data } = readNpy(run.maps);
  const [, height, width] = shape;
  const maps = new Float32Array(records.length * height * width);
  const scores = records.map(({ name }, i) => {
    const from = position.get(name.replace(/^test\//, ''));
    if (from === undefined) throw new Error(`${run.maps}: there is no map of ${name}`);
    maps.set(data.subarray(from * height * width, (from + 1) * height * width), i * height * width);
    return run.scores[from];
  });
  return { scores, maps, height, width };
}

const cost = (runs) =>
  runs.map(({ seed, seconds, cpuSeconds, imagesPerSecond, peakMiB, threads }) => ({
    seed,
    seconds,
    cpuSeconds,
    imagesPerSecond,
    peakMiB,
    threads,
  }));

const shown = ({ rocAuc, interval95 }) =>
  `${rocAuc.toFixed(3)} (${interval95 ? interval95.map((v) => v.toFixed(3)).join('-') : 'no interval'})`;

function print(mode, peers, trivial) {
  for (const [type, entry] of Object.entries(trivial)) {
    const columns = Object.entries(peers).map(
      ([peer, { figures }]) =>
        `${peer} image ${shown(figures[type].image)} pixel ${shown(figures[type].pixel)}`,
    );
    const simple = Object.entries(entry).map(([name, { rocAuc }]) => `${name} ${rocAuc.toFixed(3)}`);
    console.log(`${mode} ${type.padEnd(9)} ${columns.join(' | ')} | ${simple.join(', ')}`);
  }
}

async function main() {
  const { values } = parseArgs({
    options: {
      data: { type: 'string' },
      seeds: { type: 'string', default: '3' },
      epochs: { type: 'string', default: '20' },
      modes: { type: 'string', default: 'malformed-normal,malformed-normal-gt' },
      peers: { type: 'string', default: 'ours,torch' },
      threads: { type: 'string' },
      work: { type: 'string', default: 'runs/compare/tiles' },
      out: { type: 'string' },
      'only-report': { type: 'boolean', default: false },
    },
  });
  if (values.data === undefined) throw new Error('--data: expected the folder of the magnetic tiles');
  const { data, work } = values;
  const threads = values.threads === undefined ? undefined : Number(values.threads);
  const numbers = { seeds: Number(values.seeds), epochs: Number(values.epochs) };
  const options = { data, work, threads, ...numbers, onlyReport: values['only-report'] };
  const { test } = await openDataSet('mvtec', { dir: data, seed: 0, only: 'test' });
  const trivial = trivialFigures(data, test);
  const modes = {};
  for (const mode of values.modes.split(',')) {
    const peers = {};
    for (const peer of values.peers.split(',')) {
      const runs = await runsOf(options, peer, mode);
      if (runs.length === 0) continue;
      peers[peer] = {
        runs: cost(runs),
        figures: heatmapFigures(
          test,
          runs.map((run) => inOrder(run, test.records)),
        ),
      };
    }
    print(mode, peers, trivial);
    modes[mode] = peers;
  }
  const setting = { dataset: 'magnetic-tile', model: 'cnn224', noise: 'confetti', ...numbers };
  if (values.out) writeJson(values.out, { environment: await environment(threads), setting, trivial, modes });
}

if (process.argv[1] === script('tiles.mjs')) await main();
