/**
 * index.html of a run folder: what was trained, how good it is, and the pictures to judge it by. One page without
 * scripts or requests to anywhere; pictures are inside it as long as they are small, else beside it. All text that came
 * from outside is escaped.
 */
import type { Interval } from '../evaluation/bootstrap.js';
import type { Figures, PixelMetrics, SampleMetrics } from '../evaluation/summary.js';
import type { Calibration } from '../evaluation/threshold.js';
import { escapeMarkup } from './markup.js';
import { formatNumber, formatRate } from './numbers.js';
import { pageStyle } from './page-style.js';

export interface ReportPicture {
  title: string;
  caption?: string;
  /** Relative to the page, with slashes. */
  path: string;
  /** The file's content, to put it into the page if it is small. */
  png?: Uint8Array;
}

export interface RunReport {
  title: string;
  /** One sentence under the title. */
  summary?: string;
  /** What was trained: data set, class, network, epochs… */
  facts: readonly (readonly [name: string, value: string])[];
  sample: SampleMetrics;
  pixel: PixelMetrics;
  intervals?: { sample?: Interval | null; pixel?: Interval | null };
  /** ROC-AUC on synthetic anomalies; shown apart from the test figures. */
  synthetic?: {
    noise: string;
    n: number;
    sampleRocAuc: number | null;
    pixelRocAuc: number | null;
    note: string;
  } | null;
  /** Image ROC-AUC of trivial scores, for comparison. */
  baselines?: Readonly<Record<string, number | null>> | null;
  threshold: Calibration | null;
  /** Of the labelled test images at the threshold. */
  verdicts?: { falseAlarms: number; normal: number; detected: number; anomalous: number } | null;
  plots: readonly { title: string; svg: string }[];
  pictures: readonly ReportPicture[];
  /** config.json's content. */
  config: unknown;
  warnings: readonly string[];
  /** Further files of the folder to link to, relative. */
  files?: readonly string[];
}

/** Pictures up to this size are part of the page; larger ones stay beside it. */
export const inlineLimit = 1024 * 1024;

export function renderReport(report: RunReport): string {
  const { title, summary, warnings } = report;
  const sections = [
    warnings.length > 0 ? section('Warnings', list(warnings), 'warnings') : '',
    figureTiles(report),
    report.facts.length > 0 ? section('What was trained', factList(report.facts)) : '',
    figureSection(report.sample, report.pixel),
    perTypeSection(report.sample, report.pixel),
    comparisonSection(report),
    section('Threshold', thresholdText(report)),
    report.plots.length > 0
      ? section('Plots', `<div class="plots">${report.plots.map(plot).join('')}</div>`)
      : '',
    report.pictures.length > 0 ? section('Pictures', report.pictures.map(picture).join('')) : '',
    section('Configuration', configText(report)),
  ];
  return (
    '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n' +
    '<meta name="viewport" content="width=device-width, initial-scale=1">\n' +
    '<meta name="color-scheme" content="light dark">\n' +
    `<title>${escapeMarkup(title)}</title>\n<style>${pageStyle}</style>\n</head>\n<body>\n<main>\n` +
    `<header><h1>${escapeMarkup(title)}</h1>${summary ? `<p>${escapeMarkup(summary)}</p>` : ''}</header>\n` +
    `${sections.filter((s) => s !== '').join('\n')}\n</main>\n</body>\n</html>\n`
  );
}

function section(title: string, content: string, className = ''): string {
  return `<section${className ? ` class="${className}"` : ''}><h2>${escapeMarkup(title)}</h2>${content}</section>`;
}

function figureTiles({ sample, pixel, threshold, verdicts, intervals }: RunReport): string {
  const tiles = [
    rateTile(
      'Image ROC-AUC',
      sample,
      intervals?.sample,
      `${sample.normal} normal, ${sample.anomalous} anomalous images`,
    ),
    rateTile(
      'Pixel ROC-AUC',
      pixel,
      intervals?.pixel,
      `${pixel.anomalousPixels.toLocaleString('en')} of ${pixel.pixels.toLocaleString('en')} pixels anomalous`,
    ),
    threshold
      ? tile(
          'Threshold',
          formatNumber(threshold.threshold),
          `for false alarms at ${percent(threshold.falseAlarmRate)}, from ${threshold.n} held-out normal images`,
        )
      : tile('Threshold', 'n/a', 'no held-out normal images'),
  ];
  if (verdicts && verdicts.anomalous > 0) {
    tiles.push(
      tile(
        'Found at the threshold',
        `${verdicts.detected} / ${verdicts.anomalous}`,
        `${verdicts.falseAlarms} false alarms in ${verdicts.normal} normal images`,
      ),
    );
  }
  return `<div class="tiles">${tiles.join('')}</div>`;
}

function rateTile(
  name: string,
  figures: Figures,
  interval: Interval | null | undefined,
  detail: string,
): string {
  if (figures.rocAuc === null) return tile(name, 'n/a', figures.reason ?? '');
  const range = interval
    ? `${percent(interval.level)} interval ${formatRate(interval.low)}–${formatRate(interval.high)} (${interval.groups} groups); `
    : '';
  return tile(name, formatRate(figures.rocAuc), range + detail);
}

function tile(name: string, value: string, detail: string): string {
  return (
    `<div class="tile"><div class="name">${escapeMarkup(name)}</div><div class="value">${escapeMarkup(value)}</div>` +
    `<div class="detail">${escapeMarkup(detail)}</div></div>`
  );
}

function factList(facts: RunReport['facts']): string {
  return `<dl>${facts.map(([name, value]) => `<div><dt>${escapeMarkup(name)}</dt><dd>${escapeMarkup(value)}</dd></div>`).join('')}</dl>`;
}

/** Further figures of the test images, per image and per pixel. */
function figureSection(sample: SampleMetrics, pixel: PixelMetrics): string {
  if (sample.rocAuc === null && pixel.rocAuc === null) return '';
  const f1 = ({ bestF1 }: Figures): string =>
    bar(bestF1?.f1 ?? null) + (bestF1 ? ` at ≥ ${formatNumber(bestF1.threshold)}` : '');
  const rows = [
    ['ROC-AUC', bar(sample.rocAuc), bar(pixel.rocAuc)],
    ['average precision', bar(sample.averagePrecision), bar(pixel.averagePrecision)],
    ['best F1', f1(sample), f1(pixel)],
    ['AUPRO to 30 % false positives', '', bar(pixel.aupro)],
  ];
  const note =
    '<p class="note">The threshold of the best F1 is chosen with the test labels: it says what a threshold could ' +
    `reach. AUPRO rates ${pixel.components.toLocaleString('en')} connected defects alike, whatever their size.</p>`;
  return section('Figures', table(['figure', 'per image', 'per pixel'], rows) + note);
}

function perTypeSection(sample: SampleMetrics, pixel: PixelMetrics): string {
  const types = Object.entries(sample.perType);
  if (types.length === 0) return '';
  const rows = types.map(([type, { n, rocAuc }]) => [
    escapeMarkup(type),
    String(n),
    bar(rocAuc),
    bar(pixel.perType[type]?.rocAuc ?? null),
    bar(pixel.perType[type]?.aupro ?? null),
  ]);
  const note = `<p class="note">Each type’s images against all ${sample.normal} normal test images.</p>`;
  const head = ['type', 'images', 'image ROC-AUC', 'pixel ROC-AUC', 'AUPRO'];
  return section('Per anomaly type', table(head, rows) + note);
}

/** Trivial scores and synthetic anomalies: what the figures are to be read against. */
function comparisonSection({ sample, baselines, synthetic }: RunReport): string {
  let content = '';
  if (baselines && Object.keys(baselines).length > 0) {
    const rows = [
      ['this run', bar(sample.rocAuc)],
      ...Object.entries(baselines).map(([name, v]) => [escapeMarkup(name), bar(v)]),
    ];
    content += table(['score', 'image ROC-AUC'], rows);
    content +=
      '<p class="note">The other scores know nothing of the method: a hard test set keeps them low.</p>';
  }
  if (synthetic) {
    content +=
      `<p>On ${synthetic.n} <em>synthetic</em> anomalies (${escapeMarkup(synthetic.noise)}): image ROC-AUC ` +
      `<strong>${formatRate(synthetic.sampleRocAuc)}</strong>, pixel ROC-AUC ` +
      `<strong>${formatRate(synthetic.pixelRocAuc)}</strong>. ${escapeMarkup(synthetic.note)}</p>`;
  }
  return content === '' ? '' : section('For comparison', content);
}

function thresholdText({ threshold }: RunReport): string {
  if (threshold === null) {
    return '<p>n/a: no normal images were held out of the training, so scores have no verdict.</p>';
  }
  const { rule, n, likely, note } = threshold;
  return (
    `<p>An image is called anomalous when its score is above <strong>${formatNumber(threshold.threshold)}</strong>: the ` +
    `${escapeMarkup(rule)}.</p><p>With ${n} held-out images the rate of false alarms lies between ${percent(likely.low)} and ` +
    `${percent(likely.high)} (90 % confidence). ${escapeMarkup(note)}</p>`
  );
}

function plot({ title, svg }: { title: string; svg: string }): string {
  const data = Buffer.from(svg).toString('base64');
  // As an image: ids inside two plots cannot collide, and nothing in it can run.
  return `<img class="sheet" alt="${escapeMarkup(title)}" src="data:image/svg+xml;base64,${data}">`;
}

function picture({ title, caption, path, png }: ReportPicture): string {
  const source =
    png && png.length <= inlineLimit
      ? `data:image/png;base64,${Buffer.from(png).toString('base64')}`
      : relativeUrl(path);
  return (
    `<figure><a href="${relativeUrl(path)}"><img class="sheet" alt="${escapeMarkup(title)}" src="${source}" loading="lazy"></a>` +
    `${caption ? `<figcaption>${escapeMarkup(caption)}</figcaption>` : ''}</figure>`
  );
}

function configText({ config, files = [] }: RunReport): string {
  const links = files.map((file) => `<a href="${relativeUrl(file)}">${escapeMarkup(file)}</a>`).join(' · ');
  return (
    `<details><summary>config.json</summary><pre>${escapeMarkup(JSON.stringify(config, null, 2) ?? '')}</pre></details>` +
    (links ? `<p class="note">${links}</p>` : '')
  );
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const header = head.map((name) => `<th>${escapeMarkup(name)}</th>`).join('');
  const body = rows.map((cells) => `<tr>${cells.map((cell) => `<td>${cell}</td>`).join('')}</tr>`).join('');
  return `<div class="scroll"><table><thead><tr>${header}</tr></thead><tbody>${body}</tbody></table></div>`;
}

/** A rate with a bar of its size; cells of `table` are markup. */
function bar(rate: number | null): string {
  if (rate === null) return '<span class="missing">n/a</span>';
  return `<span class="bar" style="--rate:${rate.toFixed(4)}"></span>${formatRate(rate)}`;
}

function list(items: readonly string[]): string {
  return `<ul>${items.map((item) => `<li>${escapeMarkup(item)}</li>`).join('')}</ul>`;
}

/** A path of the run folder as a link: "./" keeps a name like "javascript:x" from being read as a scheme. */
function relativeUrl(path: string): string {
  return `./${path.split('/').map(encodeURIComponent).join('/')}`.replaceAll("'", '%27');
}

function percent(share: number): string {
  return `${Number((100 * share).toPrecision(3))} %`;
}
