#!/usr/bin/env node
/**
 * The comparisons with PyTorch in miniature, for CI: loss curves from exported steps, and a few short independent runs.
 *
 *   node scripts/compare/miniature.mjs --data ../shared/data
 *
 * Exits 1 when one of them fails. The full ones are loss-curves.mjs and independent-draws.mjs.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { compareClass } from './independent-draws.mjs';
import { compareLossCurves, LARGEST_DIFFERENCE } from './loss-curves.mjs';

/** Two short runs each say little: only a gross deficit fails here. */
const LARGEST_DEFICIT = 0.1;
const DRAWS = { seeds: 2, epochs: 6, normal: 1 };

async function lossCurves(data) {
  const { steps, largestDifference } = await compareLossCurves({
    data,
    device: 'cpu',
    steps: 9,
    batch: 32,
    seed: 0,
  });
  console.log(`loss curves: largest difference over ${steps} steps ${largestDifference.toExponential(2)}`);
  return largestDifference <= LARGEST_DIFFERENCE;
}

async function independentDraws(data) {
  const work = mkdtempSync(join(tmpdir(), 'fcdd-draws-'));
  try {
    const { seeds, epochs, normal } = DRAWS;
    const { ours, torch, difference } = await compareClass({ data, work, seeds, epochs, extra: [] }, normal);
    console.log(
      `ROC-AUC after ${epochs} epochs: ours ${ours.mean.toFixed(3)}, PyTorch ${torch.mean.toFixed(3)}`,
    );
    return difference >= -LARGEST_DEFICIT;
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

const { values } = parseArgs({ options: { data: { type: 'string' } } });
if (values.data === undefined)
  throw new Error('--data: expected the folder that holds fashion-mnist-mini and oe-mini');
const checks = [lossCurves, independentDraws];
let failed = 0;
for (const check of checks) if (!(await check(values.data))) failed++;
console.log(`${checks.length - failed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;
