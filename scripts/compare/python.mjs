/**
 * Finds a Python that can import the peer's modules: FCDD_PYTHON if set, else the first `python3` on PATH that can.
 * A missing peer is an error, never an empty column.
 */
import { spawnSync } from 'node:child_process';
import { delimiter, join } from 'node:path';

/** glibc told to keep memory: PyTorch's strongest setting on a CPU (README.md beside this file). */
export const KEEP_MEMORY = {
  MALLOC_MMAP_MAX_: '0',
  MALLOC_TRIM_THRESHOLD_: '100000000000',
  MALLOC_TOP_PAD_: '268435456',
};

function imports(python, modules) {
  return spawnSync(python, ['-c', `import ${modules.join(', ')}`], { stdio: 'ignore' }).status === 0;
}

/** Path of a Python that imports `modules`; throws with what was tried and the remedy. */
export function findPython(modules = ['torch', 'numpy', 'sklearn', 'PIL']) {
  const forced = process.env.FCDD_PYTHON;
  const onPath = (process.env.PATH ?? '').split(delimiter).filter(Boolean);
  const candidates = forced ? [forced] : [...new Set(onPath)].map((folder) => join(folder, 'python3'));
  const found = candidates.find((python) => imports(python, modules));
  if (found) return found;
  throw new Error(
    `expected a Python that imports ${modules.join(', ')}, tried ${candidates.join(', ')}: ` +
      'install python3-torch, python3-sklearn, python3-scipy and python3-pil, or set FCDD_PYTHON to one that has them',
  );
}

/** Runs a Python script to its end and returns its last line of standard output as JSON. */
export function runPython(script, args, { env = {}, modules } = {}) {
  const done = spawnSync(findPython(modules), [script, ...args], {
    encoding: 'utf8',
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
    maxBuffer: 1 << 28,
  });
  if (done.status !== 0) throw new Error(`${script} ended with ${done.status ?? done.signal}`);
  return JSON.parse(done.stdout.trim().split('\n').at(-1));
}
