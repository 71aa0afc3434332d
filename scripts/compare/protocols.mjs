#!/usr/bin/env node
/**
 * Every setting of MVTec AD on real photographs: unsupervised, semi-supervised, exact masks, anomalies kept to the
 * object, cut-paste and textures; each with the best epoch (chosen without test data) beside the last one.
 *
 *   node scripts/compare/protocols.mjs --data ../shared/data/magnetic-tile [--oe ../shared/data/oe-mini] [--seeds 3]
 *     [--epochs 3] [--model vgg11-f] [--weights random] [--settings "unsupervised;cut-paste-gt"] [--threads N]
 *     [--work runs/compare/protocols] [--out benchmarks/protocols.json]
 *
 * Without --model `train` takes the data set's own, and says which. Runs are kept under --work, so that a comparison
 * that was cut off goes on; `--only-report` makes the table of the runs that are there and starts none.
 */
import { existsSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { cli, environment, readJson, resumable, runMeasured, script, summary, writeJson } from './record.mjs';

/** Arguments of `train` by setting; OE stands for the folder of textures. */
export const SETTINGS = {
  unsupervised: ['--supervise', 'malformed-normal', '--noise', 'confetti'],
  'semi-supervised': ['--supervise', 'noise', '--noise', 'mvtec-gt', '--oe-limit', '1'],
  'semi-supervised, also tested on': [
    ...['--supervise', 'noise', '--noise', 'mvtec-gt', '--oe-limit', '1'],
    '--keep-oe-in-test',
  ],
  'malformed-normal-gt': ['--supervise', 'malformed-normal-gt', '--noise', 'confetti'],
  'on-object': ['--supervise', 'malformed-normal-gt', '--noise', 'confetti', '--on-object'],
  'cut-paste': ['--supervise', 'malformed-normal', '--noise', 'cut-paste'],
  'cut-paste-gt': ['--supervise', 'malformed-normal-gt', '--noise', 'cut-paste'],
  'texture-gt': ['--supervise', 'malformed-normal-gt', '--noise', 'texture'],
  'texture-gt, natural images': [
    ...['--supervise', 'malformed-normal-gt', '--noise', 'texture'],
    ...['--texture', 'OE'],
  ],
};

const slug = (name) => name.replace(/[^a-z0-9-]+/g, '-');

/** A figure that a version of metrics.json may not have. */
const figureOf = (value) => (typeof value === 'number' ? value : null);

/** What a finished run says. */
export function figuresOf(metrics, config) {
  const { sample, pixel, selected, last, synthetic } = metrics;
  return {
    model: metrics.model,
    weights: config.weights ?? null,
    trainedOn: config.oeFiles ?? null,
    epoch: selected.epoch,
    criterion: { best: selected.value, last: selected.lastValue },
    best: {
      image: sample.rocAuc,
      pixel: pixel.rocAuc,
      aupro: figureOf(pixel.aupro),
      perType: Object.fromEntries(
        Object.entries(sample.perType).map(([type, { rocAuc }]) => [
          type,
          { image: rocAuc, pixel: pixel.perType[type]?.rocAuc ?? null },
        ]),
      ),
    },
    last: { image: last.sample, pixel: last.pixel },
    synthetic: { image: synthetic.sampleRocAuc, pixel: synthetic.pixelRocAuc },
  };
}

async function trainOnce(options, setting, seed) {
  const { data, oe, epochs, threads, work, model, weights } = options;
  const out = join(work, `${slug(setting)}-seed-${seed}-run`);
  rmSync(out, { recursive: true, force: true });
  const optional = Object.entries({ threads, model, weights })
    .filter(([, value]) => value !== undefined)
    .flatMap(([name, value]) => [`--${name}`, value]);
  const { stdout, ...measured } = await runMeasured(process.execPath, [
    ...[cli, 'train', '--dataset', 'mvtec', '--data', data, '--device', 'cpu', '--select', 'best'],
    ...SETTINGS[setting].map((value) => (value === 'OE' ? oe : value)),
    ...['--epochs', String(epochs), '--seed', String(seed), '--out', out, '--json'],
    ...optional,
  ]);
  const { seconds, imagesPerSecond } = JSON.parse(stdout.trim().split('\n').at(-1));
  const figures = figuresOf(readJson(join(out, 'metrics.json')), readJson(join(out, 'config.json')));
  return { setting, seed, epochs, seconds, imagesPerSecond, ...measured, ...figures };
}

/** The runs of a setting; with onlyReport those that exist. */
async function runsOf(options, setting) {
  const runs = [];
  for (let seed = 0; seed < options.seeds; seed++) {
    const path = join(options.work, `${slug(setting)}-seed-${seed}.json`);
    if (options.onlyReport && !existsSync(path)) continue;
    const run = options.onlyReport
      ? readJson(path)
      : await resumable(path, () => trainOnce(options, setting, seed));
    const asked = { epochs: options.epochs, ...(options.model ? { model: options.model } : {}) };
    for (const [name, value] of Object.entries(asked)) {
      if (run[name] !== value) throw new Error(`${path} has ${name} ${run[name]}: choose another --work`);
    }
    runs.push(run);
  }
  return runs;
}

const number = (value) => (value === null ? 'n/a' : value.toFixed(3));

/** Mean ± standard deviation over seeds; n/a where a figure is missing. */
function cell(runs, pick) {
  const values = runs.map(pick);
  if (values.length === 0 || values.some((value) => value === null)) return 'n/a';
  const { mean, sd } = summary(values);
  return sd === null ? number(mean) : `${number(mean)} ± ${number(sd)}`;
}

/** The table in Markdown. */
export function table(settings) {
  const lines = [
    '| setting | seeds | image | pixel | AUPRO | epochs chosen | last epoch: image | pixel |',
    '|---|---|---|---|---|---|---|---|',
  ];
  for (const [name, runs] of Object.entries(settings)) {
    if (runs.length === 0) continue;
    const cells = [
      cell(runs, (run) => run.best.image),
      cell(runs, (run) => run.best.pixel),
      cell(runs, (run) => run.best.aupro),
      runs.map((run) => run.epoch).join(', '),
      cell(runs, (run) => run.last.image),
      cell(runs, (run) => run.last.pixel),
    ];
    lines.push(`| ${name} | ${runs.length} | ${cells.join(' | ')} |`);
  }
  return lines.join('\n');
}

/** The settings asked for; those that need a folder of textures only with one. */
export function chosenSettings(asked, oe) {
  const names =
    asked === undefined ? Object.keys(SETTINGS) : asked.split(';').flatMap((part) => namesIn(part));
  return names.filter((name) => {
    if (!SETTINGS[name].includes('OE') || oe !== undefined) return true;
    console.error(`skipped: '${name}' needs --oe, a folder of pictures to take textures from`);
    return false;
  });
}

/** Names may hold a comma themselves. */
function namesIn(text) {
  if (Object.hasOwn(SETTINGS, text)) return [text];
  const names = text.split(',');
  const unknown = names.find((name) => !Object.hasOwn(SETTINGS, name));
  if (unknown !== undefined)
    throw new Error(`--settings: '${unknown}' is none of ${Object.keys(SETTINGS).join('; ')}`);
  return names;
}

async function main() {
  const { values } = parseArgs({
    options: {
      data: { type: 'string' },
      oe: { type: 'string' },
      seeds: { type: 'string', default: '3' },
      epochs: { type: 'string', default: '3' },
      model: { type: 'string' },
      weights: { type: 'string' },
      settings: { type: 'string' },
      threads: { type: 'string' },
      work: { type: 'string', default: 'runs/compare/protocols' },
      out: { type: 'string' },
      'only-report': { type: 'boolean', default: false },
    },
  });
  if (values.data === undefined) throw new Error('--data: expected the folder of the magnetic tiles');
  const numbers = { seeds: Number(values.seeds), epochs: Number(values.epochs) };
  const options = { ...values, ...numbers, onlyReport: values['only-report'] };
  mkdirSync(values.work, { recursive: true });
  const settings = {};
  for (const name of chosenSettings(values.settings, values.oe)) {
    settings[name] = await runsOf(options, name);
    for (const run of settings[name]) {
      console.error(
        `${name} seed ${run.seed} (${run.model}): epoch ${run.epoch}, image ${number(run.best.image)} pixel ` +
          `${number(run.best.pixel)}, last image ${number(run.last.image)} pixel ${number(run.last.pixel)}, ` +
          `${run.seconds.toFixed(0)} s`,
      );
    }
    if (values.out) {
      const threads = values.threads === undefined ? undefined : Number(values.threads);
      writeJson(values.out, {
        environment: await environment(threads),
        setting: { dataset: 'magnetic-tile', ...numbers },
        settings,
      });
    }
  }
  console.log(table(settings));
}

if (process.argv[1] === script('protocols.mjs')) await main();
