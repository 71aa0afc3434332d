import { join } from 'node:path';
import { subset, testSubset } from '../data/index.js';
import type { Device, StoredImages } from '../engine/types.js';
import { baselineScores } from '../evaluation/baselines.js';
import { rocAuc } from '../evaluation/roc.js';
import { sortedSummary } from '../evaluation/threshold.js';
import { inferencePipeline, type ModelMetadata, networkTensors, writeModel } from '../models/index.js';
import { heatmapScale } from '../reports/normalise.js';
import { accuracyOf } from './accuracy.js';
import { type Checkpoint, captureCheckpoint, type Position, writeCheckpoint } from './checkpoint.js';
import {
  calibration,
  type EpochFigures,
  epochFigures,
  type Metrics,
  testFigures,
  verdicts,
} from './figures.js';
import type { Standing } from './loop.js';
import type { PreparedRun } from './prepare.js';
import { type ReportInput, writeReport } from './report.js';
import { runFiles, writeJson } from './run-folder.js';
import { pictureMapOf, type Scored, scoredSubset, scoreImages } from './scoring.js';
import { restoreTensors, selectedOf } from './selection.js';
import { scoreSynthetic } from './synthetic.js';
import type { TrainHooks } from './train.js';
import { initialiseNetwork } from './weights.js';

/** Training images that stand in for held-out ones on the scale of heatmaps, where none were held out. */
const SCALE_IMAGES = 300;

/**
 * After the last epoch: scores held-out and test images, calibrates, writes model, metrics and pictures, and marks the
 * checkpoint as finished, in an order that makes a kill at any moment harmless (--resume does this part again).
 */
export async function finishRun(
  run: PreparedRun,
  device: Device,
  { position, best }: Standing,
  out: string,
  hooks: TrainHooks,
): Promise<Metrics> {
  const { config, dataset, network, pipelines } = run;
  if (run.classes) return finishClassifier(run, device, position, out, hooks);
  const score = (images: typeof run.held.images): Promise<Scored> =>
    scoreImages(device, network, images, pipelines.test, {
      sigma: config.sigma,
      maps: true,
      scoring: run.scoring,
      ...(hooks.signal ? { signal: hooks.signal } : {}),
      onProgress: (done, total) => hooks.onStage?.('evaluate', done, total),
    });
  // What training would go on from, whatever epoch the model is of.
  const checkpoint = await captureCheckpoint(network, run.trainer, position, best);
  const selected = config.select === 'best' ? selectedOf(position.history) : null;
  const last = selected && (await lastFigures(run, score, position.epoch));
  if (selected && best) await restoreTensors(network, best);
  const held = await score(run.held.images);
  const synthetic = await scoreSynthetic(run, device, held);
  const scored = dataset.test ? await score(dataset.test.images) : null;
  const figures = testFigures(dataset.test, dataset.testMissing, scored);
  const threshold = calibration(held, config.falseAlarmRate);
  const metrics: Metrics = {
    dataset: dataset.name,
    class: dataset.className,
    model: config.model,
    ...figures,
    ...(selected ? { selected, last: last! } : {}),
    ...withoutTrainedOn(run, scored),
    synthetic: synthetic?.figures ?? null,
    threshold,
    verdicts: verdicts(dataset.test, scored, threshold?.threshold),
    baselines: dataset.name === 'demo' ? await baselineFigures(run, device) : null,
    evaluations: position.evaluations as EpochFigures[],
    warnings: dataset.warnings,
  };
  const first = Array.from({ length: Math.min(SCALE_IMAGES, run.training.records.length) }, (_, i) => i);
  const calm = held.scores.length > 0 ? held : await score(subset(run.training, first).images);
  const scale = scaleOf(calm, synthetic?.scored ?? null, config.quantile, config.seed);
  const model = modelMetadata(run, held, threshold, scale);
  return await leaveRun({ run, out, position, metrics, scored }, model, checkpoint, device, hooks);
}

/** Model, report and figures, and last the checkpoint as finished. */
async function leaveRun(
  report: ReportInput,
  metadata: ModelMetadata,
  checkpoint: Checkpoint,
  device: Device,
  hooks: TrainHooks,
): Promise<Metrics> {
  const { run, out, position, metrics } = report;
  await writeModel(join(out, runFiles.model), { metadata, tensors: await networkTensors(run.network) });
  hooks.onStage?.('report', 0, 1);
  await writeReport(report);
  await writeJson(out, runFiles.metrics, metrics);
  position.finished = true;
  checkpoint.position.finished = true;
  await writeCheckpoint(join(out, runFiles.checkpoint), checkpoint, device.info.realBytes);
  hooks.onStage?.('report', 1, 1);
  return metrics;
}

/** Test figures of the last epoch, to stand beside those of the chosen one. */
async function lastFigures(
  run: PreparedRun,
  score: (images: StoredImages) => Promise<Scored>,
  epoch: number,
): Promise<EpochFigures> {
  const { test, testMissing } = run.dataset;
  const scored = test ? await score(test.images) : null;
  return epochFigures(epoch, testFigures(test, testMissing, scored));
}

/** The figures without the test images that were trained on, where some were kept (--keep-oe-in-test). */
function withoutTrainedOn(run: PreparedRun, scored: Scored | null): Pick<Metrics, 'withoutOe'> {
  const { test } = run.dataset;
  const used = new Set(run.testedThoughTrainedOn);
  if (used.size === 0 || test === null || scored === null) return {};
  const kept = test.records.flatMap(({ name }, i) => (used.has(name) ? [] : [i]));
  const figures = testFigures(testSubset(test, kept), null, scoredSubset(scored, kept));
  return { withoutOe: { ...figures, removed: test.records.length - kept.length } };
}

/** The same for a classifier: accuracy instead of scores, and a model that other runs may start from. */
async function finishClassifier(
  run: PreparedRun,
  device: Device,
  position: Position,
  out: string,
  hooks: TrainHooks,
): Promise<Metrics> {
  const { dataset, config, network } = run;
  const none = testFigures(null, 'a classifier has no anomaly score', null);
  const accuracy = await accuracyOf(run, device, (done, total) => hooks.onStage?.('evaluate', done, total));
  const metrics: Metrics = {
    dataset: dataset.name,
    class: dataset.className,
    model: config.model,
    ...none,
    synthetic: null,
    ...(accuracy ? { accuracy } : {}),
    threshold: null,
    verdicts: null,
    baselines: null,
    evaluations: position.evaluations as EpochFigures[],
    warnings: dataset.warnings,
  };
  const empty: Scored = {
    scores: new Float64Array(0),
    maps: new Float32Array(0),
    pictures: new Float32Array(0),
    ...run.network.input,
  };
  const checkpoint = await captureCheckpoint(network, run.trainer, position, null);
  const model = modelMetadata(run, empty, null, null);
  return await leaveRun({ run, out, position, metrics, scored: null }, model, checkpoint, device, hooks);
}

/** What makes the scores of a baseline; nothing for FCDD. */
function methodMetadata({ config, scoring, classes }: PreparedRun): Pick<ModelMetadata, 'method'> {
  if (config.method === 'fcdd') return {};
  const { centre, blur } = scoring;
  return {
    method: {
      name: config.method,
      ...(centre ? { centre } : {}),
      ...(blur === undefined ? {} : { blur }),
      ...(classes ? { classes } : {}),
    },
  };
}

/**
 * The range of values that heatmaps of single images are painted with: from held-out normal images (training ones
 * where none were held out) and synthetic anomalous ones, never from the image itself, so that a good image stays blue.
 */
function scaleOf(
  normal: Scored,
  synthetic: Scored | null,
  quantile: number,
  seed: number,
): { min: number; max: number } {
  const maps = [normal, ...(synthetic ? [synthetic] : [])].flatMap((scored, label) =>
    Array.from(scored.scores, (_, index) => ({ map: pictureMapOf(scored, index), label: label as 0 | 1 })),
  );
  return heatmapScale(maps, { quantile, seed });
}

function modelMetadata(
  run: PreparedRun,
  held: Scored,
  threshold: Metrics['threshold'],
  heatmap: { min: number; max: number } | null,
): ModelMetadata {
  const { config, dataset, network, pipelines } = run;
  return {
    format: 1,
    architecture: config.model,
    layers: [...network.layers],
    ...startOf(run),
    input: network.input as ModelMetadata['input'],
    dataset: dataset.name,
    className: dataset.className,
    preprocessing: config.preprocessing,
    stored: dataset.stored,
    pipeline: inferencePipeline(pipelines.test),
    objective: { pixelwise: run.pixelwise },
    ...(config.oeFiles === undefined ? {} : { trainedOn: config.oeFiles }),
    ...methodMetadata(run),
    sigma: config.sigma,
    quantile: config.quantile,
    heatmapScale: heatmap,
    calibration: threshold && {
      ...threshold,
      scores: sortedSummary(held.scores),
      pixelQuantiles: sortedSummary(held.pictures, 1001),
    },
  };
}

/** What the network started from, and what of it was frozen by request. */
function startOf({ weights, config }: PreparedRun): Pick<ModelMetadata, 'start'> {
  const { freezeUntil, frozenBn } = config;
  if (weights === null && freezeUntil === undefined && frozenBn === undefined) return {};
  return {
    start: {
      weights: weights ? { sha256: weights.info.sha256, bn: weights.info.bn } : null,
      ...(freezeUntil === undefined ? {} : { freezeUntil }),
      ...(frozenBn === undefined ? {} : { frozenBn }),
    },
  };
}

/** Image ROC-AUC of scores that know nothing of the method, and of this network before its first step. */
async function baselineFigures(
  run: PreparedRun,
  device: Device,
): Promise<Record<string, number | null> | null> {
  const { dataset, config, pipelines } = run;
  if (!dataset.test) return null;
  using untrained = device.createNetwork(run.network.layers, run.network.input);
  await initialiseNetwork(untrained, config.seed, run.weights);
  const scored = await scoreImages(device, untrained, dataset.test.images, pipelines.test, {
    sigma: config.sigma,
    maps: false,
    scoring: run.scoring,
  });
  const labels = dataset.test.records.map((record) => record.label);
  const figures: Record<string, number | null> = {};
  for (const { name, scores } of baselineScores(dataset.train.images, dataset.test.images)) {
    figures[name] = rocAuc(scores, labels);
  }
  return { ...figures, 'untrained network': rocAuc(scored.scores, labels) };
}
