// Builds the CUDA kernels for this machine's processor, with the emulation of native/cuda/emulation, and runs their tests.
// Arguments go to the test program: a part of a test's name runs only those. The last line is "N passed, N failed".
// FCDD_CUDA_ORDERS=n runs every step in n orders of threads instead of six.
import { join } from 'node:path';
import { dropStaleBuild, generator, jobs, requireToolchain, root, run, variant } from './toolchain.mjs';

requireToolchain();
const { type, folder, options } = variant('native');
dropStaleBuild(folder);
run('cmake', [
  ...[
    '-S',
    root,
    '-B',
    folder,
    '-G',
    generator(),
    `-DCMAKE_BUILD_TYPE=${type}`,
    '-DFCDD_TESTS=ON',
    '-DFCDD_CUDA=OFF',
  ],
  ...Object.entries(options).map(([name, value]) => `-D${name}=${value}`),
]);
run('cmake', ['--build', folder, '--parallel', jobs, '--target', 'fcdd_cuda_tests']);
run(join(folder, 'native', 'tests', 'cuda', 'fcdd_cuda_tests'), process.argv.slice(2));
