// Finds the tools that a build from source needs and says what to install when one is missing.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = dirname(dirname(fileURLToPath(import.meta.url)));

const minimum = { cmake: [3, 18], 'g++': [11, 0], 'clang++': [14, 0] };

/** First line that `command --version` prints, or null when it cannot be run. */
function versionLine(command) {
  const ran = spawnSync(command, ['--version'], { encoding: 'utf8' });
  return ran.status === 0 ? (ran.stdout.split('\n')[0] ?? '') : null;
}

/** [major, minor] of a version line; the last number wins, as in "g++ (Debian 12.2.0-14) 12.2.0". */
function parseVersion(line) {
  const found = [...line.matchAll(/(\d+)\.(\d+)/g)].at(-1);
  return found ? [Number(found[1]), Number(found[2])] : null;
}

function tooOld(line, [major, minor]) {
  const version = parseVersion(line);
  return version !== null && (version[0] < major || (version[0] === major && version[1] < minor));
}

/** Problems with CMake, as sentences. */
function cmakeProblems() {
  const line = versionLine('cmake');
  if (line === null) return ['CMake was not found'];
  return tooOld(line, minimum.cmake) ? [`CMake ≥ ${minimum.cmake.join('.')} is needed, found: ${line}`] : [];
}

/** Problems with the C++ compiler (CXX, else c++, g++, clang++), as sentences. */
function compilerProblems() {
  const candidates = process.env.CXX ? [process.env.CXX] : ['c++', 'g++', 'clang++'];
  const command = candidates.find((name) => versionLine(name) !== null);
  if (command === undefined) {
    return [
      process.env.CXX
        ? `the C++ compiler that CXX names (${process.env.CXX}) was not found`
        : 'no C++ compiler (g++ ≥ 11 or clang++ ≥ 14) was found',
    ];
  }
  const line = versionLine(command);
  const kind = /clang/i.test(line) ? 'clang++' : 'g++';
  return tooOld(line, minimum[kind]) ? [`${kind} ≥ ${minimum[kind][0]} is needed, found: ${line}`] : [];
}

/** 'Ninja' when there is one, else 'Unix Makefiles', else null. */
export function generator() {
  if (versionLine('ninja') !== null) return 'Ninja';
  return versionLine('make') !== null ? 'Unix Makefiles' : null;
}

const remedies = [
  '  Debian, Ubuntu   sudo apt-get install cmake g++ make',
  '  Fedora           sudo dnf install cmake gcc-c++ make',
  '  Alpine           sudo apk add cmake g++ make linux-headers',
];

/** Ends the process with one short message when something is missing. */
export function requireToolchain() {
  if (process.platform !== 'linux') {
    console.error(`fcdd-native: ${process.platform} is not supported yet: it builds on Linux (x64) only.`);
    process.exit(1);
  }
  const problems = [
    ...cmakeProblems(),
    ...compilerProblems(),
    ...(generator() === null ? ['neither make nor ninja was found'] : []),
  ];
  if (problems.length === 0) return;
  console.error(
    [
      'fcdd-native builds its engine from source, and this machine lacks something for it:',
      ...problems.map((problem) => `  - ${problem}`),
      'Install it, then run npm install again (in a checkout: npm ci):',
      ...remedies,
    ].join('\n'),
  );
  process.exit(1);
}

/** Removes a build folder that CMake would refuse: half configured, made for another path, or its compiler gone. */
export function dropStaleBuild(folder) {
  const cache = join(folder, 'CMakeCache.txt');
  if (!existsSync(cache)) return;
  const text = readFileSync(cache, 'utf8');
  const entry = (name) => text.match(new RegExp(`^${name}:[A-Z]+=(.*)$`, 'm'))?.[1];
  const compiler = entry('CMAKE_CXX_COMPILER');
  const moved = entry('CMAKE_HOME_DIRECTORY') !== root || entry('CMAKE_CACHEFILE_DIR') !== folder;
  const compilerGone = compiler?.startsWith('/') && !existsSync(compiler);
  const unfinished = !existsSync(join(folder, 'build.ninja')) && !existsSync(join(folder, 'Makefile'));
  if (moved || compilerGone || unfinished) rmSync(folder, { recursive: true });
}

/** Build folder and CMake options that FCDD_BUILD_TYPE and FCDD_SANITIZE ask for. */
export function variant(plainName) {
  const type = process.env.FCDD_BUILD_TYPE ?? 'Release';
  const sanitize = process.env.FCDD_SANITIZE ?? '';
  const parts = [plainName ?? type];
  if (plainName !== undefined && type !== 'Release') parts.push(type);
  if (sanitize !== '') parts.push(...sanitize.split(','));
  return { type, folder: join(root, 'build', parts.join('-')), options: { FCDD_SANITIZE: sanitize } };
}

/** Runs a command with our own standard streams; ends the process with its status when it fails. */
export function run(command, args) {
  const ran = spawnSync(command, args, { cwd: root, stdio: 'inherit' });
  if (ran.error) console.error(`fcdd-native: ${command} could not be run: ${ran.error.message}`);
  if (ran.status !== 0) process.exit(ran.status ?? 1);
}

export const jobs = String(availableParallelism());

/**
 * Builds the engine with its C++ tests, no Node involved, and returns the build folder. The CUDA kernels are compiled
 * for this machine's processor, with the emulation of native/cuda/emulation.
 */
export function buildTests() {
  requireToolchain();
  const { type, folder, options } = variant('native');
  dropStaleBuild(folder);
  const chosen = {
    CMAKE_BUILD_TYPE: type,
    FCDD_TESTS: 'ON',
    FCDD_CUDA: 'OFF',
    FCDD_CUDA_EMULATED: 'ON',
    ...options,
  };
  const definitions = Object.entries(chosen).map(([name, value]) => `-D${name}=${value}`);
  run('cmake', ['-S', root, '-B', folder, '-G', generator(), ...definitions]);
  run('cmake', ['--build', folder, '--parallel', jobs]);
  return folder;
}
