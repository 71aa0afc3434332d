// The mutation test of the CUDA kernels: puts one fault after the other into native/cuda and looks whether a test
// notices. Faults: a sync_block, sync_warp or copy_async_wait is left out; the mask of an asynchronous copy is true;
// a `<` of device code becomes `<=`, a `>=` becomes `>`.
//
//   node scripts/cuda-mutate.mjs [--sample N] [--seed S] [--only TEXT] [--orders 4] [--jobs 2] [--build build/native] [--list]
//                                [--program FILE: one that is built already]
//
// All faults are compiled into one program, each behind a switch that FCDD_MUTANT throws, so that the cost of a fault
// is that of a run. A fault that no test notices is a survivor and needs a reason in
// native/cuda/mutation-survivors.json. Exits 1 when one has none, or (all faults run) when a reason fits no survivor.
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { parseArgs } from 'node:util';
import { collectMutants, writeMutants } from './cuda-mutants.mjs';
import { dropStaleBuild, generator, jobs, requireToolchain, root, run } from './toolchain.mjs';

const { values: options } = parseArgs({
  options: {
    sample: { type: 'string' },
    seed: { type: 'string', default: '1' },
    only: { type: 'string' },
    orders: { type: 'string', default: '4' },
    jobs: { type: 'string', default: String(jobs) },
    build: { type: 'string', default: 'build/native' },
    program: { type: 'string' },
    list: { type: 'boolean', default: false },
  },
});

// Which tests look at which file; a file that is not named concerns all.
const testsOf = [
  [/^augment/, ['cuda_augment']],
  [/^conv/, ['cuda_conv']],
  [/^post|^norm/, ['cuda_post', 'cuda_norm']],
  [/^loss/, ['cuda_loss']],
  [/^score/, ['cuda_score']],
  [/^upsample/, ['cuda_upsample', 'cuda_loss', 'cuda_score']],
  [/^update/, ['cuda_update', 'cuda_first_update']],
];
const allTests = [
  'cuda_post',
  'cuda_norm',
  'cuda_loss',
  'cuda_score',
  'cuda_up',
  'cuda_first',
  'cuda_augment',
  'cuda_conv',
];

function filterFor(file) {
  return testsOf.find(([pattern]) => pattern.test(file))?.[1] ?? allTests;
}

/** Runs the tests with one fault switched on, until the first failure. */
function runTests(program, filter, mutant, limit) {
  return new Promise((resolve) => {
    const start = performance.now();
    const child = spawn(program, filter, {
      env: {
        ...process.env,
        FCDD_MUTANT: String(mutant),
        FCDD_CUDA_ORDERS: options.orders,
        FCDD_EMULATED_PAGES: '1',
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let output = '';
    let why = '';
    const notice = (text) => {
      if (why !== '') return;
      why = text;
      child.kill('SIGKILL');
    };
    const timer = setTimeout(() => notice('took too long'), limit);
    const read = (data) => {
      output += data;
      const failure = /^ {2}\S+:\d+: (.*)$/m.exec(output);
      if (failure) notice(failure[1]);
    };
    child.stdout.on('data', read);
    child.stderr.on('data', read);
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      if (why === '' && signal) why = `ended by ${signal}`;
      else if (why === '' && code !== 0) why = `status ${code}`;
      resolve({
        why,
        reached: output.includes('mutant reached'),
        seconds: (performance.now() - start) / 1000,
        output,
      });
    });
  });
}

/** A sample that depends on the seed alone. */
function sampled(mutants, count, seed) {
  let state = Number(seed) >>> 0;
  const random = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
  return mutants
    .map((mutant) => ({ mutant, key: random() }))
    .sort((a, b) => a.key - b.key)
    .slice(0, count)
    .map(({ mutant }) => mutant);
}

function build(folder, sources) {
  dropStaleBuild(folder);
  run('cmake', [
    ...['-S', root, '-B', folder, '-G', generator(), '-DCMAKE_BUILD_TYPE=Release', '-DFCDD_TESTS=ON'],
    ...['-DFCDD_CUDA=OFF', `-DFCDD_CUDA_MUTANTS=${sources}`, '--log-level=WARNING'],
  ]);
  run('cmake', ['--build', folder, '--parallel', jobs, '--target', 'fcdd_cuda_mutants']);
  return join(folder, 'native', 'tests', 'cuda', 'fcdd_cuda_mutants');
}

/** Time limits from a run without any fault, which must pass. */
async function limits(program, chosen) {
  const filters = new Map(chosen.map((mutant) => [filterFor(mutant.file).join(), filterFor(mutant.file)]));
  const limit = new Map();
  for (const [key, filter] of filters) {
    const { why, seconds, output } = await runTests(program, filter, -1, 600_000);
    if (why !== '') {
      console.error(`${output}\nthe tests fail without any fault: ${why}`);
      process.exit(1);
    }
    limit.set(key, 10_000 + 10_000 * seconds);
  }
  return limit;
}

function summary(results, reasons, complete) {
  const survivors = results.filter(({ why }) => why === '');
  const open = survivors.filter(({ mutant }) => reasons[mutant.key] === undefined);
  const kinds = [...new Set(results.map(({ mutant }) => mutant.kind))];
  console.log('\nfault               put in  noticed  survive with a reason  without');
  for (const kind of kinds) {
    const of = (list) => list.filter(({ mutant }) => mutant.kind === kind).length;
    const [all, alive, bare] = [of(results), of(survivors), of(open)];
    console.log(
      `${kind.padEnd(18)}${String(all).padStart(8)}${String(all - alive).padStart(9)}${String(alive - bare).padStart(23)}${String(bare).padStart(9)}`,
    );
  }
  const alive = new Set(survivors.map(({ mutant }) => mutant.key));
  const stale = complete ? Object.keys(reasons).filter((key) => !alive.has(key)) : [];
  for (const { mutant, reached } of open) {
    console.log(
      `survivor without a reason: ${mutant.key} (line ${mutant.line}${reached ? '' : '; no test gets there'})`,
    );
  }
  for (const key of stale) console.log(`a reason that fits no survivor: ${key}`);
  return open.length === 0 && stale.length === 0;
}

const sources = join(root, 'build', 'mutants');
const mutants = collectMutants();
if (options.list) {
  for (const mutant of mutants) console.log(`${mutant.number}\t${mutant.key}`);
  process.exit(0);
}
requireToolchain();
const reasons = JSON.parse(readFileSync(join(root, 'native', 'cuda', 'mutation-survivors.json'), 'utf8'));
if (options.program === undefined) writeMutants(sources);
const program = options.program ?? build(join(root, options.build), sources);

let chosen = mutants.filter(({ key }) => options.only === undefined || key.includes(options.only));
if (options.sample !== undefined) chosen = sampled(chosen, Number(options.sample), options.seed);
const limit = await limits(program, chosen);
const results = [];
const queue = [...chosen];
async function worker() {
  for (let mutant = queue.shift(); mutant !== undefined; mutant = queue.shift()) {
    const filter = filterFor(mutant.file);
    const result = await runTests(program, filter, mutant.number, limit.get(filter.join()));
    results.push({ mutant, ...result });
    const verdict =
      result.why === '' ? (result.reached ? 'SURVIVES' : 'SURVIVES (not reached)') : `noticed: ${result.why}`;
    console.log(`${String(results.length).padStart(4)}/${chosen.length}  ${mutant.key}  ${verdict}`);
  }
}
await Promise.all(Array.from({ length: Number(options.jobs) }, worker));
process.exit(summary(results, reasons, chosen.length === mutants.length) ? 0 : 1);
