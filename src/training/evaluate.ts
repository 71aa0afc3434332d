import { openDataSet, testSubset } from '../data/index.js';
import type { DataSet, OpenOptions } from '../data/types.js';
import { loadModel } from '../detector.js';
import { FcddError } from '../errors.js';
import { type Metrics, testFigures, verdicts } from './figures.js';
import { scoringOfModel } from './methods.js';
import { type Scored, scoreImages } from './scoring.js';
import { openRunDevice, type RunDeviceOptions } from './train.js';

export interface EvaluateOptions extends RunDeviceOptions {
  /** Default: the data set, class and preprocessing that the model was trained on. */
  dataset?: string;
  data?: string;
  class?: string;
  /** Tests on images that the model was trained on, too (semi-supervised). */
  keepOeInTest?: boolean;
  /** Overrides the model's calibrated threshold. */
  threshold?: number;
}

export interface EvaluateHooks {
  signal?: AbortSignal;
  onNote?: (text: string) => void;
  onWarning?: (text: string) => void;
  onProgress?: (done: number, total: number) => void;
}

export interface EvaluateResult {
  metrics: Metrics;
  dataset: DataSet;
  scored: Scored;
}

/**
 * Scores the labelled test split of a data set with a trained model.
 * @throws FcddError when model or data cannot be read, or there is no test split
 */
export async function evaluate(
  model: string,
  options: EvaluateOptions = {},
  hooks: EvaluateHooks = {},
): Promise<EvaluateResult> {
  using device = openRunDevice(options, hooks.onNote ?? (() => {}));
  using loaded = await loadModel(model, device);
  const { metadata, network } = loaded;
  const scoring = scoringOfModel(model, metadata);
  const name = options.dataset ?? metadata.dataset;
  const open: OpenOptions = {
    seed: 0,
    only: 'test',
    className: options.class ?? metadata.className,
  };
  if (options.data !== undefined) open.dir = options.data;
  if (hooks.onWarning) open.onWarning = hooks.onWarning;
  if (metadata.stored.interpolation !== 'bilinear') open.resize = metadata.stored.interpolation;
  const opened = await openDataSet(name, open);
  for (const line of opened.summary) hooks.onNote?.(line);
  const trainedOn = options.keepOeInTest ? [] : (metadata.trainedOn ?? []);
  const dataset = withoutTrainedOn(opened, trainedOn, hooks);
  if (!dataset.test) {
    throw new FcddError(
      'FCDD_BAD_DATA',
      `${name} cannot be evaluated: ${dataset.testMissing ?? 'no test split'}`,
      {
        hint: 'to score single pictures use fcdd-native predict',
      },
    );
  }
  if (dataset.channels !== metadata.input.channels) {
    throw new FcddError(
      'FCDD_BAD_DATA',
      `the model takes ${metadata.input.channels} channels, ${name} has ${dataset.channels}`,
    );
  }
  const scored = await scoreImages(device, network, dataset.test.images, metadata.pipeline, {
    sigma: metadata.sigma,
    maps: true,
    scoring,
    ...(hooks.signal ? { signal: hooks.signal } : {}),
    ...(hooks.onProgress ? { onProgress: hooks.onProgress } : {}),
  });
  const threshold = options.threshold ?? metadata.calibration?.threshold;
  const metrics: Metrics = {
    dataset: dataset.name,
    class: dataset.className,
    model: metadata.architecture,
    ...testFigures(dataset.test, dataset.testMissing, scored),
    synthetic: null,
    threshold: metadata.calibration && {
      threshold: threshold ?? metadata.calibration.threshold,
      rule: options.threshold === undefined ? metadata.calibration.rule : 'given by --threshold',
      n: metadata.calibration.n,
      falseAlarmRate: metadata.calibration.falseAlarmRate,
      guaranteedRate: metadata.calibration.guaranteedRate,
      likely: metadata.calibration.likely,
      note: metadata.calibration.note,
    },
    verdicts: verdicts(dataset.test, scored, threshold),
    baselines: null,
    evaluations: [],
    warnings: dataset.warnings,
  };
  return { metrics, dataset, scored };
}

/** The data set without test images that the model was trained on. */
function withoutTrainedOn(dataset: DataSet, names: readonly string[], hooks: EvaluateHooks): DataSet {
  const { test } = dataset;
  const used = new Set(names);
  if (test === null || !test.records.some(({ name }) => used.has(name))) return dataset;
  const kept = test.records.flatMap(({ name }, i) => (used.has(name) ? [] : [i]));
  hooks.onNote?.(
    `${test.records.length - kept.length} test images that the model was trained on are left out`,
  );
  return { ...dataset, test: testSubset(test, kept) };
}
