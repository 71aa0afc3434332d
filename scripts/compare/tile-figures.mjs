/**
 * Figures of the magnetic tiles: image and pixel ROC-AUC per defect type with 95 % bootstrap intervals by tile group,
 * averaged over seeds, for heatmap runs and for trivial scores of the files' geometry.
 */
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { bootstrapPairs, countPairs, groupIndices, mergePairs } from '../../dist/evaluation/bootstrap.js';
import { pixelEntry } from '../../dist/evaluation/pixel-counts.js';
import { pairsOfGroups } from '../../dist/evaluation/pixel-pairs.js';
import { rocAuc } from '../../dist/evaluation/roc.js';
import { ValueTable } from '../../dist/evaluation/value-table.js';

/** Pictures of one tile follow each other in `num`; a larger gap starts another tile. */
const TILE_GAP = 200;

/** The tile group of each picture named …exp<i>_num_<n>.<ext>. */
export function tileGroups(names) {
  const numbers = names.map((name) => {
    const match = /exp\d+_num_(\d+)\.\w+$/.exec(name);
    if (!match) throw new Error(`expected a name like exp1_num_126299.jpg, received ${name}`);
    return Number(match[1]);
  });
  const sorted = [...new Set(numbers)].sort((a, b) => a - b);
  const groupOf = new Map();
  let group = 0;
  sorted.forEach((number, i) => {
    if (i > 0 && number - sorted[i - 1] > TILE_GAP) group++;
    groupOf.set(number, `tile${group}`);
  });
  return numbers.map((number) => groupOf.get(number));
}

/** Several runs' pair counts as one: their AUC is the mean of the runs' AUCs, since only `wins` differ. */
function meanPairs(runs) {
  const wins = new Float64Array(runs[0].wins.length);
  for (const run of runs) {
    for (let i = 0; i < wins.length; i++) wins[i] += run.wins[i] / runs.length;
  }
  return { ...runs[0], wins };
}

function withInterval(runs) {
  const pairs = meanPairs(runs);
  const sum = (values) => values.reduce((a, b) => a + b, 0);
  const interval = bootstrapPairs(pairs);
  return {
    rocAuc: sum(pairs.wins) / (sum(pairs.positives) * sum(pairs.negatives)),
    interval95: interval && [interval.low, interval.high],
    tileGroups: interval?.groups ?? null,
  };
}

/** Indices of one defect type's pictures and the good ones; all pictures for `null`. */
const indicesOf = (records, type) =>
  records.map((_, i) => i).filter((i) => type === null || records[i].label === 0 || records[i].type === type);

function imageFigure(records, groups, runs, type) {
  const at = indicesOf(records, type);
  const index = groupIndices(at.map((i) => groups[i]));
  const labels = at.map((i) => records[i].label);
  return withInterval(
    runs.map(({ scores }) =>
      countPairs(
        at.map((i) => scores[i]),
        labels,
        index,
      ),
    ),
  );
}

/** The distinct values of map pixels that cover an anomaly. */
const valueTable = (entries) =>
  new ValueTable(Float32Array.from(entries.flatMap(({ map, at }) => Array.from(at, (i) => map[i]))));

/** Pixel pairs of a run between cells of pictures; `cells` numbers each picture's cell. */
function pixelPairs({ records, masks }, cells, { maps, height, width }) {
  const size = height * width;
  const entries = records.map(({ label, type }, i) =>
    pixelEntry(maps.subarray(i * size, (i + 1) * size), height, width, masks[i], label === 0 ? null : type),
  );
  const members = Array.from({ length: cells.count }, () => []);
  entries.forEach((entry, i) => {
    members[cells.of[i]].push(entry);
  });
  return pairsOfGroups(members, valueTable(entries));
}

/** A function of a defect type (null: all) that gives the pixel figure. A cell is one tile's pictures of one type. */
function pixelFigures(test, groups, runs) {
  const { records } = test;
  const cells = groupIndices(records.map(({ type }, i) => JSON.stringify([type, groups[i]])));
  const pairs = meanPairs(runs.map((run) => pixelPairs(test, cells, run)));
  return (type) => {
    const target = new Array(cells.count).fill(null);
    for (const i of indicesOf(records, type)) target[cells.of[i]] = groups[i];
    return withInterval([mergePairs(pairs, target)]);
  };
}

/** Defect types of a test split, in order. */
export const defectTypes = (records) =>
  [...new Set(records.filter((r) => r.label === 1).map((r) => r.type))].sort();

/**
 * @param test test split (records, masks) @param runs per seed { scores, maps, height, width } in the order of records
 * @returns per defect type, and 'all': number of pictures, image and pixel figure
 */
export function heatmapFigures(test, runs) {
  const groups = tileGroups(test.records.map((record) => record.name));
  const pixelFigure = pixelFigures(test, groups, runs);
  const figures = {};
  for (const type of [...defectTypes(test.records), null]) {
    figures[type ?? 'all'] = {
      images: test.records.filter((r) => r.label === 1 && (type === null || r.type === type)).length,
      image: imageFigure(test.records, groups, runs, type),
      pixel: pixelFigure(type),
    };
  }
  return figures;
}

/** What a file tells without a look at its content. */
const TRIVIAL = {
  'aspect ratio': ({ width, height }) => width / height,
  'pixel count': ({ width, height }) => width * height,
  'bytes per pixel': ({ width, height, bytes }) => bytes / (width * height),
};

/**
 * Image ROC-AUC of the trivial scores per defect type, in whichever direction separates better (`inverted` says so).
 * @param folder the category, which holds the files of `records` @param masks give the pictures' own sizes
 */
export function trivialFigures(folder, { records, masks }) {
  const files = records.map(({ name }, i) => ({
    bytes: statSync(join(folder, name)).size,
    width: masks[i].width,
    height: masks[i].height,
  }));
  const figures = {};
  for (const type of [...defectTypes(records), null]) {
    const at = indicesOf(records, type);
    figures[type ?? 'all'] = Object.fromEntries(
      Object.entries(TRIVIAL).map(([name, score]) => {
        const area = rocAuc(
          at.map((i) => score(files[i])),
          at.map((i) => records[i].label),
        );
        return [name, { rocAuc: Math.max(area, 1 - area), inverted: area < 0.5 }];
      }),
    );
  }
  return figures;
}
