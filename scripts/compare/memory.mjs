#!/usr/bin/env node
/**
 * Peak resident memory of whole processes: one 2048x2048 image through vgg11 with its heatmap, and
 * `train --dataset mvtec` at 224x224 with batches of 128.
 *
 *   node scripts/compare/memory.mjs --data ../shared/data/magnetic-tile [--threads N] [--work runs/compare/memory]
 *     [--out benchmarks/memory.json]
 *
 * Exits 1 when a peak is above its bound. Training runs one epoch with random weights: memory does not depend on values.
 */
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { openDevice } from '../../dist/index.js';
import { architecture } from '../../dist/models/index.js';
import { cli, environment, runMeasured, script, writeJson } from './record.mjs';

const EXTENT = 2048;
const BATCH = 128;
const GIB = 1024; // MiB
const BOUNDS = { image: GIB, 'vgg11-f': 3 * GIB, vgg11: 4 * GIB };

/** In a process of its own, whose peak is measured. */
async function inferLarge(threads) {
  const device = openDevice('cpu', threads === undefined ? {} : { threads: Number(threads) });
  const layers = architecture('vgg11').layers({ bias: true });
  const network = device.createNetwork(layers, { channels: 3, height: EXTENT, width: EXTENT });
  await network.initialise(0);
  const pixels = Float32Array.from({ length: 3 * EXTENT * EXTENT }, (_, i) => Math.sin(i));
  const { maps } = await network.infer(pixels, { maps: true });
  const planMiB = network.inferenceBytes(1) / 2 ** 20;
  device.dispose();
  console.log(JSON.stringify({ planMiB, pixels: maps.length }));
}

async function trainOnce({ data, threads, work }, model) {
  const out = join(work, model);
  rmSync(out, { recursive: true, force: true });
  const { peakMiB, cpuSeconds } = await runMeasured(process.execPath, [
    ...[
      cli,
      'train',
      '--dataset',
      'mvtec',
      '--data',
      data,
      '--device',
      'cpu',
      '--model',
      model,
      '--out',
      out,
    ],
    ...['--weights', 'random', '--batch-size', `${BATCH}`, '--epochs', '1', '--json'],
    ...(threads === undefined ? [] : ['--threads', threads]),
  ]);
  rmSync(out, { recursive: true, force: true });
  return { peakMiB, cpuSeconds };
}

async function main() {
  const { values } = parseArgs({
    options: {
      data: { type: 'string' },
      threads: { type: 'string' },
      work: { type: 'string', default: 'runs/compare/memory' },
      out: { type: 'string' },
      'large-image': { type: 'boolean', default: false },
    },
  });
  if (values['large-image']) return inferLarge(values.threads);
  if (values.data === undefined) throw new Error('--data: expected the folder of the magnetic tiles');
  mkdirSync(values.work, { recursive: true });
  const threads = values.threads === undefined ? [] : ['--threads', values.threads];
  const { stdout, peakMiB, cpuSeconds } = await runMeasured(process.execPath, [
    ...[script('memory.mjs'), '--large-image'],
    ...threads,
  ]);
  const image = { model: 'vgg11', extent: EXTENT, ...JSON.parse(stdout), peakMiB, cpuSeconds };
  const rows = [{ name: `vgg11, one image of ${EXTENT}x${EXTENT}`, ...image, boundMiB: BOUNDS.image }];
  for (const model of ['vgg11-f', 'vgg11']) {
    const name = `train --dataset mvtec --model ${model} --batch-size ${BATCH}`;
    rows.push({ name, ...(await trainOnce(values, model)), boundMiB: BOUNDS[model] });
  }
  for (const { name, peakMiB: peak, boundMiB } of rows)
    console.log(
      `${name}: peak ${peak.toFixed(0)} MiB of ${boundMiB} ${peak <= boundMiB ? 'passed' : 'FAILED'}`,
    );
  const count = values.threads === undefined ? undefined : Number(values.threads);
  if (values.out) writeJson(values.out, { environment: await environment(count), rows });
  if (rows.some(({ peakMiB: peak, boundMiB }) => peak > boundMiB)) process.exitCode = 1;
}

await main();
