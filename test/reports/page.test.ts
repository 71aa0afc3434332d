import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { pixelMetrics, sampleMetrics } from '../../src/evaluation/summary.js';
import { calibrate } from '../../src/evaluation/threshold.js';
import { inlineLimit, type RunReport, renderReport } from '../../src/reports/html.js';
import { lossPlot, rocPlot } from '../../src/reports/plots.js';

const evil = '<script>alert("x")</script>&\'';
const records = [0, 0, 1, 1].map((label, i) => ({
  name: String(i),
  label: label as 0 | 1,
  type: label === 0 ? 'good' : evil,
}));

function report(changes: Partial<RunReport> = {}): RunReport {
  return {
    title: evil,
    summary: evil,
    facts: [[evil, evil]],
    sample: sampleMetrics(records, [1, 2, 3, 1.5]),
    pixel: pixelMetrics(null, evil),
    threshold: calibrate([1, 2, 3]),
    verdicts: { falseAlarms: 0, normal: 2, detected: 1, anomalous: 2 },
    baselines: { [evil]: 0.6 },
    synthetic: { noise: evil, n: 3, sampleRocAuc: 0.9, pixelRocAuc: null, note: evil },
    plots: [{ title: evil, svg: '<svg xmlns="http://www.w3.org/2000/svg"/>' }],
    pictures: [
      { title: evil, caption: evil, path: 'heatmaps/a b#?\'".png', png: Uint8Array.of(1, 2, 3) },
      { title: 'large', path: 'large.png', png: new Uint8Array(inlineLimit + 1) },
      { title: 'beside', path: 'javascript:alert(1)' },
    ],
    config: { note: `</pre>${evil}` },
    warnings: [evil],
    files: ['metrics.json'],
    ...changes,
  };
}

describe('renderReport', () => {
  it('escapes everything from outside', () => {
    const page = renderReport(report());
    expect(page).not.toContain('<script');
    expect(page).not.toContain('alert("x")');
    expect(page.match(/&lt;script&gt;/g)!.length).toBeGreaterThanOrEqual(12);
    expect(page).toContain('href="./heatmaps/a%20b%23%3F%27%22.png"');
    expect(page).toContain('src="./javascript%3Aalert(1)"');
  });

  it('asks nothing of the network', () => {
    const page = renderReport(report());
    const links = [...page.matchAll(/(?:src|href)="([^"]*)"/g)].map((m) => m[1]!);
    expect(links.length).toBeGreaterThan(5);
    for (const link of links) expect(link).toMatch(/^(\.\/|data:image\/)/);
    expect(page).not.toMatch(/url\(|@import|<link|<iframe/);
  });

  it('puts small pictures into the page and leaves large ones beside it', () => {
    const page = renderReport(report());
    expect(page).toContain(`src="data:image/png;base64,${Buffer.from([1, 2, 3]).toString('base64')}"`);
    expect(page).toContain('src="./large.png"');
  });

  it('shows figures, and n/a with the reason where there are none', () => {
    const page = renderReport(report({ pixel: pixelMetrics(null, 'two masks are missing') }));
    expect(page).toContain('<div class="value">0.7500</div>');
    expect(page).toContain('<div class="value">n/a</div><div class="detail">two masks are missing</div>');
    expect(page).toContain('3rd smallest of 3 held-out normal scores');
    const empty = renderReport(
      report({
        sample: sampleMetrics([], []),
        threshold: null,
        verdicts: null,
        baselines: null,
        synthetic: null,
        plots: [],
        pictures: [],
        facts: [],
        warnings: [],
      }),
    );
    expect(empty).toContain('no test images');
    expect(empty).toContain('no normal images were held out');
    expect(empty).not.toContain('<img');
    expect(empty).not.toMatch(/undefined|NaN|\[object/);
  });
});

describe('plots', () => {
  const curve = { fpr: [0, 0, 1], tpr: [0, 1, 1], thresholds: [Number.POSITIVE_INFINITY, 2, 1] };

  it('draws a line per series', async () => {
    const history = [1, 2, 3].map((epoch) => ({
      epoch,
      loss: 1 / epoch,
      normal: 0.5 / epoch,
      anomalous: epoch === 1 ? null : 2 / epoch,
    }));
    const svg = await lossPlot(history);
    for (const name of ['all', 'normal', 'anomalous', 'Training loss']) expect(svg).toContain(name);
    expect(svg.match(/aria-roledescription="line mark"/g)).toHaveLength(3);
    const roc = await rocPlot({ image: { rocAuc: 1, curve }, pixel: { rocAuc: null, curve: null } });
    expect(roc).toContain('image (area 1.0000)');
    expect(roc).toContain('pixel (area n/a)');
    expect((await sharp(Buffer.from(roc)).metadata()).format).toBe('svg');
  });

  it('copes with no epochs, one epoch and losses that are not finite', async () => {
    expect(await lossPlot([])).toContain('<svg');
    expect(await lossPlot([{ epoch: 1, loss: 1, normal: null, anomalous: null }])).toContain('<path');
    const diverged = await lossPlot([
      { epoch: 1, loss: Number.NaN, normal: 1, anomalous: Number.POSITIVE_INFINITY },
    ]);
    expect(diverged).not.toMatch(/NaN|Infinity/);
    expect(
      await rocPlot({ image: { rocAuc: null, curve: null }, pixel: { rocAuc: null, curve: null } }),
    ).toContain('n/a');
  });
});
