/** What every comparison shares: statistics, what it was measured on, and runs that are kept so that it can resume. */
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { cpus, release, totalmem } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { commitOfSources } from '../../dist/benchmark/commit.js';
import { openDevice } from '../../dist/index.js';
import { versions } from '../../dist/training/versions.js';
import { findPython } from './python.mjs';

export const root = fileURLToPath(new URL('../..', import.meta.url));

/** Path of a script of this folder. */
export const script = (name) => fileURLToPath(new URL(name, import.meta.url));

/** Path of the command line program. */
export const cli = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));

/** JSON through a temporary name: a kill leaves the previous file or none. */
export function writeJson(path, value) {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(`${path}.tmp`, `${JSON.stringify(value, null, 1)}\n`);
  renameSync(`${path}.tmp`, path);
}

export const readJson = (path) => JSON.parse(readFileSync(path, 'utf8'));

/** The result kept at `path`, or that of `run`, kept there: a comparison that was cut off goes on where it stopped. */
export async function resumable(path, run) {
  if (existsSync(path)) return readJson(path);
  const result = await run();
  writeJson(path, result);
  return result;
}

const POLL_MS = 200;

/** Linux counts processor time in hundredths of a second for every program (sysconf(_SC_CLK_TCK)). */
const TICKS_PER_SECOND = 100;

/** Peak resident memory (MiB) and processor time (s, all threads) of a process so far; null when it is gone. */
function usageOf(pid) {
  try {
    const peak = /VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
    // After the name in parentheses come the state and, 12th and 13th, user and system time.
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1).split(' ');
    const cpuSeconds = (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
    return peak ? { peakMiB: Number(peak[1]) / 1024, cpuSeconds } : null;
  } catch {
    return null;
  }
}

/**
 * Runs a program to its end: its standard output, peak resident memory and processor time, which other work on the
 * machine changes little. Throws when it fails.
 */
export async function runMeasured(command, args, env = {}) {
  const child = spawn(command, args, {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let stdout = '';
  child.stdout.setEncoding('utf8').on('data', (part) => {
    stdout += part;
  });
  let usage = { peakMiB: 0, cpuSeconds: 0 };
  const poll = setInterval(() => {
    usage = usageOf(child.pid) ?? usage;
  }, POLL_MS);
  const status = await new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', resolve);
  }).finally(() => clearInterval(poll));
  if (status !== 0) throw new Error(`${command} ${args.slice(0, 2).join(' ')} ended with ${status}`);
  return { stdout, ...usage };
}

function text(command, args) {
  const done = spawnSync(command, args, { cwd: root, encoding: 'utf8' });
  return done.status === 0 ? done.stdout.trim() : 'unknown';
}

/** Machine, instruction set, versions and commit of a measurement. */
export async function environment(threads) {
  const device = await openDevice('cpu', threads === undefined ? {} : { threads });
  try {
    const torch = text(findPython(), ['-c', 'import torch; print(torch.__version__)']);
    return {
      date: new Date().toISOString().slice(0, 10),
      commit: commitOfSources(),
      cpu: cpus()[0]?.model.trim() ?? 'unknown',
      cpus: cpus().length,
      memoryGiB: Math.round(totalmem() / 2 ** 30),
      kernel: release(),
      torch,
      versions: versions(device.info),
    };
  } finally {
    device.dispose();
  }
}

/** Number, mean and (n−1) standard deviation. */
export function summary(values) {
  const n = values.length;
  const mean = values.reduce((a, b) => a + b, 0) / n;
  const square = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return { n, mean, sd: n > 1 ? Math.sqrt(square / (n - 1)) : null };
}

/**
 * Difference of the means of `ours` and `theirs`, its standard error (unequal variances) and the 95 % interval of
 * Welch's t.
 */
export function difference(ours, theirs) {
  const [a, b] = [summary(ours), summary(theirs)];
  const [va, vb] = [a.sd ** 2 / a.n, b.sd ** 2 / b.n];
  const standardError = Math.sqrt(va + vb);
  const freedom = (va + vb) ** 2 / (va ** 2 / (a.n - 1) + vb ** 2 / (b.n - 1));
  const reach = studentQuantile(freedom) * standardError;
  const mean = a.mean - b.mean;
  return { difference: mean, standardError, interval95: [mean - reach, mean + reach] };
}

/**
 * The same setting trained with `seeds` seeds by ours and by PyTorch, each run kept under `work`: ROC-AUCs, their
 * summaries and, with two seeds or more, the difference.
 */
export async function compareSeeds({ work, seeds, epochs }, setting, train) {
  const runs = { ours: [], torch: [] };
  for (let seed = 0; seed < seeds; seed++) {
    for (const side of ['ours', 'torch']) {
      const path = join(work, side, `${setting.replaceAll(' ', '-')}-seed-${seed}.json`);
      runs[side].push(await resumable(path, () => train[side](seed)));
    }
    const [ours, torch] = [runs.ours[seed], runs.torch[seed]].map(({ rocAuc }) => rocAuc.toFixed(4));
    console.log(`${setting} seed ${seed}: ours ${ours} PyTorch ${torch}`);
  }
  const stale = [...runs.ours, ...runs.torch].find((run) => run.epochs !== epochs);
  if (stale) throw new Error(`${work} holds runs of ${stale.epochs} epochs: choose another --work`);
  const [ours, torch] = [runs.ours, runs.torch].map((side) => side.map(({ rocAuc }) => rocAuc));
  return {
    ours: { ...summary(ours), rocAuc: ours },
    torch: { ...summary(torch), rocAuc: torch },
    ...(seeds > 1 ? difference(ours, torch) : {}),
  };
}

/** 97.5 % quantile of Student's t: Cornish-Fisher expansion about the normal one, good to 1e-3 from 4 degrees on. */
function studentQuantile(freedom) {
  const z = 1.959963984540054;
  const terms = [
    (z ** 3 + z) / 4,
    (5 * z ** 5 + 16 * z ** 3 + 3 * z) / 96,
    (3 * z ** 7 + 19 * z ** 5 + 17 * z ** 3 - 15 * z) / 384,
  ];
  return terms.reduce((sum, term, i) => sum + term / freedom ** (i + 1), z);
}
