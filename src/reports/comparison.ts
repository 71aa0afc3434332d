/** The same test images under several methods: one sheet of heatmaps, and a page with it and a table of figures. */
import type { ImageRecord, Mask } from '../data/types.js';
import type { PixelMetrics, SampleMetrics } from '../evaluation/summary.js';
import { fittedSize, type Picture } from './canvas.js';
import { type Column, cellSize, renderSheet } from './grid.js';
import { colourise, type HeatMap } from './heatmaps.js';
import { escapeMarkup } from './markup.js';
import { globalScale, type Scale } from './normalise.js';
import { formatNumber, formatRate } from './numbers.js';
import { pageStyle } from './page-style.js';
import { maskPicture } from './sheets.js';

export interface ComparedMethod {
  method: string;
  scores: ArrayLike<number>;
  map(index: number): HeatMap;
  sample: SampleMetrics;
  pixel: PixelMetrics;
}

export interface ComparedImages {
  records: readonly ImageRecord[];
  pixels(index: number): Picture;
  mask(index: number): Mask | null;
}

const perLabel = 10;

/**
 * Normal and anomalous test images at equal steps through the set, a row of heatmaps per method. Each method has one
 * scale for all its maps; below each column stands the rank of its score among all images, from 0 (least) to 1.
 */
export async function renderComparison(
  images: ComparedImages,
  compared: readonly ComparedMethod[],
  { quantile, seed }: { quantile: number; seed: number },
): Promise<Buffer> {
  const labels = images.records.map(({ label }) => label);
  const scales = compared.map(({ map }) =>
    globalScale(labels.length, (i) => map(i).data, { quantile, labels, seed }),
  );
  const masks = images.records.some((_, i) => images.mask(i) !== null);
  const ranks = compared.map(({ scores }) => ranksOf(scores));
  const bands = ([0, 1] as const)
    .map((label) => ({
      title: label === 0 ? 'Normal' : 'Anomalous',
      columns: equalSteps(labels.flatMap((l, i) => (l === label ? [i] : []))).map((i) =>
        column(images, compared, scales, ranks, masks, i),
      ),
    }))
    .filter(({ columns }) => columns.length > 0);
  return renderSheet({
    title: 'The same test images by each method',
    notes: [
      `Colours of each method from the minimum to the ${formatNumber(quantile)}-quantile of all its maps, labels balanced.`,
      `Below each column: type, rank of the score from 0 to 1 by ${compared.map(({ method }) => method).join(', ')}.`,
    ],
    rows: ['input', ...compared.map(({ method }) => method), ...(masks ? ['mask'] : [])],
    bands,
  });
}

function column(
  images: ComparedImages,
  compared: readonly ComparedMethod[],
  scales: readonly Scale[],
  ranks: readonly Float64Array[],
  masks: boolean,
  index: number,
): Column {
  const pixels = images.pixels(index);
  const mask = images.mask(index);
  const size = fittedSize(pixels.height, pixels.width, cellSize);
  const heat = compared.map(({ map }, m) => colourise(map(index), scales[m]!, size.height, size.width));
  return {
    pictures: [pixels, ...heat, ...(masks ? [mask && maskPicture(mask)] : [])],
    captions: [images.records[index]!.type, ranks.map((rank) => rank[index]!.toFixed(2)).join(' ')],
  };
}

/** Rank of each score among all, from 0 to 1; equal scores in the order of the set. */
function ranksOf(scores: ArrayLike<number>): Float64Array {
  const order = Array.from(scores, (_, i) => i).sort((a, b) => scores[a]! - scores[b]! || a - b);
  const ranks = new Float64Array(order.length);
  order.forEach((index, rank) => {
    ranks[index] = order.length > 1 ? rank / (order.length - 1) : 0;
  });
  return ranks;
}

function equalSteps(indices: readonly number[]): number[] {
  const steps = Math.min(perLabel, indices.length);
  if (steps < 2) return indices.slice(0, steps);
  return Array.from(
    { length: steps },
    (_, i) => indices[Math.round((i * (indices.length - 1)) / (steps - 1))]!,
  );
}

export interface ComparisonPage {
  title: string;
  /** The FCDD run. */
  run: string;
  compared: readonly ComparedMethod[];
  png: Uint8Array;
}

/** One page without scripts or requests to anywhere. */
export function renderComparisonPage({ title, run, compared, png }: ComparisonPage): string {
  const types = [...new Set(compared.flatMap(({ sample }) => Object.keys(sample.perType)))];
  const head = ['', ...compared.map(({ method }) => method)];
  const rate = (value: number | null | undefined): string => (value == null ? '–' : formatRate(value));
  const rows = [
    ['image ROC-AUC', ...compared.map(({ sample }) => rate(sample.rocAuc))],
    ...types.map((type) => [
      `image, ${type}`,
      ...compared.map(({ sample }) => rate(sample.perType[type]?.rocAuc)),
    ]),
    ['pixel ROC-AUC', ...compared.map(({ pixel }) => rate(pixel.rocAuc))],
  ];
  const cells = (row: readonly string[], tag: string): string =>
    `<tr>${row.map((cell) => `<${tag}>${escapeMarkup(cell)}</${tag}>`).join('')}</tr>`;
  const picture = `data:image/png;base64,${Buffer.from(png).toString('base64')}`;
  const missing = compared[0]?.pixel.reason;
  return (
    '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n' +
    '<meta name="viewport" content="width=device-width, initial-scale=1">\n' +
    `<title>${escapeMarkup(title)}</title>\n<style>${pageStyle}</style>\n</head>\n<body>\n<main>\n` +
    `<header><h1>${escapeMarkup(title)}</h1><p>The data, seed and settings of ${escapeMarkup(run)}, other methods; ` +
    'figures on the same test images.</p></header>\n' +
    `<section><h2>Figures</h2><div class="scroll"><table><thead>${cells(head, 'th')}</thead><tbody>` +
    `${rows.map((row) => cells(row, 'td')).join('')}</tbody></table></div>` +
    `${missing ? `<p>No pixel figures: ${escapeMarkup(missing)}.</p>` : ''}</section>\n` +
    `<section><h2>Heatmaps</h2><img src="${picture}" alt="Heatmaps of the same test images by each method"></section>\n` +
    '</main>\n</body>\n</html>\n'
  );
}
