// Builds the addon: build/Release/fcdd.node. npm runs it on install; by hand: npm run build:addon.
// FCDD_BUILD_TYPE=Debug builds into build/Debug, FCDD_SANITIZE=address,undefined into build/Release-address-undefined.
// Nothing is downloaded: Node's headers come from the package node-api-headers. What is up to date stays.
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { dropStaleBuild, generator, jobs, requireToolchain, root, run, variant } from './toolchain.mjs';

requireToolchain();
const { type, folder, options } = variant();
dropStaleBuild(folder);

// A user's newer compiler must not stop an install with a new warning; in a checkout it should.
const definitions = { ...options, FCDD_WERROR: existsSync(join(root, '.git')) ? 'ON' : 'OFF' };
run(process.execPath, [
  createRequire(import.meta.url).resolve('cmake-js/bin/cmake-js'),
  'build',
  '--log-level=warn',
  `--directory=${root}`,
  `--out=${folder}`,
  `--config=${type}`,
  `--generator=${generator()}`,
  `--parallel=${jobs}`,
  ...Object.entries(definitions).map(([name, value]) => `--CD${name}=${value}`),
]);
