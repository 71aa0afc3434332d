import { join } from 'node:path';
import type { DataSet } from '../data/types.js';
import { isAnomalous } from '../evaluation/threshold.js';
import { writeFileAtomic } from '../files.js';
import type { Picture } from '../reports/canvas.js';
import { scoresCsv } from '../reports/csv.js';
import { renderForegrounds } from '../reports/foregrounds.js';
import { type ReportPicture, renderReport } from '../reports/html.js';
import { npy } from '../reports/npy.js';
import { lossPlot, rocPlot } from '../reports/plots.js';
import { renderPreview } from '../reports/preview.js';
import { renderSheets } from '../reports/sheets.js';
import type { Position } from './checkpoint.js';
import type { RunConfig } from './config.js';
import { duration } from './estimate.js';
import type { Metrics } from './figures.js';
import type { PreparedRun } from './prepare.js';
import { makeFolder, runFiles } from './run-folder.js';
import { pictureMapOf, type Scored } from './scoring.js';

export interface ReportInput {
  run: PreparedRun;
  out: string;
  position: Position;
  metrics: Metrics;
  /** Of the test split; null when there is none. */
  scored: Scored | null;
}

const methodNames = {
  fcdd: 'FCDD',
  hsc: 'Hypersphere classification',
  ae: 'Autoencoder',
  dsvdd: 'Deep SVDD',
  classify: 'Classifier',
} as const;

function summaryOf(run: PreparedRun): string {
  const name = methodNames[run.config.method];
  const [trained, held] = [run.training.records.length, run.held.records.length];
  if (run.classes) return `${name} trained on ${trained} images of ${run.classes.length} classes.`;
  if (run.dataset.nominalLabel === 1) {
    const { className } = run.dataset;
    return `${name} trained with swapped labels: ${trained} images of '${className}' are pushed up, outlier exposure down. Scores and heatmaps rate '${className}', which counts as anomalous: see the most anomalous ones for what the network looks at.`;
  }
  return held > 0
    ? `${name} trained on ${trained} normal images, ${held} held out for the threshold.`
    : `${name} trained on all ${trained} normal images; none were held out, so there is no threshold.`;
}

/** Writes what people look at: tables, plots, pictures, and the page that shows them. */
export async function writeReport(input: ReportInput): Promise<void> {
  const { run, out, position, metrics, scored } = input;
  const write = (name: string, content: string | Uint8Array): Promise<void> =>
    writeFileAtomic(join(out, name), content);
  const plots = [{ title: 'Loss', svg: await lossPlot(position.history, metrics.selected?.epoch) }];
  await write(runFiles.loss, plots[0]!.svg);
  if (metrics.sample.curve || metrics.pixel.curve) {
    const svg = await rocPlot({ image: metrics.sample, pixel: metrics.pixel });
    plots.push({ title: 'ROC', svg });
    await write(runFiles.roc, svg);
  }
  const pictures = [await writePreview(run, write)];
  if (run.foreground) pictures.push(await writeForegrounds(run, write));
  if (scored && run.dataset.test) {
    await write(runFiles.scores, scoresOf(run.dataset, scored, metrics));
    pictures.push(...(await writeSheets(input, scored, write)));
    if (run.config.saveMaps) await writeMaps(out, run.dataset, scored, write);
  }
  await write(runFiles.page, page(input, plots, pictures));
}

type Write = (name: string, content: string | Uint8Array) => Promise<void>;

/** What the network is shown: the first samples of the first epoch. */
async function writePreview(run: PreparedRun, write: Write): Promise<ReportPicture> {
  const count = Math.min(16, run.trainer.positions);
  const { bytes, labels, masks } = await run.trainer.augment(0, 0, count);
  const { height, width, channels } = run.network.input;
  const { supervise, noise, onObject } = run.config;
  const place = onObject ? ', on the object alone' : '';
  const description =
    (supervise === 'unsupervised'
      ? 'normal images alone'
      : `supervision ${supervise}, noise ${noise}${place}${markedShare(labels, masks)}`) +
    (run.dataset.nominalLabel === 1 ? '; labels swapped' : '');
  const png = await renderPreview(
    { count, height, width, channels: channels as 1 | 3, bytes, labels, masks: run.pixelwise ? masks : null },
    description,
  );
  await write(runFiles.preview, png);
  return { title: 'Training samples', caption: description, path: runFiles.preview, png };
}

/** How much of the anomalous samples shown counts as anomalous. */
function markedShare(labels: Uint8Array, masks: Uint8Array): string {
  const area = masks.length / labels.length;
  const shares = Array.from(labels)
    .map((label, i) => (label === 1 ? masks.subarray(i * area, (i + 1) * area) : null))
    .filter((mask) => mask !== null)
    .map((mask) => mask.reduce((sum, value) => sum + value, 0) / area);
  if (shares.length === 0) return '';
  const mean = shares.reduce((sum, share) => sum + share, 0) / shares.length;
  return `; ${(100 * mean).toFixed(mean < 0.1 ? 1 : 0)} % of the anomalous samples' pixels are marked anomalous`;
}

/** Where the object is, so that a user can judge it. */
async function writeForegrounds(run: PreparedRun, write: Write): Promise<ReportPicture> {
  const { foreground, training } = run;
  const png = await renderForegrounds(training.images, foreground!.planes, foreground!.summary);
  await write(runFiles.foreground, png);
  return {
    title: 'Where anomalies are kept to',
    caption: foreground!.summary,
    path: runFiles.foreground,
    png,
  };
}

async function writeSheets(input: ReportInput, scored: Scored, write: Write): Promise<ReportPicture[]> {
  const { run, out, metrics } = input;
  const test = run.dataset.test!;
  await makeFolder(join(out, runFiles.heatmaps));
  const { sheets } = await renderSheets(
    {
      records: test.records,
      scores: scored.scores,
      pixels: (index) => storedPicture(run.dataset, index),
      map: (index) => ({ data: pictureMapOf(scored, index), height: scored.height, width: scored.width }),
      mask: (index) => test.masks?.[index] ?? null,
    },
    {
      quantile: run.config.quantile,
      seed: run.config.seed,
      ...(metrics.threshold ? { threshold: metrics.threshold.threshold } : {}),
    },
  );
  const pictures: ReportPicture[] = [];
  for (const { name, title, png } of sheets) {
    const path = `${runFiles.heatmaps}/${name}`;
    await write(path, png);
    pictures.push({ title, path, png });
  }
  return pictures;
}

/** A test image as it lies in the store. */
export function storedPicture(dataset: DataSet, index: number): Picture {
  const { images } = dataset.test!;
  const { pixels, height, width } = images.images[index]!;
  const { channels } = images;
  return { data: images.bytes.subarray(pixels, pixels + height * width * channels), height, width, channels };
}

function scoresOf(dataset: DataSet, scored: Scored, metrics: Metrics): string {
  return scoresCsv(
    dataset.test!.records.map(({ name, label, type }, index) => {
      const score = scored.scores[index]!;
      const threshold = metrics.threshold?.threshold;
      const verdict = threshold === undefined ? null : isAnomalous(score, threshold) ? 'anomalous' : 'normal';
      return { file: name, label, type, score, verdict };
    }),
  );
}

/** One array of all maps, in the order of scores.csv. */
async function writeMaps(out: string, dataset: DataSet, scored: Scored, write: Write): Promise<void> {
  await makeFolder(join(out, runFiles.maps));
  const count = dataset.test!.records.length;
  await write(`${runFiles.maps}/test.npy`, npy(scored.maps, [count, scored.height, scored.width]));
}

function supervisionText({ supervise, noise, onObject, oeFiles, keepOeInTest }: RunConfig): string {
  const place = onObject ? ', kept to the object' : '';
  const kept = keepOeInTest ? ', also tested on' : '';
  const real = oeFiles ? ` (${oeFiles.length} real anomalies${kept})` : '';
  return `${supervise}, ${noise}${place}${real}`;
}

/** Figures that are better than they should be say so. */
function keptWarning({ withoutOe }: Metrics): string[] {
  if (!withoutOe) return [];
  const rate = (figure: number | null): string => figure?.toFixed(3) ?? 'n/a';
  return [
    `${withoutOe.removed} test images were trained on (--keep-oe-in-test); without them image ROC-AUC ` +
      `${rate(withoutOe.sample.rocAuc)}, pixel ROC-AUC ${rate(withoutOe.pixel.rocAuc)}`,
  ];
}

function selectedText({ selected, last }: Metrics): string {
  const { epoch, value, lastValue } = selected!;
  const rate = (figure: number | null): string => figure?.toFixed(3) ?? 'n/a';
  return (
    `${epoch} (criterion ${rate(value)}, last epoch ${rate(lastValue)}); the last epoch's test figures: ` +
    `image ${rate(last!.sample)}, pixel ${rate(last!.pixel)}`
  );
}

function page(
  input: ReportInput,
  plots: { title: string; svg: string }[],
  pictures: ReportPicture[],
): string {
  const { run, position, metrics } = input;
  const { config, dataset, network } = run;
  const seconds = position.history.reduce((sum, epoch) => sum + epoch.seconds, 0);
  const { height, width, channels } = network.input;
  return renderReport({
    title: `${dataset.name}: ${dataset.className}`,
    summary: summaryOf(run),
    facts: [
      [
        'data set',
        dataset.nominalLabel === 1
          ? `${dataset.name}, class ${dataset.className}, labels swapped`
          : `${dataset.name}, normal class ${dataset.className}`,
      ],
      ['network', `${config.model}, input ${height}×${width}×${channels}`],
      ['supervision', supervisionText(config)],
      ...(metrics.selected ? [['epoch of the model', selectedText(metrics)] as const] : []),
      ...(config.method === 'fcdd' ? [] : [['method', methodNames[config.method]] as const]),
      ...(metrics.accuracy ? [['test accuracy', metrics.accuracy.all.toFixed(4)] as const] : []),
      ['loss', run.pixelwise ? 'per pixel' : 'per image'],
      ['optimiser', `${config.optimizer}, learning rate ${config.lr}, weight decay ${config.weightDecay}`],
      ['training', `${position.epoch} epochs, batch ${config.batchSize}, ${duration(seconds)}`],
      ['seed', String(config.seed)],
    ],
    sample: metrics.sample,
    pixel: metrics.pixel,
    ...(metrics.synthetic ? { synthetic: metrics.synthetic } : {}),
    ...(metrics.baselines ? { baselines: metrics.baselines } : {}),
    threshold: metrics.threshold,
    verdicts: metrics.verdicts,
    plots,
    pictures,
    config,
    warnings: [...metrics.warnings, ...keptWarning(metrics)],
    files: [
      runFiles.metrics,
      runFiles.history,
      runFiles.config,
      runFiles.model,
      ...(input.scored ? [runFiles.scores] : []),
    ],
  });
}
