import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { CommandModule } from 'yargs';
import { FcddError } from '../errors.js';
import { architectures } from '../models/index.js';
import { checkOptions, syntheticNoises, type TrainOptions } from '../training/config.js';
import { methods } from '../training/methods.js';
import { type TrainResult, train as trainRun } from '../training/train.js';
import { deviceOptions } from './device.js';
import { figureLines } from './figures.js';
import { createTrainingBar, figure, log, percent, printJson, stopSignal } from './output.js';

const data = 'Data';
const method = 'Method';
const optimisation = 'Optimisation';
const machine = 'Machine';
const results = 'Results';

const options = {
  dataset: {
    group: data,
    type: 'string',
    describe:
      'demo (generated, needs no files), fashion-mnist, cifar10, cifar100, emnist, imagenet, pascal-voc, mvtec (any folder laid out like MVTec AD), folder (your own pictures); fcdd-native data prepare makes them [default: demo]',
  },
  data: {
    group: data,
    type: 'string',
    describe: 'folder of the data set, or one that holds <dataset>/ (else $FCDD_DATA)',
  },
  class: { group: data, type: 'string', describe: 'the normal class, by name or index' },
  oe: {
    group: data,
    type: 'string',
    describe:
      'outlier exposure: a data set (cifar100, emnist, imagenet, imagenet22k …), or a folder of images, CIFAR or idx files',
  },
  'oe-limit': {
    group: data,
    type: 'number',
    describe: 'use only so many exposure images (real anomalies: of each type), drawn once',
  },
  'keep-oe-in-test': {
    group: data,
    type: 'boolean',
    describe: 'leave real anomalies that are trained on in the test split, as the published runs did',
  },
  texture: {
    group: data,
    type: 'string',
    describe: 'pictures that --noise texture blends in [default: other places of the normal images]',
  },
  resize: {
    group: data,
    choices: ['nearest', 'area'],
    describe:
      'how photographs are brought to size [default: nearest with published constants, area otherwise]',
  },
  'bit-range': {
    group: data,
    type: 'string',
    describe: 'LOW:HIGH values of 16-bit images that mean black and white (10- and 12-bit cameras)',
  },
  'reference-preprocessing': {
    group: data,
    type: 'boolean',
    describe: 'centre crop at test, as published, instead of the whole image',
  },
  supervise: {
    group: method,
    choices: ['unsupervised', 'other', 'noise', 'malformed-normal', 'malformed-normal-gt'],
    describe: 'where anomalies to train with come from; -gt marks only the pixels that changed',
  },
  noise: {
    group: method,
    type: 'string',
    describe: `${syntheticNoises.join(', ')}; mvtec, mvtec-gt: real anomalies of the test split (--oe-limit so many per type), -gt with their masks; or a data set as outlier exposure`,
  },
  'on-object': {
    group: method,
    type: 'boolean',
    describe: 'synthetic anomalies change only the object, which is found in the normal images',
  },
  offline: {
    group: method,
    type: 'boolean',
    describe: 'draw the anomalies once instead of anew in every epoch',
  },
  'confetti-colour': {
    group: method,
    choices: ['auto', 'rgb', 'grey'],
    describe: 'auto: grey when all training images are grey',
  },
  model: {
    group: method,
    choices: architectures.map((a) => a.name),
    describe: 'architecture; fcdd-native models describes them',
  },
  weights: {
    group: method,
    type: 'string',
    describe:
      'what to start from: a name in the cache (fcdd-native weights list), a file, or random [default: the cached VGG11 for vgg11 and vgg11-f]',
  },
  'freeze-until': {
    group: method,
    type: 'string',
    describe: 'no gradient up to this layer and what follows it, e.g. features.14 or conv2 (as vgg11-f does)',
  },
  'frozen-bn': {
    group: method,
    choices: ['live', 'fixed'],
    describe:
      'batch normalisation of frozen layers: on batch statistics, as published, or folded in [default: live]',
  },
  bias: { group: method, type: 'boolean', describe: 'biases and affine batch normalisation (--no-bias)' },
  method: {
    group: method,
    choices: methods,
    describe:
      'fcdd; its baselines hsc (hypersphere classification), ae (autoencoder), dsvdd (Deep SVDD); classify (all classes, to start other runs from) [default: fcdd]',
  },
  objective: {
    group: method,
    choices: ['auto', 'sample', 'pixel'],
    describe: 'loss per image or per pixel [default: pixel where masks exist]',
  },
  preprocessing: {
    group: method,
    choices: ['lcnaug1', 'aug1'],
    describe: 'with local contrast normalisation, or without',
  },
  sigma: {
    group: method,
    type: 'number',
    describe: 'width of the Gaussian that upsamples heatmaps, in pixels',
  },
  quantile: { group: method, type: 'number', describe: 'heatmap value shown as full red, as a quantile' },
  epochs: {
    group: optimisation,
    type: 'number',
    describe: 'passes over the training images; 0 evaluates the untouched network',
  },
  'batch-size': { group: optimisation, type: 'number', describe: 'images per step' },
  optimizer: { group: optimisation, choices: ['sgd', 'adam'], describe: 'SGD has Nesterov momentum 0.9' },
  lr: { group: optimisation, type: 'number', describe: 'initial learning rate' },
  'weight-decay': { group: optimisation, type: 'number', describe: 'L2, added to the gradient' },
  seed: {
    group: optimisation,
    type: 'number',
    describe: 'same seed, same bits on the same instruction set or GPU [default: 0]',
  },
  device: { group: machine, ...deviceOptions.device },
  precision: { group: machine, ...deviceOptions.precision },
  threads: { group: machine, ...deviceOptions.threads },
  'memory-budget': {
    group: machine,
    type: 'string',
    describe: 'what training may take besides the images, e.g. 2GiB or 800MB; slower where it is tight',
  },
  out: { group: results, type: 'string', describe: 'run folder [default: runs/<dataset>-<class>-<n>]' },
  resume: {
    group: results,
    type: 'boolean',
    describe: 'go on with --out, or with the latest run under runs/',
  },
  config: {
    group: results,
    type: 'string',
    describe: 'options from a JSON file; RUN/config.json repeats a run',
  },
  'hold-out': {
    group: results,
    type: 'number',
    describe:
      'share of normal images kept back for the threshold, fewer where that spares a tiny last batch; 0: none [default: 0.1]',
  },
  'false-alarm-rate': {
    group: results,
    type: 'number',
    describe: 'share of normal images that may be called anomalous [default: 0.05]',
  },
  'evaluate-at': {
    group: results,
    type: 'string',
    describe: 'epochs with test figures of their own, e.g. 0,1,2,3,5,8 (0: before the first step)',
  },
  select: {
    group: results,
    choices: ['last', 'best'],
    describe:
      'epoch that becomes the model; best: by held-out normal images and synthetic anomalies [default: last]',
  },
  'save-maps': { group: results, type: 'boolean', describe: 'heatmaps as .npy beside the pictures' },
  'dump-step': {
    group: results,
    type: 'number',
    describe: 'write pixels, activations and gradients of this step (from 0) as safetensors',
  },
  json: {
    group: results,
    type: 'boolean',
    default: false,
    describe: 'one JSON object as the last line of standard output',
  },
} as const;

export const train: CommandModule = {
  command: 'train',
  describe: 'learn what normal looks like, and write a run folder with model, figures and heatmaps',
  builder: (yargs) =>
    yargs
      .options(options)
      .example('$0 train', 'the generated demo: no files needed, a few minutes')
      .example('$0 train --dataset folder --data photos/', 'your own pictures of good parts')
      .example('$0 train --dataset mvtec --data mvtec/ --class carpet', 'a category of MVTec AD')
      .example(
        '$0 train --dataset fashion-mnist --data fm/ --class 0 --oe cifar100',
        'a class against the rest, with outlier exposure',
      )
      .example(
        '$0 train --dataset mvtec --data carpet/ --supervise noise --noise mvtec-gt --oe-limit 1',
        'semi-supervised: one real anomaly per type, with its mask',
      )
      .example('$0 train --resume', 'go on after Ctrl-C or a crash')
      .strict(),
  handler: async (argv) => {
    const stop = stopSignal();
    const bar = createTrainingBar();
    const result = await trainRun(await optionsOf(argv as Record<string, unknown>), {
      ...(argv.out === undefined ? {} : { out: String(argv.out) }),
      resume: argv.resume === true,
      signal: stop.signal,
      onNote: (text) => bar.line(text),
      onWarning: (text) => bar.line(`warning: ${text}`),
      onProgress: (progress) => bar.update(progress),
      onStage: (stage, done, total) => {
        if (stage === 'evaluate' && done === total) bar.stop();
      },
    });
    bar.stop();
    report(result, argv.json === true);
    const code = stop.exitCode();
    if (!result.finished && code !== undefined) process.exitCode = code;
  },
};

/** Options of the command line over those of --config; only what was really given. */
async function optionsOf(argv: Record<string, unknown>): Promise<TrainOptions> {
  const given: Record<string, unknown> = {};
  const notOptions = new Set(['out', 'resume', 'config', 'json']);
  for (const key of Object.keys(options)) {
    if (argv[key] !== undefined && !notOptions.has(key)) given[camelCase(key)] = argv[key];
  }
  if (typeof given.evaluateAt === 'string') given.evaluateAt = epochList(given.evaluateAt);
  if (typeof given.bitRange === 'string') given.bitRange = bitRange(given.bitRange);
  if (typeof given.memoryBudget === 'string') given.memoryBudget = byteCount(given.memoryBudget);
  const fromFile = argv.config === undefined ? {} : await readConfig(String(argv.config));
  return checkOptions({ ...fromFile, ...given });
}

const camelCase = (key: string): string =>
  key.replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase());

function epochList(text: string): number[] {
  const epochs = text.split(',').map((part) => Number(part.trim()));
  if (epochs.every((epoch) => Number.isInteger(epoch) && epoch >= 0)) return epochs;
  throw new FcddError('FCDD_USAGE', `--evaluate-at: expected epochs such as 1,2,5, received "${text}"`);
}

function bitRange(text: string): { low: number; high: number } {
  const match = /^(\d+):(\d+)$/.exec(text);
  if (match && Number(match[1]) < Number(match[2])) return { low: Number(match[1]), high: Number(match[2]) };
  throw new FcddError('FCDD_USAGE', `--bit-range: expected LOW:HIGH such as 0:4095, received "${text}"`);
}

const byteUnits = { '': 1, kb: 1e3, mb: 1e6, gb: 1e9, kib: 2 ** 10, mib: 2 ** 20, gib: 2 ** 30 };

/** 2GiB, 1.5 GB, 800MB, or plain bytes. */
function byteCount(text: string): number {
  const match = /^(\d+(?:\.\d+)?)\s*((?:[kmg]i?b)?)$/i.exec(text.trim());
  const bytes = match
    ? Math.floor(Number(match[1]) * byteUnits[match[2]!.toLowerCase() as keyof typeof byteUnits])
    : 0;
  if (bytes > 0) return bytes;
  throw new FcddError('FCDD_USAGE', `--memory-budget: expected a size such as 2GiB, received "${text}"`);
}

async function readConfig(path: string): Promise<Record<string, unknown>> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (cause) {
    throw new FcddError('FCDD_NOT_FOUND', `cannot read the configuration ${path}`, {
      hint: 'give a JSON file, such as the config.json of a run folder',
      cause,
    });
  }
  try {
    // What config.json says of versions is a record, not a choice.
    const { versions: _, ...config } = JSON.parse(text) as Record<string, unknown>;
    return config;
  } catch (cause) {
    throw new FcddError('FCDD_USAGE', `${path} is not JSON: ${(cause as Error).message}`, { cause });
  }
}

function report(result: TrainResult, json: boolean): void {
  const { out, metrics, epochs, seconds, imagesPerSecond } = result;
  if (!result.finished) {
    log(
      `stopped after ${epochs} of ${result.config.epochs} epochs; go on with: fcdd-native train --resume --out ${quoted(out)}`,
    );
    if (json) printJson({ out, epochs, seconds, imagesPerSecond, finished: false });
    return;
  }
  if (metrics?.accuracy) {
    log(`test accuracy ${figure(metrics.accuracy.all)} (${metrics.accuracy.n} images)`);
    for (const [name, { accuracy, n }] of Object.entries(metrics.accuracy.perClass))
      log(`  ${name.padEnd(16)} ${figure(accuracy)}  (${n} images)`);
  } else if (metrics) {
    if (metrics.selected) {
      const { epoch, value, lastValue } = metrics.selected;
      const { sample, pixel } = metrics.last!;
      log(
        `epoch ${epoch} of ${epochs} was chosen (criterion ${figure(value)}, last epoch ${figure(lastValue)}); ` +
          `the last one has image ROC-AUC ${figure(sample)}, pixel ${figure(pixel)}`,
      );
    }
    for (const line of figureLines(metrics.sample, metrics.pixel)) log(line);
    if (metrics.withoutOe) {
      const { removed, sample, pixel } = metrics.withoutOe;
      log(
        `without the ${removed} test images that were trained on: image ${figure(sample.rocAuc)}, pixel ${figure(pixel.rocAuc)}`,
      );
    }
    if (metrics.synthetic) {
      const { noise, n, sampleRocAuc } = metrics.synthetic;
      log(`ROC-AUC on synthetic anomalies (${noise} on ${n} held-out images) ${figure(sampleRocAuc)}`);
    }
    for (const [name, value] of Object.entries(metrics.baselines ?? {}))
      log(`  baseline ${name}: ${figure(value)}`);
    if (metrics.threshold)
      log(`threshold ${metrics.threshold.threshold.toPrecision(4)}: ${metrics.threshold.rule}`);
    else log('no threshold: every normal image was trained on; --hold-out 0.1 keeps some back for one');
    if (metrics.verdicts) {
      const { falseAlarms, normal, detected, anomalous } = metrics.verdicts;
      log(
        `at that threshold ${percent(detected / anomalous)} of the defects are found, ${percent(falseAlarms / normal)} false alarms`,
      );
    }
  }
  log(`${epochs} epochs, ${seconds.toFixed(1)} s of training, ${imagesPerSecond} images/s`);
  log(
    `open ${join(out, 'index.html')}; score pictures with: fcdd-native predict ${quoted(join(out, 'model.safetensors'))} IMAGES`,
  );
  if (json) printJson({ ...metrics, out, epochs, seconds, imagesPerSecond });
}

const quoted = (path: string): string =>
  /^[\w./@-]+$/.test(path) ? path : `'${path.replace(/'/g, "'\\''")}'`;
