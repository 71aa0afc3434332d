/** Life and death: worker threads, exits in mid-step, memory, a missing addon. Children run dist/ (see common.mjs). */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { describe, expect, test } from 'vitest';
import { loadAddon } from '../../src/engine/native.js';

const child = (name: string) => fileURLToPath(new URL(`children/${name}`, import.meta.url));

/** Milliseconds for a child; it takes a few seconds on a machine that does nothing else. */
const PATIENCE = 150_000;

/** Runs a child to its end. */
function run(name: string, args: string[], nodeArgs: string[] = [], env: Record<string, string> = {}) {
  const { status, signal, stdout, stderr } = spawnSync(
    process.execPath,
    [...nodeArgs, child(name), ...args],
    {
      encoding: 'utf8',
      timeout: PATIENCE,
      env: { ...process.env, ...env },
    },
  );
  return { status, signal, stdout: stdout.trim(), stderr };
}

/** The first message of a worker; rejects when it fails before. */
function message(worker: Worker): Promise<unknown> {
  return new Promise((resolve, reject) => {
    worker.once('message', resolve);
    worker.once('error', reject);
  });
}

describe('the end of a process', () => {
  test.each(['exit', 'worker'])('process.exit() in mid-step: %s', (how) => {
    expect(run('exit.mjs', [how])).toEqual({ status: 3, signal: null, stdout: '', stderr: '' });
  });

  test('an uncaught exception in mid-step', () => {
    const ended = run('exit.mjs', ['throw']);
    expect(ended).toMatchObject({ status: 1, signal: null });
    expect(ended.stderr).toContain('thrown in mid-run');
  });

  test('an open device does not keep a process alive, unfinished work does', () => {
    expect(run('exit.mjs', ['natural'])).toEqual({ status: 0, signal: null, stdout: '', stderr: '' });
    expect(run('exit.mjs', ['pending'])).toEqual({ status: 0, signal: null, stdout: '20 steps', stderr: '' });
  });
});

describe('worker threads', () => {
  test('train in parallel, each like the others', async () => {
    const workers = Array.from({ length: 4 }, () => new Worker(child('worker.mjs'), { workerData: {} }));
    const exits = workers.map((worker) => new Promise((resolve) => worker.once('exit', resolve)));
    const results = await Promise.all(workers.map(message));
    expect(await Promise.all(exits)).toEqual([0, 0, 0, 0]);
    expect((results[0] as Float64Array).length).toBe(400);
    for (const result of results) expect(result).toEqual(results[0]);
  });

  test('can be terminated in mid-step, again and again', async () => {
    for (let i = 0; i < 5; i++) {
      const worker = new Worker(child('worker.mjs'), { workerData: { forever: true } });
      expect(await message(worker)).toBe('running');
      expect(await worker.terminate()).toBe(1);
    }
    const worker = new Worker(child('worker.mjs'), { workerData: {} });
    expect(((await message(worker)) as Float64Array).every(Number.isFinite)).toBe(true);
  });
});

describe('memory comes back over 200 cycles of more than 4 MiB each', () => {
  test.each(['dispose', 'collect'])(
    'by %s',
    (how) => {
      const { status, stdout, stderr } = run('memory.mjs', [how], ['--expose-gc']);
      expect(stderr).toBe('');
      expect(status).toBe(0);
      expect(Number(stdout)).toBeLessThan(80);
    },
    PATIENCE,
  );
});

describe('an addon that cannot be loaded', () => {
  test('is one error with what was tried and what to do', () => {
    const load = () => loadAddon(['/nowhere/a.node', fileURLToPath(import.meta.url)]);
    expect(load).toThrow(
      expect.objectContaining({
        code: 'FCDD_NO_ADDON',
        message: expect.stringMatching(/\/nowhere\/a\.node: Cannot find.*\n.*lifecycle\.test\.ts: /s),
        hint: expect.stringContaining('npm run build:addon'),
      }),
    );
  });

  test('FCDD_ADDON names another build', () => {
    const ended = run('exit.mjs', ['natural'], [], { FCDD_ADDON: '/nowhere/fcdd.node' });
    expect(ended.status).toBe(1);
    expect(ended.stderr).toContain('/nowhere/fcdd.node');
  });
});
