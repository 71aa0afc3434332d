#!/usr/bin/env node
/**
 * Imports torchvision's vgg11_bn at full size and compares with PyTorch: node scripts/compare/vgg-import.mjs [--work DIR]
 * [--out FILE]. Needs torch and torchvision (README.md beside this file), 3 GB of disk, some minutes. What Python made is
 * kept in the work folder, so that a run that was cut off goes on. Ends with 1 when a bound is missed.
 */
import { spawn } from 'node:child_process';
import { readFileSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { median } from '../../dist/benchmark/ours.js';
import { relativeDistance } from '../../dist/evaluation/distance.js';
import { openDevice, ops } from '../../dist/index.js';
import { architecture, readSafetensors } from '../../dist/models/index.js';
import { initialiseNetwork } from '../../dist/training/weights.js';
import { blockOutputs } from '../../dist/weights/activations.js';
import { readCached } from '../../dist/weights/cache.js';
import { runPython } from './python.mjs';
import { cli, environment, readJson, resumable, root, script, writeJson } from './record.mjs';

const { values: options } = parseArgs({
  options: {
    work: { type: 'string', default: join(root, 'runs', 'vgg-import') },
    out: { type: 'string', default: join(root, 'benchmarks', 'vgg-import.json') },
  },
});

const tolerances = readJson(join(root, 'test', 'tolerances.json'));
const bounds = {
  importPeakMiB: 200 * (1e6 / 2 ** 20),
  activations: 1e-5,
  fiveStepsReference: tolerances.fiveStepsFloat64,
  fiveStepsCpuSgd: tolerances.fiveStepsFloat32Sgd,
  fiveStepsCpuAdam: tolerances.fiveStepsFloat32Adam,
};
const optimisers = {
  sgd: { kind: 'sgd', lr: 1e-3, momentum: 0.9, weightDecay: 1e-3 },
  adam: { kind: 'adam', lr: 1e-3, beta1: 0.9, beta2: 0.999, eps: 1e-8, weightDecay: 1e-3 },
};
const work = (name) => join(options.work, name);
const cache = work('cache');
const missed = [];

function within(what, value, bound) {
  if (!(value < bound)) missed.push(`${what}: ${value}, bound ${bound}`);
  return value;
}

/** A command of ours: exit code, texts, and the peak resident memory of its main process. */
function measured(args) {
  return new Promise((resolve) => {
    const began = performance.now();
    const child = spawn(process.execPath, [cli, ...args], { env: { ...process.env, FCDD_CACHE: cache } });
    const done = { stdout: '', stderr: '', peakMiB: 0 };
    child.stdout.on('data', (part) => (done.stdout += part));
    child.stderr.on('data', (part) => (done.stderr += part));
    // The kernel keeps the peak, so that only the last moment can be missed.
    const poll = setInterval(() => {
      try {
        const status = readFileSync(`/proc/${child.pid}/status`, 'utf8');
        done.peakMiB = Number(/VmHWM:\s+(\d+) kB/.exec(status)?.[1] ?? 0) / 1024 || done.peakMiB;
      } catch {}
    }, 10);
    child.on('close', (code) => {
      clearInterval(poll);
      resolve({ ...done, code, seconds: (performance.now() - began) / 1000 });
    });
  });
}

async function importFile(name, weightsName) {
  const { code, stdout, stderr, peakMiB, seconds } = await measured([
    ...['weights', 'import', work(name), '--as', 'vgg11', '--name', weightsName, '--json'],
  ]);
  if (code !== 0) throw new Error(`import of ${name} ended with ${code}: ${stderr}`);
  const { weights, existed, verification } = JSON.parse(stdout.trim().split('\n').at(-1));
  within(`peak memory of importing ${name}`, peakMiB, bounds.importPeakMiB);
  return {
    file: name,
    bytes: statSync(work(name)).size,
    seconds: Number(seconds.toFixed(1)),
    peakMiB: Math.round(peakMiB),
    bn: weights.bn,
    sha256: weights.sha256,
    existed,
    verification,
    path: weights.path,
  };
}

/** Activations after every block in inference, on the reference device in float64. */
async function compareActivations(backbone) {
  const { tensors } = await readSafetensors(work('activations.safetensors'));
  const { shape, data } = tensors.get('input');
  const image = { batch: 1, height: shape[0], width: shape[1], channels: shape[2], data };
  const ends = [...tensors.keys()].filter((name) => name !== 'input');
  const device = openDevice('reference');
  const found = {};
  for await (const { output } of blockOutputs(device, backbone.layers, backbone.tensors, image)) {
    const end = ends.shift();
    found[`features.${end}`] = within(
      `activations after features.${end}`,
      relativeDistance(output.data, tensors.get(end).data),
      bounds.activations,
    );
  }
  device.dispose();
  if (ends.length > 0) missed.push(`blocks without activations: ${ends}`);
  return found;
}

/** Five steps of vgg11-f at 64×64, batch 4, from the imported weights. */
async function fiveSteps([name, options], weights, golden, { lr, ...optimiser }) {
  const device = openDevice(name, options);
  const layers = architecture('vgg11-f').layers({ bias: true });
  const network = device.createNetwork(layers, { channels: 3, height: 64, width: 64 });
  await initialiseNetwork(network, 0, weights);
  for (const part of ['weight', 'bias'])
    await network.set(`conv_final.${part}`, golden.get(`head.${part}`).data);
  const trainer = network.createTrainer({
    batch: 4,
    objective: { pixelwise: false },
    optimiser,
    seed: 0,
    keepActivations: true,
  });
  const losses = [];
  let first;
  for (let step = 0; step < 5; step++) {
    const labels = Uint8Array.from({ length: 4 }, (_, i) => (i + step) % 2);
    const batch = { count: 4, pixels: golden.get(`x/${step}`).data, labels };
    losses.push((await trainer.trainStep(batch, lr)).loss);
    first ??= await trainer.lastActivations();
  }
  const after = {};
  for (const { name } of network.tensors) after[name] = await network.get(name);
  for (const resource of [trainer, network, device]) resource.dispose();
  return { losses, after, first };
}

const worst = (distances) =>
  Object.entries(distances).reduce((a, [tensor, value]) => (value > a.value ? { tensor, value } : a), {
    tensor: null,
    value: -1,
  });

/**
 * Five steps on the cpu beside the reference, and how many ReLUs of the first step they decide otherwise: one that lies
 * within rounding of 0 changes gradients by far more than rounding, and Adam makes a step of its own size of that.
 */
async function compareCpu(kind, isa, weights, golden, optimiser, truth, float32) {
  const { after, first } = await fiveSteps(['cpu', { isa }], weights, golden, optimiser);
  let decidedOtherwise = 0;
  let largest = 0;
  for (const [name, values] of Object.entries(truth.first)) {
    values.forEach((value, i) => {
      const ours = first[name][i];
      if ((value === 0) === (ours === 0)) return;
      decidedOtherwise++;
      largest = Math.max(largest, Math.abs(value), Math.abs(ours));
    });
  }
  const distances = {};
  for (const [name, values] of Object.entries(after)) {
    const bound =
      kind === 'sgd' ? bounds.fiveStepsCpuSgd : Math.max(bounds.fiveStepsCpuAdam, 3 * float32[name]);
    distances[name] = relativeDistance(values, truth.after[name]);
    within(`${kind}: ${name} on cpu ${isa}`, distances[name], bound);
  }
  return { isa, decidedOtherwise, largestOfThose: largest, ...worst(distances) };
}

/**
 * Adam with other inputs: how far PyTorch's float32 (the worst of its ways to compute) and ours end from float64. A ReLU
 * that falls to the other side moves either by far more than rounding, so their medians are compared, as the bound of one
 * draw compares single figures.
 */
async function compareDraws(weights, float32) {
  const draws = [];
  for (const [draw, distances] of float32.entries()) {
    const { tensors: golden } = await readSafetensors(work(`draw-${draw}.safetensors`));
    const cpu = {};
    for (const isa of ops.cpuInfo().isas) {
      const { after } = await fiveSteps(['cpu', { isa }], weights, golden, optimisers.adam);
      const ours = Object.entries(after).map(([name, values]) => [
        name,
        relativeDistance(values, golden.get(`after/${name}`).data),
      ]);
      cpu[isa] = worst(Object.fromEntries(ours)).value;
    }
    draws.push({ pytorchFloat32: worst(distances).value, ...cpu });
  }
  const medians = Object.fromEntries(
    Object.keys(draws[0]).map((who) => [who, median(draws.map((draw) => draw[who]))]),
  );
  for (const isa of ops.cpuInfo().isas)
    within(
      `adam: median of the draws on cpu ${isa}`,
      medians[isa],
      Math.max(bounds.fiveStepsCpuAdam, 3 * medians.pytorchFloat32),
    );
  return { medians, draws };
}

async function compareTraining(kind, weights, float32) {
  const optimiser = optimisers[kind];
  const { tensors: golden } = await readSafetensors(work(`training-${kind}.safetensors`));
  const truth = await fiveSteps(['reference'], weights, golden, optimiser);
  const reference = {};
  for (const [name, values] of Object.entries(truth.after))
    reference[name] = within(
      `${kind}: ${name} on reference`,
      relativeDistance(values, golden.get(`after/${name}`).data),
      bounds.fiveStepsReference,
    );
  const losses = within(
    `${kind}: losses`,
    relativeDistance(truth.losses, golden.get('losses').data),
    bounds.fiveStepsReference,
  );
  const cpu = [];
  for (const isa of ops.cpuInfo().isas)
    cpu.push(await compareCpu(kind, isa, weights, golden, optimiser, truth, float32));
  const running = (name) => name.includes('running_');
  const pick = (distances, keep) =>
    Object.fromEntries(Object.entries(distances).filter(([name]) => keep(name)));
  return {
    tensors: Object.keys(reference).length,
    losses,
    reference: worst(reference),
    referenceRunningStatistics: worst(pick(reference, running)),
    cpu,
    pytorchFloat32: worst(float32),
  };
}

const python = await resumable(work('python.json'), () =>
  runPython(script('vgg_import.py'), [options.work], { modules: ['torch', 'torchvision', 'numpy'] }),
);
rmSync(cache, { recursive: true, force: true });

const kept = await importFile('kept.onnx', 'vgg11');
const timm = await importFile('timm.safetensors', 'vgg11-timm');
const folded = await importFile('folded.onnx', 'vgg11-folded');
if (timm.sha256 !== kept.sha256) missed.push('the safetensors and the ONNX file gave different weights');
if (folded.bn !== 'folded') missed.push('the folded file was not recognised');

const refused = await measured([
  'train',
  '--model',
  'vgg11-f',
  '--weights',
  'vgg11-folded',
  '--out',
  work('refused'),
]);
if (refused.code !== 2 || !/TrainingMode\.PRESERVE/.test(refused.stderr))
  missed.push('folded weights were not refused');
const pickle = await measured(['weights', 'import', work('state.pth')]);
if (pickle.code !== 1 || !/safetensors\.torch/.test(pickle.stderr)) missed.push('the pickle was not refused');

const weights = await readCached(kept.path);
const activations = await compareActivations(weights.backbone);
const training = {};
for (const kind of ['sgd', 'adam'])
  training[kind] = await compareTraining(kind, weights, python.float32[kind]);

const draws = await compareDraws(weights, python.draws);

const imports = [kept, timm, folded].map(({ path: _, ...facts }) => facts);
writeJson(options.out, {
  what: 'vgg11_bn of torchvision, random weights, at full size: import, activations and five training steps beside PyTorch',
  environment: await environment(),
  torchvision: python.torchvision,
  bounds,
  imports,
  foldedRefused: refused.stderr.trim().split('\n'),
  activations,
  training,
  adamWithOtherInputs: draws,
  missed,
});
for (const line of missed) process.stderr.write(`missed: ${line}\n`);
process.stdout.write(`${JSON.stringify({ imports, activations, training, draws }, null, 1)}\n`);
process.exitCode = missed.length > 0 ? 1 : 0;
