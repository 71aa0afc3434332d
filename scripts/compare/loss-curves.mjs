#!/usr/bin/env node
/**
 * Same initial weights, same batches, same augmented pixels: are the loss curves those of PyTorch?
 *
 *   node scripts/compare/loss-curves.mjs --data ../shared/data [--steps 50] [--batch 128] [--seeds 0,1,2] [--threads N]
 *     [--device cpu|reference] [--out benchmarks/loss-curves.json]
 *
 * cnn28-w on mini Fashion-MNIST, as `train` sets it up. `reference` is compared with PyTorch's float64, `cpu` with its
 * float32 and, unless it is left out, its float64. Rounding grows over the steps (a ReLU or a pool decides otherwise), so
 * two float32 curves part where each is near the exact one: three distances are reported, ours from either and PyTorch's
 * float32 from its own float64. Exits 1 when one of ours exceeds 1e-3.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { openDevice } from '../../dist/index.js';
import { writeSafetensors } from '../../dist/models/index.js';
import { resolveConfig } from '../../dist/training/config.js';
import { prepareRun } from '../../dist/training/prepare.js';
import { learningRate } from '../../dist/training/schedule.js';
import { KEEP_MEMORY, runPython } from './python.mjs';
import { environment, script, writeJson } from './record.mjs';

const MOMENTUM = 0.9;
export const LARGEST_DIFFERENCE = 1e-3;

/** Trains `steps` steps with our engine; exports to `file` what PyTorch needs to repeat them; returns our losses. */
async function trainAndExport(run, steps, file, exact) {
  const { config } = run;
  const tensors = new Map();
  for (const { name, shape } of run.network.tensors)
    tensors.set(`initial/${name}`, { shape, data: await run.network.get(name) });
  const { height, width, channels } = run.network.input;
  const [losses, rates] = [[], []];
  for (let step = 0; step < steps; step++) {
    const epoch = Math.floor(step / run.trainer.stepsPerEpoch);
    const position = step % run.trainer.stepsPerEpoch;
    const first = position * config.batchSize;
    const count = Math.min(config.batchSize, run.trainer.positions - first);
    const { pixels, labels } = await run.trainer.augment(epoch, first, count);
    tensors.set(`pixels/${step}`, { shape: [count, height, width, channels], data: pixels });
    tensors.set(`labels/${step}`, { shape: [count], data: labels });
    rates.push(learningRate(config.lr, config.schedule, epoch));
    // The export is float32: a device that computes in float64 must take that, not its own finer pixels.
    const report = exact
      ? await run.trainer.trainStep({ count, pixels, labels }, rates[step])
      : await run.trainer.run({ epoch, first: position, steps: 1, lr: rates[step] });
    losses.push(report.loss);
  }
  const { model, weightDecay } = config;
  await writeSafetensors(file, tensors, {
    model,
    rates: JSON.stringify(rates),
    momentum: String(MOMENTUM),
    weightDecay: String(weightDecay),
  });
  return losses;
}

const largest = (a, b) => Math.max(...a.map((value, i) => Math.abs(value - b[i])));

/** Our losses, PyTorch's, and their largest difference. */
export async function compareLossCurves({ data, steps, batch, seed, device: name, double, threads }) {
  const folder = mkdtempSync(join(tmpdir(), 'fcdd-loss-curves-'));
  const device = await openDevice(name, threads === undefined ? {} : { threads });
  try {
    const exact = device.info.realBytes === 8;
    const file = join(folder, 'steps.safetensors');
    const sources = { data: join(data, 'fashion-mnist-mini'), oe: join(data, 'oe-mini') };
    const options = { dataset: 'fashion-mnist', class: '0', batchSize: batch, seed, ...sources };
    const run = await prepareRun(resolveConfig(options).config, device);
    const ours = await trainAndExport(run, steps, file, exact).finally(() => run[Symbol.dispose]());
    const threadArgs = threads === undefined ? [] : ['--threads', String(threads)];
    const flags = exact || double ? ['--double'] : [];
    const torch = runPython(script('loss_curve.py'), [file, ...flags, ...threadArgs], { env: KEEP_MEMORY });
    const theirs = exact ? torch.float64 : torch.float32;
    const rounding =
      !exact && torch.float64
        ? {
            differenceFromFloat64: largest(ours, torch.float64),
            torchRounding: largest(torch.float32, torch.float64),
            torchFloat64: torch.float64,
          }
        : {};
    const setting = {
      model: 'cnn28-w',
      steps,
      batch,
      seed,
      device: name,
      torchType: exact ? 'float64' : 'float32',
    };
    return { ...setting, largestDifference: largest(ours, theirs), ...rounding, ours, torch: theirs };
  } finally {
    device.dispose();
    rmSync(folder, { recursive: true, force: true });
  }
}

const agrees = ({ largestDifference, differenceFromFloat64 = 0 }) =>
  Math.max(largestDifference, differenceFromFloat64) <= LARGEST_DIFFERENCE;

function report(run) {
  const { steps, seed, torchType, largestDifference, differenceFromFloat64, torchRounding } = run;
  const parts = [`from PyTorch's ${torchType} ${largestDifference.toExponential(2)}`];
  if (differenceFromFloat64 !== undefined)
    parts.push(
      `from its float64 ${differenceFromFloat64.toExponential(2)}`,
      `PyTorch's float32 from its float64 ${torchRounding.toExponential(2)}`,
    );
  console.log(`seed ${seed}, largest difference of a loss over ${steps} steps: ${parts.join(', ')}`);
}

async function main() {
  const { values } = parseArgs({
    options: {
      data: { type: 'string' },
      steps: { type: 'string', default: '50' },
      batch: { type: 'string', default: '128' },
      seeds: { type: 'string', default: '0,1,2' },
      device: { type: 'string', default: 'cpu' },
      threads: { type: 'string' },
      out: { type: 'string' },
    },
  });
  if (values.data === undefined)
    throw new Error('--data: expected the folder that holds fashion-mnist-mini and oe-mini');
  const threads = values.threads === undefined ? {} : { threads: Number(values.threads) };
  const { data, device } = values;
  const shared = {
    data,
    device,
    double: true,
    steps: Number(values.steps),
    batch: Number(values.batch),
    ...threads,
  };
  const runs = [];
  for (const seed of values.seeds.split(',').map(Number)) {
    runs.push(await compareLossCurves({ ...shared, seed }));
    report(runs.at(-1));
  }
  if (values.out) writeJson(values.out, { environment: await environment(threads.threads), runs });
  if (!runs.every(agrees)) process.exitCode = 1;
}

if (process.argv[1] === script('loss-curves.mjs')) await main();
