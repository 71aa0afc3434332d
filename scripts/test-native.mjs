// Builds the engine with its C++ tests in build/native (no Node involved) and runs them.
// Arguments go to the test program: a part of a test's name runs only those. The last line is "N passed, N failed".
import { join } from 'node:path';
import { buildTests, run } from './toolchain.mjs';

run(join(buildTests(), 'native', 'tests', 'fcdd_tests'), process.argv.slice(2));
