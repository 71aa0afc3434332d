// Builds the CUDA kernels for this machine's processor, with the emulation of native/cuda/emulation, and runs their tests.
// libfcdd_cuda_emulated.so is laid beside the addon, for the TypeScript tests that train on it.
// Arguments go to the test program: a part of a test's name runs only those. The last line is "N passed, N failed".
// FCDD_CUDA_ORDERS=n runs every step in n orders of threads instead of six.
import { copyFileSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { buildTests, run, variant } from './toolchain.mjs';

const folder = buildTests();
const beside = variant().folder;
mkdirSync(beside, { recursive: true });
copyFileSync(join(folder, 'libfcdd_cuda_emulated.so'), join(beside, 'libfcdd_cuda_emulated.so'));
run(join(folder, 'native', 'tests', 'cuda', 'fcdd_cuda_tests'), process.argv.slice(2));
