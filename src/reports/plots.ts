/** Plots of a run as SVG files, drawn by vega-lite without a browser. */

import type { TopLevelSpec } from 'vega-lite';
import type { RocCurve } from '../evaluation/roc.js';
import { formatRate } from './numbers.js';

export interface LossPoint {
  epoch: number;
  loss: number;
  /** Means over normal and over anomalous samples; null when there were none. */
  normal: number | null;
  anomalous: number | null;
}

export interface RocLine {
  rocAuc: number | null;
  curve: RocCurve | null;
}

/** Okabe and Ito's palette, told apart by colour-blind readers; dashes tell lines apart in print too. */
const palette = { black: '#1f2328', blue: '#0072b2', vermilion: '#d55e00', grey: '#8c959f' };
const size = { width: 460, height: 300 };

const config: TopLevelSpec['config'] = {
  background: '#ffffff',
  font: 'DejaVu Sans, Helvetica, Arial, sans-serif',
  padding: 14,
  view: { stroke: null },
  title: { fontSize: 15, anchor: 'start', offset: 14, color: palette.black },
  axis: {
    gridColor: '#e6e8eb',
    domainColor: palette.grey,
    tickColor: palette.grey,
    labelColor: '#59636e',
    labelFontSize: 11,
    titleColor: palette.black,
    titleFontSize: 12,
    titleFontWeight: 'normal',
    titlePadding: 8,
  },
  legend: {
    orient: 'top',
    title: null,
    labelFontSize: 12,
    labelLimit: 300,
    labelColor: palette.black,
    symbolSize: 300,
    symbolStrokeWidth: 2.5,
  },
};

/**
 * Loss per epoch: of all samples, of the normal and of the anomalous ones.
 * @param chosen epoch whose weights the model has, where it is not simply the last one; a line marks it
 */
export async function lossPlot(history: readonly LossPoint[], chosen?: number): Promise<string> {
  const values = history.flatMap(({ epoch, loss, normal, anomalous }) => [
    { epoch, series: 'all', value: loss },
    ...(normal === null ? [] : [{ epoch, series: 'normal', value: normal }]),
    ...(anomalous === null ? [] : [{ epoch, series: 'anomalous', value: anomalous }]),
  ]);
  const x = {
    field: 'epoch',
    type: 'quantitative',
    title: 'epoch',
    axis: { tickMinStep: 1, format: 'd' },
    scale: { nice: false, zero: false },
  };
  const lines = {
    data: { values: values.filter(({ value }) => Number.isFinite(value)) },
    mark: { type: 'line', strokeWidth: 2, point: history.length === 1 },
    encoding: {
      x,
      y: { field: 'value', type: 'quantitative', title: 'mean loss per sample', scale: { zero: true } },
      ...series(['all', 'normal', 'anomalous'], [palette.black, palette.blue, palette.vermilion]),
    },
  };
  if (chosen === undefined) return draw({ title: 'Training loss', ...lines });
  const mark = {
    data: { values: [{ epoch: chosen, text: `model: epoch ${chosen}` }] },
    encoding: { x },
  };
  return draw({
    title: 'Training loss',
    layer: [
      { ...mark, mark: { type: 'rule', color: palette.grey, strokeWidth: 1.5, strokeDash: [2, 3] } },
      {
        ...mark,
        mark: { type: 'text', align: 'left', dx: 4, color: palette.grey, fontSize: 11 },
        encoding: { x, y: { value: 10 }, text: { field: 'text' } },
      },
      lines,
    ],
  });
}

/** ROC curves of images and of pixels; a curve that does not exist is named with n/a. */
export async function rocPlot(lines: { image: RocLine; pixel: RocLine }): Promise<string> {
  const names = (['image', 'pixel'] as const).map((key) => `${key} (area ${formatRate(lines[key].rocAuc)})`);
  const values = [lines.image.curve, lines.pixel.curve].flatMap((curve, k) =>
    (curve?.fpr ?? []).map((fpr, order) => ({ series: names[k], order, fpr, tpr: curve!.tpr[order] })),
  );
  return draw({
    title: 'ROC curve of the test set',
    data: { values },
    layer: [
      {
        data: { values: [{ at: 0 }, { at: 1 }] },
        mark: { type: 'line', color: palette.grey, strokeDash: [3, 4], strokeWidth: 1 },
        encoding: { x: { field: 'at', type: 'quantitative' }, y: { field: 'at', type: 'quantitative' } },
      },
      {
        mark: { type: 'line', strokeWidth: 2 },
        encoding: {
          x: { field: 'fpr', type: 'quantitative', title: 'false positive rate', scale: { domain: [0, 1] } },
          y: { field: 'tpr', type: 'quantitative', title: 'true positive rate', scale: { domain: [0, 1] } },
          order: { field: 'order' },
          ...series(names, [palette.blue, palette.vermilion]),
        },
      },
    ],
    width: 340,
    height: 340,
  });
}

function series(domain: string[], range: string[]) {
  const dashes = [
    [1, 0],
    [8, 3],
    [3, 3],
  ].slice(0, domain.length);
  return {
    color: { field: 'series', type: 'nominal', scale: { domain, range } },
    strokeDash: { field: 'series', type: 'nominal', scale: { domain, range: dashes } },
  } as const;
}

async function draw(spec: object): Promise<string> {
  // Loaded when the first plot is drawn: they take longer to load than most commands take to run.
  const { compile } = await import('vega-lite');
  const { parse, View } = await import('vega');
  const full = { ...size, config, ...spec } as TopLevelSpec;
  const view = new View(parse(compile(full).spec), { renderer: 'none' });
  try {
    return await view.toSVG();
  } finally {
    view.finalize();
  }
}
