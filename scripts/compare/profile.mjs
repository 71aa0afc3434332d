#!/usr/bin/env node
/**
 * Where the processor's time goes in inference and training, by kind of work, and what share of a real training step the
 * input pipeline (crop, confetti, local contrast normalisation …) takes.
 *
 *   node scripts/compare/profile.mjs [--data ../shared/data/magnetic-tile] [--seconds 8] [--threads N]
 *     [--out benchmarks/profile.json]
 *
 * Needs `perf` (Debian: linux-perf), which samples the process after three seconds; waiting at a barrier counts as time. Without --data the
 * input pipeline is left out.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { median, timeInference, timeTraining } from '../../dist/benchmark/ours.js';
import { openDevice } from '../../dist/index.js';
import { resolveConfig } from '../../dist/training/config.js';
import { prepareRun } from '../../dist/training/prepare.js';
import { environment, script, writeJson } from './record.mjs';

const COURSES = [
  { suite: 'inference', model: 'vgg11', batch: 1 },
  { suite: 'inference', model: 'vgg11', batch: 8 },
  { suite: 'train', model: 'vgg11-f', batch: 16 },
  { suite: 'train', model: 'cnn28-w', batch: 128 },
  { suite: 'train', model: 'cnn32-lw3k', batch: 20 },
];

/** Functions of the engine by what they do; the first that fits counts. */
const KINDS = [
  ['products of the weight gradient', /weight_grad/],
  ['Winograd transforms', /winograd_(input|output|gradient|weights)/],
  ['packing and unpacking of weights', /_pack\b|_pack\(|::finish\(|conv_fold/],
  ['products of convolutions', /conv_tile|conv_panel/],
  ['batch norm, activation, pooling', /post_|moments|::sums|norm_stats|channel_/],
  ['loss and upsampling', /loss|upsample|score|huber/],
  ['optimiser', /::sgd|::adam/],
  ['copies and clearing', /mem(set|cpy|move)/],
  ['scheduling', /Pool|run_parallel|gather|::parallel</],
  ['operating system', /^\[k\]/],
];

const threadsOf = (threads) => (threads === undefined ? {} : { threads: Number(threads) });

/** In the process that perf watches. */
async function runCourse(text, seconds, threads) {
  const { suite, model, batch } = JSON.parse(text);
  const open = suite === 'train' ? timeTraining : timeInference;
  const course = await open(model, batch, 'cpu', threadsOf(threads));
  await course.measure(seconds);
  course[Symbol.dispose]();
}

function perf(args) {
  const done = spawnSync('perf', args, { encoding: 'utf8', maxBuffer: 1 << 28 });
  if (done.error) throw new Error('expected the program perf: install linux-perf', { cause: done.error });
  if (done.status !== 0) throw new Error(`perf ${args[0]} ended with ${done.status}:\n${done.stderr}`);
  return done.stdout;
}

/** Shares of the samples by kind; setting up (Node's own code) is left out. */
function shares(report) {
  const totals = {};
  for (const line of report.split('\n')) {
    const found = /^\s*([\d.]+)%\s+(\[[k.]\]\s+.*?)\s*(-\s+-)?\s*$/.exec(line);
    if (!found) continue;
    const kind = KINDS.find(([, pattern]) => pattern.test(found[2]))?.[0];
    const engine = /fcdd::/.test(found[2]);
    const name = kind ?? (engine ? 'other parts of the engine' : null);
    if (name) totals[name] = (totals[name] ?? 0) + Number(found[1]);
  }
  const sum = Object.values(totals).reduce((a, b) => a + b, 0);
  const sorted = Object.entries(totals).sort(([, a], [, b]) => b - a);
  return Object.fromEntries(sorted.map(([name, value]) => [name, value / sum]));
}

function profile(course, seconds, threads) {
  const folder = mkdtempSync(join(tmpdir(), 'fcdd-profile-'));
  try {
    const data = join(folder, 'perf.data');
    const own = [script('profile.mjs'), '--course', JSON.stringify(course), '--seconds', seconds];
    const more = threads === undefined ? [] : ['--threads', threads];
    perf(['record', '-q', '-D', '3000', '-F', '997', '-o', data, process.execPath, ...own, ...more]);
    return {
      ...course,
      shares: shares(perf(['report', '-i', data, '--stdio', '--no-children', '-s', 'symbol'])),
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Time of making a batch beside that of a whole step, which makes its own. */
async function inputShare({ data, threads }) {
  const device = openDevice('cpu', threadsOf(threads));
  const batchSize = 16;
  const options = { dataset: 'mvtec', data, model: 'vgg11-f', weights: 'random', batchSize, seed: 0 };
  const { config } = resolveConfig(options);
  const run = await prepareRun(config, device);
  const [steps, inputs] = [[], []];
  for (let i = 0; i < 12; i++) {
    const began = performance.now();
    await run.trainer.run({ epoch: 0, first: i, steps: 1, lr: 1e-4 });
    const step = performance.now() - began;
    const input = await run.trainer.timeAugment(0, i * batchSize, batchSize);
    if (i < 3) continue;
    steps.push(step);
    inputs.push(input);
  }
  const [step, input] = [median(steps), median(inputs)];
  run[Symbol.dispose]();
  device.dispose();
  return { model: config.model, batch: batchSize, stepMs: step, inputMs: input, share: input / step };
}

async function main() {
  const { values } = parseArgs({
    options: {
      data: { type: 'string' },
      seconds: { type: 'string', default: '8' },
      threads: { type: 'string' },
      out: { type: 'string' },
      course: { type: 'string' },
    },
  });
  const { seconds, threads } = values;
  if (values.course !== undefined) return runCourse(values.course, Number(seconds), threads);
  const courses = [];
  for (const course of COURSES) {
    courses.push(profile(course, seconds, threads));
    const { suite, model, batch, shares: parts } = courses.at(-1);
    console.log(`${suite} ${model}, batch ${batch}`);
    for (const [name, share] of Object.entries(parts))
      console.log(`  ${(100 * share).toFixed(1).padStart(5)} %  ${name}`);
  }
  const input = values.data === undefined ? null : await inputShare(values);
  if (input) {
    const { model, stepMs, inputMs, share } = input;
    console.log(
      `input pipeline of ${model}: ${inputMs.toFixed(1)} ms of a step's ${stepMs.toFixed(0)} ms, ${(100 * share).toFixed(1)} %`,
    );
  }
  const count = threads === undefined ? undefined : Number(threads);
  if (values.out) writeJson(values.out, { environment: await environment(count), courses, input });
}

await main();
