#!/usr/bin/env node
/**
 * Independent draws of the paper's baselines: hypersphere classification (which is Deep SVDD with outlier exposure),
 * autoencoder and one-class Deep SVDD, trained with many seeds by `fcdd-native train --method` and by PyTorch.
 *
 *   node scripts/compare/baselines.mjs --data ../shared/data [--methods hsc,ae,dsvdd] [--classes 0] [--seeds 10]
 *     [--epochs 40] [--model cnn28-w] [--batch-size 128] [--threads N] [--work runs/compare/baselines]
 *     [--out benchmarks/baselines.json]
 *
 * Fashion-MNIST (mini), all normal images trained on. Every run is kept under --work, so that a comparison that was cut
 * off goes on. Exits 1 when our mean ROC-AUC is below PyTorch's by more than two standard errors of the difference.
 */
import { spawnSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { KEEP_MEMORY, runPython } from './python.mjs';
import { cli, compareSeeds, environment, script, writeJson } from './record.mjs';

/** The options that both programs understand alike. */
function setting(options, method, normal, seed) {
  const { data, model, batchSize, epochs, threads } = options;
  const exposure = method === 'hsc' ? ['--oe', join(data, 'oe-mini')] : [];
  const sources = ['--data', join(data, 'fashion-mnist-mini'), ...exposure, '--class', `${normal}`];
  const chosen = [
    '--method',
    method,
    '--model',
    model,
    '--batch-size',
    `${batchSize}`,
    '--epochs',
    `${epochs}`,
  ];
  return [
    ...sources,
    ...chosen,
    '--seed',
    `${seed}`,
    ...(threads === undefined ? [] : ['--threads', `${threads}`]),
  ];
}

function trainOurs(options, method, normal, seed) {
  const out = join(options.work, `run-${method}-class-${normal}-seed-${seed}`);
  rmSync(out, { recursive: true, force: true });
  const own = ['--dataset', 'fashion-mnist', '--device', 'cpu', '--hold-out', '0', '--out', out, '--json'];
  const args = [cli, 'train', ...setting(options, method, normal, seed), ...own];
  const done = spawnSync(process.execPath, args, { encoding: 'utf8', maxBuffer: 1 << 28 });
  if (done.status !== 0)
    throw new Error(`fcdd-native train ended with ${done.status ?? done.signal}:\n${done.stderr}`);
  const { sample, seconds } = JSON.parse(done.stdout.trim().split('\n').at(-1));
  rmSync(out, { recursive: true, force: true });
  return { rocAuc: sample.rocAuc, method, class: normal, seed, epochs: options.epochs, seconds };
}

const trainTorch = (options, method, normal, seed) =>
  runPython(script('torch_baselines.py'), setting(options, method, normal, seed), { env: KEEP_MEMORY });

/** Means, standard deviations, difference and verdict of one method and normal class. */
async function compare(options, method, normal) {
  const found = await compareSeeds(options, `${method} class ${normal}`, {
    ours: (seed) => trainOurs(options, method, normal, seed),
    torch: (seed) => trainTorch(options, method, normal, seed),
  });
  // One seed has no standard error, and so no verdict.
  const passed = options.seeds < 2 ? null : found.difference >= -2 * found.standardError;
  return { method, class: normal, ...found, passed };
}

function report({ method, class: normal, ours, torch, passed, ...compared }) {
  const means = `ours ${ours.mean.toFixed(4)}, PyTorch ${torch.mean.toFixed(4)}`;
  if (passed === null) return `${method} class ${normal}: ${means}; one seed gives no verdict`;
  const by = `difference ${compared.difference.toFixed(4)} (standard error ${compared.standardError.toFixed(4)})`;
  return `${method} class ${normal}: ${means}, ${by}: ${passed ? 'passed' : 'FAILED'}`;
}

async function main() {
  const { values } = parseArgs({
    options: {
      data: { type: 'string' },
      methods: { type: 'string', default: 'hsc,ae,dsvdd' },
      classes: { type: 'string', default: '0' },
      seeds: { type: 'string', default: '10' },
      epochs: { type: 'string', default: '40' },
      model: { type: 'string', default: 'cnn28-w' },
      'batch-size': { type: 'string', default: '128' },
      threads: { type: 'string' },
      work: { type: 'string', default: 'runs/compare/baselines' },
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
  const options = { data, work, threads, model, ...numbers };
  const results = [];
  for (const method of values.methods.split(',')) {
    for (const normal of values.classes.split(',').map(Number))
      results.push(await compare(options, method, normal));
  }
  for (const result of results) console.log(report(result));
  const chosen = { dataset: 'fashion-mnist-mini', model, ...numbers };
  if (values.out)
    writeJson(values.out, { environment: await environment(threads), setting: chosen, results });
  if (results.some(({ passed }) => passed === false)) process.exitCode = 1;
}

if (process.argv[1] === script('baselines.mjs')) await main();
