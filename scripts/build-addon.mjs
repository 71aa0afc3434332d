// Builds the addon: build/Release/fcdd.node. npm runs it on install; by hand: npm run build:addon.
// FCDD_BUILD_TYPE=Debug builds into build/Debug, FCDD_SANITIZE=address,undefined into build/Release-address-undefined.
// With nvcc there, libfcdd_cuda.so is built beside it, for this machine's GPUs (FCDD_CUDA_ARCHITECTURES=80-real,90a-real
// names others, FCDD_CUDA_ARCHITECTURES= takes all that nvcc knows); FCDD_CUDA=OFF leaves it out, FCDD_CUDA=ON fails
// without nvcc, FCDD_CUDA_EMULATED=ON adds libfcdd_cuda_emulated.so.
// Nothing is downloaded: Node's headers come from the package node-api-headers. What is up to date stays.
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { dropStaleBuild, generator, jobs, requireToolchain, root, run, variant } from './toolchain.mjs';

requireToolchain();
const { type, folder, options } = variant();
dropStaleBuild(folder);
const cuda = {
  FCDD_CUDA: process.env.FCDD_CUDA ?? 'AUTO',
  FCDD_CUDA_ARCHITECTURES: (process.env.FCDD_CUDA_ARCHITECTURES ?? 'local').replaceAll(',', ';'),
  FCDD_CUDA_EMULATED: process.env.FCDD_CUDA_EMULATED ?? 'OFF',
};

// A user's newer compiler must not stop an install with a new warning; in a checkout it should.
const definitions = { ...options, ...cuda, FCDD_WERROR: existsSync(join(root, '.git')) ? 'ON' : 'OFF' };
function cmakeJs(command) {
  run(process.execPath, [
    createRequire(import.meta.url).resolve('cmake-js/bin/cmake-js'),
    command,
    '--log-level=warn',
    `--directory=${root}`,
    `--out=${folder}`,
    `--config=${type}`,
    `--generator=${generator()}`,
    `--parallel=${jobs}`,
    ...Object.entries(definitions).map(([name, value]) => `--CD${name}=${value}`),
  ]);
}
// `build` alone keeps the options of an earlier build.
cmakeJs('configure');
cmakeJs('build');
