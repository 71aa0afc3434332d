import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { cifar100Archive, fashionMnistFiles } from '../data/fake-archives.js';
import { temporaryFolder, write } from '../data/fixtures.js';

const main = join(import.meta.dirname, '../../dist/cli/main.js');
const root = temporaryFolder();

function cli(args: string[], env: NodeJS.ProcessEnv = {}) {
  return new Promise<{ code: number | null; stdout: string; stderr: string }>((resolve) => {
    const child = spawn(process.execPath, [main, ...args], { cwd: root, env: { ...process.env, ...env } });
    const outcome = { stdout: '', stderr: '' };
    child.stdout.on('data', (chunk) => (outcome.stdout += chunk));
    child.stderr.on('data', (chunk) => (outcome.stderr += chunk));
    child.on('close', (code) => resolve({ ...outcome, code }));
  });
}

it('prepares and checks, with --json last', async () => {
  const archive = write(join(root, 'cifar-100-binary.tar.gz'), cifar100Archive());
  const made = await cli(['data', 'prepare', 'cifar100', '--from', archive, '--data', 'data', '--json']);
  expect(made.code).toBe(0);
  expect(made.stderr).toMatch(/warning: .* is not the published cifar-100-binary/);
  expect(made.stderr).toMatch(/licence: .*published at https:\/\/www\.cs\.toronto\.edu/);
  expect(JSON.parse(made.stdout)).toMatchObject({
    dataset: 'cifar100',
    complete: true,
    counts: { train: 20 },
  });
  const checked = await cli(['data', 'check', 'cifar100', '--data', 'data', '--preview', 'p.png', '--json']);
  expect(checked.code).toBe(0);
  expect(existsSync(join(root, 'p.png'))).toBe(true);
  expect(JSON.parse(checked.stdout)).toMatchObject({ images: 40, unreadable: [] });
});

it('exits 1 for what is missing, 2 for what cannot be meant, and says where to get it', async () => {
  const files = fashionMnistFiles(10);
  for (const name of ['train-images-idx3-ubyte.gz', 'train-labels-idx1-ubyte.gz']) {
    write(join(root, 'half', name), files[name]!);
  }
  const half = await cli(['data', 'prepare', 'fashion-mnist', '--from', 'half', '--data', 'data']);
  expect(half.code).toBe(1);
  expect(half.stderr).toMatch(/missing: the test part.*github\.com\/zalandoresearch/);
  const none = await cli(['data', 'prepare', 'voc', '--data', 'data']);
  expect(none.code).toBe(2);
  expect(none.stderr).toMatch(/VOCtrainval_06-Nov-2007\.tar/);
  expect((await cli(['data', 'prepare', 'cats', '--from', 'x'])).code).toBe(2);
  const help = await cli(['data', 'prepare', '--help']);
  expect(help.code).toBe(0);
  expect(help.stdout).toMatch(/Examples:[\s\S]*image-net\.org/);
});
