#!/usr/bin/env node
/**
 * The comparisons with PyTorch in miniature, for CI: loss curves from exported steps, and a few short independent runs.
 *
 *   node scripts/compare/miniature.mjs --data ../shared/data
 *
 * Exits 1 when one of them fails. The full ones are loss-curves.mjs and independent-draws.mjs.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { compareClass } from './independent-draws.mjs';
import { compareLossCurves, LARGEST_DIFFERENCE } from './loss-curves.mjs';
import { findPython } from './python.mjs';
import { script } from './record.mjs';

/** Trousers with the small net: PyTorch's standard deviation over seeds is 0.005. */
const DRAWS = { model: 'cnn28', batchSize: 32, seeds: 3, epochs: 20, threads: 1, extra: [] };
const NORMAL_CLASS = 1;
const LARGEST_DEFICIT = 0.02;

/** The peer has to be right before anything is compared with it. */
function peer() {
  const done = spawnSync(findPython(['torch', 'numpy', 'scipy']), [script('check_peer.py')], {
    stdio: 'inherit',
  });
  console.log(`the peer's own checks: ${done.status === 0 ? 'passed' : 'FAILED'}`);
  return done.status === 0;
}

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
    const { ours, torch, difference } = await compareClass({ data, work, ...DRAWS }, NORMAL_CLASS);
    const means = `ours ${ours.mean.toFixed(3)}, PyTorch ${torch.mean.toFixed(3)}`;
    console.log(`ROC-AUC after ${DRAWS.epochs} epochs: ${means}`);
    return difference >= -LARGEST_DEFICIT;
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

const { values } = parseArgs({ options: { data: { type: 'string' } } });
if (values.data === undefined)
  throw new Error('--data: expected the folder that holds fashion-mnist-mini and oe-mini');
const checks = [peer, lossCurves, independentDraws];
let failed = 0;
for (const check of checks) if (!(await check(values.data))) failed++;
console.log(`${checks.length - failed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;
