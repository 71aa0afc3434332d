// Builds the engine with its C++ tests in build/native (no Node involved) and runs them.
// Arguments go to the test program: a part of a test's name runs only those. The last line is "N passed, N failed".
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
run('cmake', ['--build', folder, '--parallel', jobs]);
run(join(folder, 'native', 'tests', 'fcdd_tests'), process.argv.slice(2));
