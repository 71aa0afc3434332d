#!/usr/bin/env node
/**
 * Independent draws: the same setting trained with many seeds by `fcdd-native train` and by PyTorch.
 *
 *   node scripts/compare/independent-draws.mjs --data ../shared/data [--classes 0,1] [--seeds 20] [--epochs 40]
 *     [--model cnn28-w] [--batch-size 128] [--threads N] [--work runs/compare/independent-draws]
 *     [--out benchmarks/independent-draws.json] [-- more options of fcdd-native train, e.g. --hold-out 0]
 *
 * Fashion-MNIST (mini), outlier exposure. `train` keeps some normal images back for its threshold, PyTorch trains on all
 * (`-- --hold-out 0` does so in ours). Every run is kept under --work, so that a comparison that was cut off goes on. Exits 1 when our mean ROC-AUC of a class is below PyTorch's by more than two standard errors of the
 * difference, or by more than 0.02.
 */
import { spawnSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { KEEP_MEMORY, runPython } from './python.mjs';
import { cli, compareSeeds, environment, script, writeJson } from './record.mjs';

const LARGEST_DEFICIT = 0.02;

/** The options that both programs understand alike. */
function setting({ data, model, batchSize, epochs, threads }, normal, seed) {
  const sources = [
    '--data',
    join(data, 'fashion-mnist-mini'),
    '--oe',
    join(data, 'oe-mini'),
    '--class',
    `${normal}`,
  ];
  const method = [
    '--model',
    model,
    '--batch-size',
    `${batchSize}`,
    '--epochs',
    `${epochs}`,
    '--seed',
    `${seed}`,
  ];
  return [...sources, ...method, ...(threads === undefined ? [] : ['--threads', `${threads}`])];
}

/** One training of ours; { rocAuc, seconds, imagesPerSecond }. */
function trainOurs(options, normal, seed) {
  const { work, epochs, extra } = options;
  const out = join(work, `run-class-${normal}-seed-${seed}`);
  rmSync(out, { recursive: true, force: true });
  const own = ['--dataset', 'fashion-mnist', '--device', 'cpu', '--out', out, '--json', ...extra];
  const args = [cli, 'train', ...setting(options, normal, seed), ...own];
  const done = spawnSync(process.execPath, args, { encoding: 'utf8', maxBuffer: 1 << 28 });
  if (done.status !== 0)
    throw new Error(`fcdd-native train ended with ${done.status ?? done.signal}:\n${done.stderr}`);
  const { sample, seconds, imagesPerSecond } = JSON.parse(done.stdout.trim().split('\n').at(-1));
  rmSync(out, { recursive: true, force: true });
  return { rocAuc: sample.rocAuc, class: normal, seed, epochs, seconds, imagesPerSecond };
}

function trainTorch(options, normal, seed) {
  const args = [...setting(options, normal, seed), '--json'];
  return runPython(script('torch_fashion_mnist.py'), args, { env: KEEP_MEMORY });
}

/** Means, standard deviations, difference and verdict of one normal class. */
export async function compareClass(options, normal) {
  const found = await compareSeeds(options, `class ${normal}`, {
    ours: (seed) => trainOurs(options, normal, seed),
    torch: (seed) => trainTorch(options, normal, seed),
  });
  const passed = found.difference >= -2 * found.standardError && found.difference >= -LARGEST_DEFICIT;
  return { class: normal, ...found, passed };
}

const report = ({ class: normal, ours, torch, difference: by, standardError, interval95, passed }) =>
  `class ${normal}: ours ${ours.mean.toFixed(4)} ± ${ours.sd.toFixed(4)}, PyTorch ${torch.mean.toFixed(4)} ± ${torch.sd.toFixed(4)}, ` +
  `difference ${by.toFixed(4)} (standard error ${standardError.toFixed(4)}, 95 % interval ${interval95.map((v) => v.toFixed(4)).join(' … ')}): ` +
  (passed ? 'passed' : 'FAILED');

async function main() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      data: { type: 'string' },
      classes: { type: 'string', default: '0,1' },
      seeds: { type: 'string', default: '20' },
      epochs: { type: 'string', default: '40' },
      model: { type: 'string', default: 'cnn28-w' },
      'batch-size': { type: 'string', default: '128' },
      threads: { type: 'string' },
      work: { type: 'string', default: 'runs/compare/independent-draws' },
      out: { type: 'string' },
    },
  });
  if (values.data === undefined)
    throw new Error('--data: expected the folder that holds fashion-mnist-mini and oe-mini');
  const { data, work, model } = values;
  const threads = values.threads === undefined ? undefined : Number(values.threads);
  const numbers = {
    seeds: Number(values.seeds),
    epochs: Number(values.epochs),
    batchSize: Number(values['batch-size']),
  };
  const options = { data, work, threads, model, ...numbers, extra: positionals };
  const classes = [];
  for (const normal of values.classes.split(',').map(Number))
    classes.push(await compareClass(options, normal));
  for (const result of classes) console.log(report(result));
  const chosen = { dataset: 'fashion-mnist-mini', model, ...numbers, extra: positionals };
  if (values.out)
    writeJson(values.out, { environment: await environment(threads), setting: chosen, classes });
  if (classes.some((result) => !result.passed)) process.exitCode = 1;
}

if (process.argv[1] === script('independent-draws.mjs')) await main();
