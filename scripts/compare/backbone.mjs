#!/usr/bin/env node
/**
 * What a pretrained, frozen backbone is worth where there are no ImageNet weights: cnn28-w learns the ten classes of full
 * Fashion-MNIST, goes through `export` and `weights import`, is frozen, and FCDD trains its head on mini Fashion-MNIST;
 * beside it the same net frozen at random values, and one trained from scratch.
 *
 *   node scripts/compare/backbone.mjs --data ../shared/data --full /usr/share/datasets/fashion-mnist [--classes 0,1]
 *     [--seeds 3] [--epochs 40] [--pretrain 3] [--threads N] [--work runs/compare/backbone] [--out benchmarks/backbone.json]
 *
 * The backbone has seen the labels of the normal and the anomalous classes: it shows that the way works, not how well
 * anomalies of an unknown kind are found. Every run is kept under --work, so that a cut comparison goes on.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { cli, environment, resumable, script, summary, writeJson } from './record.mjs';

const NAME = 'fashion-mnist-backbone';

/** The command's JSON; its weights cache lies in the work folder. */
function fcdd(options, args) {
  const env = { ...process.env, FCDD_CACHE: join(options.work, 'cache') };
  const done = spawnSync(process.execPath, [cli, ...args, '--json'], {
    encoding: 'utf8',
    maxBuffer: 1 << 28,
    env,
  });
  if (done.status !== 0)
    throw new Error(`fcdd-native ${args[0]} ended with ${done.status ?? done.signal}:\n${done.stderr}`);
  return JSON.parse(done.stdout.trim().split('\n').at(-1));
}

const threadsOf = ({ threads }) => (threads === undefined ? [] : ['--threads', threads]);

/** Pretrains, exports and imports; the classifier's accuracy and the import's own verification. */
function makeBackbone(options) {
  const run = join(options.work, 'classifier');
  const file = join(options.work, 'backbone.onnx');
  if (!existsSync(join(run, 'model.safetensors'))) rmSync(run, { recursive: true, force: true });
  const train = ['train', '--method', 'classify', '--dataset', 'fashion-mnist', '--data', options.full];
  const net = ['--model', 'cnn28-w', '--epochs', options.pretrain, '--hold-out', '0', '--device', 'cpu'];
  const { accuracy } = fcdd(options, [...train, ...net, ...threadsOf(options), '--out', run]);
  fcdd(options, ['export', join(run, 'model.safetensors'), '--out', file]);
  const imported = fcdd(options, ['weights', 'import', file, '--as', 'cnn28-w', '--name', NAME]);
  delete imported.weights.path; // of this machine alone
  return { accuracy: accuracy.all, n: accuracy.n, epochs: Number(options.pretrain), imported };
}

const variants = {
  'frozen, pretrained': ['--weights', NAME, '--freeze-until', 'conv2'],
  'frozen, random': ['--freeze-until', 'conv2'],
  'pretrained, trained on': ['--weights', NAME],
  'from scratch': [],
};

function trainHead(options, variant, normal, seed) {
  const out = join(options.work, 'run');
  rmSync(out, { recursive: true, force: true });
  const data = ['--data', join(options.data, 'fashion-mnist-mini'), '--oe', join(options.data, 'oe-mini')];
  const setting = ['--class', normal, '--model', 'cnn28-w', '--epochs', options.epochs, '--seed', `${seed}`];
  const args = ['train', '--dataset', 'fashion-mnist', ...data, ...setting, ...variants[variant]];
  const { sample, seconds } = fcdd(options, [
    ...args,
    '--device',
    'cpu',
    ...threadsOf(options),
    '--out',
    out,
  ]);
  rmSync(out, { recursive: true, force: true });
  return { variant, class: normal, seed, rocAuc: sample.rocAuc, seconds };
}

async function main() {
  const { values } = parseArgs({
    options: {
      data: { type: 'string' },
      full: { type: 'string' },
      classes: { type: 'string', default: '0,1' },
      seeds: { type: 'string', default: '3' },
      epochs: { type: 'string', default: '40' },
      pretrain: { type: 'string', default: '3' },
      threads: { type: 'string' },
      work: { type: 'string', default: 'runs/compare/backbone' },
      out: { type: 'string' },
    },
  });
  for (const name of ['data', 'full']) {
    if (values[name] === undefined)
      throw new Error(`--${name}: expected a folder (see the head of this script)`);
  }
  mkdirSync(values.work, { recursive: true });
  const backbone = await resumable(join(values.work, 'backbone.json'), () => makeBackbone(values));
  console.log(`classifier: test accuracy ${backbone.accuracy.toFixed(4)} after ${backbone.epochs} epochs`);
  const results = [];
  for (const normal of values.classes.split(',')) {
    for (const variant of Object.keys(variants)) {
      const runs = [];
      for (let seed = 0; seed < Number(values.seeds); seed++) {
        const path = join(values.work, `${normal}-${variant.replaceAll(/\W+/g, '-')}-${seed}.json`);
        runs.push(await resumable(path, () => trainHead(values, variant, normal, seed)));
      }
      const rocAuc = runs.map((run) => run.rocAuc);
      const found = { class: Number(normal), variant, ...summary(rocAuc), rocAuc };
      results.push(found);
      console.log(`class ${normal}, ${variant}: ROC-AUC ${found.mean.toFixed(4)} ± ${found.sd?.toFixed(4)}`);
    }
  }
  const setting = { model: 'cnn28-w', epochs: Number(values.epochs), seeds: Number(values.seeds) };
  if (values.out) {
    const threads = values.threads === undefined ? undefined : Number(values.threads);
    writeJson(values.out, { environment: await environment(threads), setting, backbone, results });
  }
}

if (process.argv[1] === script('backbone.mjs')) await main();
