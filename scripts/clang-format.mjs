// Formats the C++ sources in place; --check only reports and exits 1 when a file would change.
// Without clang-format it says so; in CI (CI is set) that is a failure, so that a check is never silently skipped.
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { root } from './toolchain.mjs';

const extensions = /\.(cpp|h|cu|cuh|inc)$/;
const files = ['native', 'bindings'].flatMap((folder) =>
  readdirSync(join(root, folder), { recursive: true })
    .filter((name) => extensions.test(name))
    .map((name) => join(folder, name)),
);

const arguments_ = process.argv.includes('--check') ? ['--dry-run', '--Werror'] : ['-i'];
const ran = spawnSync('clang-format', [...arguments_, ...files], { cwd: root, stdio: 'inherit' });
if (ran.error) {
  console.error(
    'clang-format was not found: C++ formatting is unchecked (Debian: apt-get install clang-format).',
  );
  process.exit(process.env.CI ? 1 : 0);
}
process.exit(ran.status ?? 1);
