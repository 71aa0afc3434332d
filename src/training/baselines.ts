/**
 * Repeats a finished run with the paper's baselines: the same data, seed, epochs and settings, another method. Shows the
 * heatmaps of the same test images side by side, and one table of figures on the same test split.
 */
import { join } from 'node:path';
import type { DataSet } from '../data/types.js';
import { loadModel } from '../detector.js';
import type { Device, Method } from '../engine/types.js';
import { FcddError } from '../errors.js';
import { writeFileAtomic } from '../files.js';
import { type ComparedMethod, renderComparison, renderComparisonPage } from '../reports/comparison.js';
import { checkOptions, type RunConfig, resolveConfig, type TrainOptions } from './config.js';
import { testFigures } from './figures.js';
import { learnsNormalOnly, scoringOfModel } from './methods.js';
import { openTestData } from './prepare.js';
import { storedPicture } from './report.js';
import { holdsRun, makeFolder, readJson, runFiles, writeJson } from './run-folder.js';
import { pictureMapOf, type Scored, scoreImages } from './scoring.js';
import { openRunDevice, type TrainHooks, train } from './train.js';

export type BaselineMethod = Exclude<Method, 'fcdd' | 'classify'>;
export const baselineMethods = ['hsc', 'ae', 'dsvdd'] as const satisfies readonly BaselineMethod[];

export interface BaselineOptions {
  /** Default: hsc and ae. */
  methods?: readonly BaselineMethod[];
  /** Default: those of the run. */
  epochs?: number;
  /** Folder of the comparison; default: baselines/ in the run folder. */
  out?: string;
}

export interface BaselineFigures {
  method: Method;
  /** The run folder. */
  out: string;
  sample: number | null;
  pixel: number | null;
}

export interface BaselineResult {
  out: string;
  figures: BaselineFigures[];
  /** False when the signal stopped a training: call again to go on. */
  finished: boolean;
}

/**
 * @param run folder of a finished FCDD run
 * @throws FcddError FCDD_NOT_FOUND or FCDD_INVALID_ARGUMENT when it is none, and what train() throws
 */
export async function compareBaselines(
  run: string,
  options: BaselineOptions = {},
  hooks: Omit<TrainHooks, 'out' | 'resume'> = {},
): Promise<BaselineResult> {
  const config = await finishedRun(run);
  const out = options.out ?? join(run, 'baselines');
  const folders: { method: Method; folder: string }[] = [{ method: 'fcdd', folder: run }];
  for (const method of options.methods ?? (['hsc', 'ae'] as const)) {
    const folder = join(out, method);
    hooks.onNote?.(`${method}:`);
    const done = await train(baselineRun(config, method, options.epochs), {
      ...hooks,
      out: folder,
      resume: true,
    });
    if (!done.finished) return { out, figures: [], finished: false };
    folders.push({ method, folder });
  }
  using device = openRunDevice(config, hooks.onNote ?? (() => {}));
  const dataset = await openTestData(config, hooks);
  if (!dataset.test) {
    throw new FcddError(
      'FCDD_BAD_DATA',
      `nothing to compare on: ${dataset.testMissing ?? 'there is no test split'}`,
    );
  }
  const compared: (ComparedMethod & { method: Method; folder: string })[] = [];
  for (const { method, folder } of folders) {
    const scored = await scoreWith(join(folder, runFiles.model), device, dataset, hooks);
    const { sample, pixel } = testFigures(dataset.test, dataset.testMissing, scored);
    compared.push({
      method,
      folder,
      scores: scored.scores,
      map: (index) => ({ data: pictureMapOf(scored, index), height: scored.height, width: scored.width }),
      sample,
      pixel,
    });
  }
  await writeComparison(out, run, config, dataset, compared);
  const figures = compared.map(({ method, folder, sample, pixel }) => ({
    method,
    out: folder,
    sample: sample.rocAuc,
    pixel: pixel.rocAuc,
  }));
  await writeJson(out, 'baselines.json', { run, epochs: options.epochs ?? config.epochs, figures });
  return { out, figures, finished: true };
}

async function finishedRun(run: string): Promise<RunConfig> {
  if (!(await holdsRun(run)) || (await readJson(join(run, runFiles.metrics))) === undefined) {
    throw new FcddError('FCDD_NOT_FOUND', `${run} holds no finished run`, {
      hint: 'give the folder of a run that fcdd-native train has finished',
    });
  }
  const stored = (await readJson(join(run, runFiles.config))) as Record<string, unknown>;
  const { versions: _, ...options } = stored;
  const { config } = resolveConfig(checkOptions(options));
  if (config.method !== 'fcdd') {
    throw new FcddError('FCDD_INVALID_ARGUMENT', `${run} is itself a run of the method ${config.method}`, {
      hint: 'give the folder of an FCDD run',
    });
  }
  return config;
}

/** The run's own options with what does not go with the method left out. */
function baselineRun(config: RunConfig, method: BaselineMethod, epochs: number | undefined): TrainOptions {
  const { dumpStep: _, ...rest } = config;
  const options: TrainOptions = { ...rest, method, objective: 'auto', saveMaps: false, evaluateAt: [] };
  if (epochs !== undefined) options.epochs = epochs;
  if (method === 'dsvdd') {
    delete options.bias;
    delete options.optimizer;
    delete options.lr;
  }
  if (learnsNormalOnly(method)) {
    options.supervise = 'unsupervised';
    delete options.oe;
    delete options.oeLimit;
  }
  return options;
}

async function scoreWith(
  path: string,
  device: Device,
  dataset: DataSet,
  hooks: Pick<TrainHooks, 'signal'>,
): Promise<Scored> {
  using loaded = await loadModel(path, device);
  const { metadata, network } = loaded;
  return await scoreImages(device, network, dataset.test!.images, metadata.pipeline, {
    sigma: metadata.sigma,
    maps: true,
    scoring: scoringOfModel(path, metadata),
    ...(hooks.signal ? { signal: hooks.signal } : {}),
  });
}

async function writeComparison(
  out: string,
  run: string,
  config: RunConfig,
  dataset: DataSet,
  compared: readonly (ComparedMethod & { folder: string })[],
): Promise<void> {
  await makeFolder(out);
  const test = dataset.test!;
  const png = await renderComparison(
    {
      records: test.records,
      pixels: (index) => storedPicture(dataset, index),
      mask: (index) => test.masks?.[index] ?? null,
    },
    compared,
    { quantile: config.quantile, seed: config.seed },
  );
  await writeFileAtomic(join(out, 'comparison.png'), png);
  const title = `${dataset.name}: ${dataset.className}, FCDD and its baselines`;
  await writeFileAtomic(join(out, 'index.html'), renderComparisonPage({ title, run, compared, png }));
}
