/** Building from source on a machine that lacks something: one message that says what, and what to install. */
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test } from 'vitest';

const script = fileURLToPath(new URL('../../scripts/build-addon.mjs', import.meta.url));
let bin: string;

beforeEach(() => {
  bin = mkdtempSync(join(tmpdir(), 'fcdd-bin-'));
  symlinkSync('/bin/sh', join(bin, 'sh'));
});
afterEach(() => rmSync(bin, { recursive: true }));

/** A tool that only knows its version. */
function tool(name: string, version: string): void {
  writeFileSync(join(bin, name), `#!/bin/sh\necho "${version}"\n`);
  chmodSync(join(bin, name), 0o755);
}

function build(env: Record<string, string> = {}) {
  const { CXX: _, ...inherited } = process.env;
  const options = { encoding: 'utf8', env: { ...inherited, PATH: bin, ...env } } as const;
  return spawnSync(process.execPath, [script], options);
}

const good = { cmake: 'cmake version 3.25.1', 'c++': 'g++ (Debian 12.2.0-14) 12.2.0', make: 'GNU Make 4.3' };

test.each([
  ['no CMake', { ...good, cmake: null }, 'CMake was not found'],
  [
    'an old CMake',
    { ...good, cmake: 'cmake version 3.10.2' },
    'CMake ≥ 3.18 is needed, found: cmake version 3.10.2',
  ],
  ['no compiler', { ...good, 'c++': null }, 'no C++ compiler (g++ ≥ 11 or clang++ ≥ 14) was found'],
  ['an old g++', { ...good, 'c++': 'g++ (Debian 9.3.0) 9.3.0' }, 'g++ ≥ 11 is needed'],
  ['an old clang', { ...good, 'c++': 'Debian clang version 11.0.1-2' }, 'clang++ ≥ 14 is needed'],
  ['neither make nor ninja', { ...good, make: null }, 'neither make nor ninja was found'],
])('%s', (_what, tools, message) => {
  for (const [name, version] of Object.entries(tools)) if (version !== null) tool(name, version);
  const { status, stderr } = build();
  expect(status).toBe(1);
  expect(stderr).toContain(`- ${message}`);
  expect(stderr.match(/^ {2}- /gm)).toHaveLength(1);
  expect(stderr).toContain('sudo apt-get install cmake g++ make');
});

test('a compiler that CXX names and nobody has', () => {
  for (const [name, version] of Object.entries(good)) tool(name, version);
  expect(build({ CXX: 'nothing++' }).stderr).toContain('CXX names (nothing++) was not found');
});
