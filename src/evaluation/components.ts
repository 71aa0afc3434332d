/**
 * 8-connected components of a mask (SciPy's `label` with a 3×3 structure of ones), as runs of pixels: memory goes with
 * the outline of the defects, not with the picture.
 */
import type { Mask } from '../data/types.js';

/** Pixels `from`…`to`−1 of a row that belong to one component. */
export interface Run {
  row: number;
  from: number;
  to: number;
}

/** @returns the runs of each component, components in the order of their first pixel */
export function maskComponents(mask: Mask): Run[][] {
  const runs: Run[] = [];
  const parent: number[] = [];
  let above = 0;
  for (let row = 0; row < mask.height; row++) {
    const end = runs.length;
    addRow(mask, row, runs);
    for (let i = end; i < runs.length; i++) parent.push(i);
    joinRows(runs, parent, above, end);
    above = end;
  }
  return collect(runs, parent);
}

function addRow({ data, width }: Mask, row: number, runs: Run[]): void {
  const line = data.subarray(row * width, (row + 1) * width);
  for (let x = 0; x < width; x++) {
    if (line[x] === 0) continue;
    const from = x;
    while (x < width && line[x] !== 0) x++;
    runs.push({ row, from, to: x });
  }
}

/** Joins the runs from `end` on with those of the row above, which are `above`…`end`−1. */
function joinRows(runs: readonly Run[], parent: number[], above: number, end: number): void {
  for (let i = end, k = above; i < runs.length; i++) {
    const run = runs[i]!;
    // Touching includes diagonals: one pixel beyond either end.
    while (k < end && runs[k]!.to < run.from) k++;
    for (let j = k; j < end && runs[j]!.from <= run.to; j++) unite(parent, i, j);
  }
}

function root(parent: number[], i: number): number {
  let at = i;
  while (parent[at] !== at) {
    parent[at] = parent[parent[at]!]!;
    at = parent[at]!;
  }
  return at;
}

/** The earlier run becomes the root. */
function unite(parent: number[], i: number, j: number): void {
  const a = root(parent, i);
  const b = root(parent, j);
  parent[Math.max(a, b)] = Math.min(a, b);
}

function collect(runs: readonly Run[], parent: number[]): Run[][] {
  const components = new Map<number, Run[]>();
  runs.forEach((run, i) => {
    const key = root(parent, i);
    const members = components.get(key);
    if (members) members.push(run);
    else components.set(key, [run]);
  });
  return [...components.values()];
}
