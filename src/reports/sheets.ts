/**
 * The sheets of heatmaps of a run, as FCDD's reference code makes them: the first images of each label, the least and
 * most anomalous ones, and a row per label at equal steps of rank.
 */
import type { ImageRecord, Mask } from '../data/types.js';
import { isAnomalous } from '../evaluation/threshold.js';
import { type Colour, fittedSize, type Picture } from './canvas.js';
import { type Column, cellSize, renderSheet, type Sheet } from './grid.js';
import { colourise, type HeatMap } from './heatmaps.js';
import { globalScale, localScale, type Scale } from './normalise.js';
import { formatNumber } from './numbers.js';

/** The test images of a run; the callbacks may read from disk. */
export interface HeatmapSource {
  records: readonly ImageRecord[];
  scores: ArrayLike<number>;
  /** What the network saw, before normalisation. */
  pixels(index: number): Picture;
  /** Upsampled to the network's input size. */
  map(index: number): HeatMap;
  /** Null when unknown. */
  mask(index: number): Mask | null;
}

export interface SheetOptions {
  /** Of the global scale; FCDD's default depends on the data set. */
  quantile: number;
  /** Of the thinning in the global scale, default 0. */
  seed?: number;
  /** Frames images that it calls anomalous. */
  threshold?: number;
  /** Instead of the global scale of these maps: the model's stored one. */
  scale?: Scale;
}

/** One PNG of the run folder's heatmaps/. */
export interface RenderedSheet {
  /** File name, as first-normal.png. */
  name: string;
  title: string;
  png: Buffer;
}

const perLine = 10;
const first = 20;
const extremes = 10;
const ranks = 6;
/** Orange of Okabe and Ito's palette, told from the blues and reds of jet by most people. */
const anomalousFrame: Colour = [230, 159, 0];

/**
 * All sheets that the labels allow; none for an empty set.
 * @returns the sheets in the order of showing, and the global scale that they use
 */
export async function renderSheets(
  source: HeatmapSource,
  options: SheetOptions,
): Promise<{ sheets: RenderedSheet[]; scale: Scale | null }> {
  if (source.records.length === 0) return { sheets: [], scale: null };
  const scale = options.scale ?? sourceScale(source, options);
  const sheet = (name: string, title: string, parts: Part[], own: Scale | 'local' = scale) =>
    sheetOf(source, options, own, name, title, parts);
  const steps = ([0, 1] as const)
    .map((label) => ({ title: capital(labelNames[label]), indices: equalSteps(byScore(source, label)) }))
    .filter(({ indices }) => indices.length > 0);
  const rankTitle = 'Test images at equal steps of rank';
  const sheets = [await sheet('ranks-global', `${rankTitle}, one scale for all`, steps)];
  for (const label of [1, 0] as const) {
    const ranked = byScore(source, label);
    if (ranked.length === 0) continue;
    const name = labelNames[label];
    const inOrder = [...ranked].sort((a, b) => a - b).slice(0, first);
    const title =
      inOrder.length === 1 ? `First ${name} test image` : `First ${inOrder.length} ${name} test images`;
    sheets.push(
      await sheet(`first-${name}`, title, [{ indices: inOrder }]),
      await sheet(`extremes-${name}`, `Least and most anomalous of the ${name} test images`, [
        { title: 'Lowest scores', indices: ranked.slice(0, extremes) },
        { title: 'Highest scores', indices: ranked.slice(-extremes) },
      ]),
    );
  }
  sheets.push(await sheet('ranks-local', `${rankTitle}, each scaled by itself`, steps, 'local'));
  return { sheets, scale };
}

interface Part {
  title?: string;
  indices: number[];
}

const labelNames = { 0: 'normal', 1: 'anomalous' } as const;

/** The global scale of a source's maps, labels balanced. */
export function sourceScale(source: HeatmapSource, { quantile, seed = 0 }: SheetOptions): Scale {
  const labels = source.records.map((r) => r.label);
  return globalScale(labels.length, (i) => source.map(i).data, { quantile, labels, seed });
}

async function sheetOf(
  source: HeatmapSource,
  options: SheetOptions,
  scale: Scale | 'local',
  name: string,
  title: string,
  parts: Part[],
): Promise<RenderedSheet> {
  const withMasks = parts.some(({ indices }) => indices.some((i) => source.mask(i) !== null));
  const sheet: Sheet = {
    title,
    notes: notes(options, scale),
    rows: withMasks ? ['input', 'heatmap', 'mask'] : ['input', 'heatmap'],
    bands: parts.flatMap(({ title: bandTitle, indices }) =>
      lines(indices).map((line, k) => ({
        ...(bandTitle && k === 0 ? { title: bandTitle } : {}),
        columns: line.map((i) => column(source, options, scale, i, withMasks)),
      })),
    ),
    scale,
  };
  return { name: `${name}.png`, title, png: await renderSheet(sheet) };
}

function column(
  source: HeatmapSource,
  { threshold }: SheetOptions,
  scale: Scale | 'local',
  index: number,
  withMasks: boolean,
): Column {
  const { type } = source.records[index]!;
  const score = source.scores[index]!;
  const map = source.map(index);
  const mask = source.mask(index);
  const pixels = source.pixels(index);
  // In the picture's proportions: maps of a network with a square input are not square on the product.
  const size = fittedSize(pixels.height, pixels.width, cellSize);
  const heat = colourise(map, scale === 'local' ? localScale(map.data) : scale, size.height, size.width);
  return {
    pictures: [pixels, heat, ...(withMasks ? [mask && maskPicture(mask)] : [])],
    captions: [formatNumber(score), type],
    ...(threshold !== undefined && isAnomalous(score, threshold) ? { frame: anomalousFrame } : {}),
  };
}

export function maskPicture({ data, height, width }: Mask): Picture {
  return { data: data.map((v) => (v ? 255 : 0)), height, width, channels: 1 };
}

function notes({ quantile, threshold, scale: stored }: SheetOptions, scale: Scale | 'local'): string[] {
  const lines =
    scale === 'local'
      ? ['Colours from each map’s own minimum to its maximum: red on good images too.']
      : stored
        ? ['Colours on the scale stored in the model.']
        : [
            `Colours from the minimum to the ${formatNumber(quantile)}-quantile of all maps, labels balanced.`,
          ];
  lines.push(
    threshold === undefined
      ? 'Below each column: image score, type.'
      : `Below each column: image score, type. Orange frame: above the threshold ${formatNumber(threshold)}.`,
  );
  return lines;
}

/** Indices of a label's images, lowest score first; equal scores in the order of the set. */
function byScore({ records, scores }: HeatmapSource, label: 0 | 1): number[] {
  return records
    .map((_, i) => i)
    .filter((i) => records[i]!.label === label)
    .sort((a, b) => scores[a]! - scores[b]! || a - b);
}

/** At most six at equal steps of rank, both ends included, none twice. */
function equalSteps(ranked: number[]): number[] {
  const steps = Math.min(ranks, ranked.length);
  if (steps < 2) return ranked.slice(0, steps);
  return Array.from(
    { length: steps },
    (_, i) => ranked[Math.round((i * (ranked.length - 1)) / (steps - 1))]!,
  );
}

function lines(indices: number[]): number[][] {
  const rows: number[][] = [];
  for (let i = 0; i < indices.length; i += perLine) rows.push(indices.slice(i, i + perLine));
  return rows;
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
