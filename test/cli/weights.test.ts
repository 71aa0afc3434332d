/** fcdd-native weights, as a user types it. */
import { spawn } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import sharp from 'sharp';
import { beforeAll, describe, expect, it } from 'vitest';
import { writeChain } from '../../src/onnx/write-chain.js';
import { tolerances } from '../golden/files.js';
import { temporaryFolder } from '../training/helpers.js';
import { formulaBackbone, onnxGolden } from '../weights/helpers.js';

const main = join(import.meta.dirname, '../../dist/cli/main.js');

let folder: string;
beforeAll(async () => {
  folder = await temporaryFolder();
});

interface Outcome {
  code: number | null;
  stdout: string;
  stderr: string;
}

function cli(...args: string[]): Promise<Outcome> {
  return new Promise((resolve) => {
    const env = { ...process.env, FCDD_CACHE: join(folder, 'cache') };
    const child = spawn(process.execPath, [main, ...args], { cwd: folder, env });
    const outcome: Outcome = { code: null, stdout: '', stderr: '' };
    child.stdout.on('data', (chunk) => (outcome.stdout += chunk));
    child.stderr.on('data', (chunk) => (outcome.stderr += chunk));
    child.on('close', (code) => resolve({ ...outcome, code }));
  });
}

const lastLine = ({ stdout }: Outcome): Record<string, unknown> =>
  JSON.parse(stdout.trim().split('\n').at(-1)!) as Record<string, unknown>;

describe('fcdd-native weights', () => {
  it.each([[['weights']], [['weights', 'import']]])('teaches: %j --help', async (command) => {
    const { code, stdout } = await cli(...command, '--help');
    expect(code).toBe(0);
    expect(stdout).toMatch(/Examples:/);
  });

  it('imports, says how far onnxruntime is, lists and verifies', async () => {
    const imported = await cli('weights', 'import', onnxGolden('cnn28-kept.onnx'), '--json');
    expect(imported.code).toBe(0);
    expect(imported.stderr).toMatch(/onnxruntime-node and here: features differ by \d/);
    expect(lastLine(imported)).toMatchObject({
      weights: { name: 'cnn28', bn: 'live' },
      verification: { verified: true },
      existed: false,
    });
    const listed = await cli('weights', 'list');
    expect(listed).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^cnn28\tcnn28\t.*from cnn28-kept.onnx/),
    });
    expect(await cli('weights', 'verify')).toMatchObject({ code: 0, stdout: 'cnn28\twhole\n' });
    await writeFile(join(folder, 'cache/weights/broken.safetensors'), 'x');
    expect(await cli('weights', 'verify', '--json')).toMatchObject({ code: 1 });
  });

  it('recovers batch normalisation of a folded VGG11 from photographs, and trains with nothing less', async () => {
    const { layers, tensors } = formulaBackbone('vgg11', 3, 'folded');
    const input = { channels: 3, height: 224, width: 224 };
    await writeFile(join(folder, 'folded.onnx'), Buffer.concat(writeChain(layers, tensors, input)));
    await mkdir(join(folder, 'photos'));
    const noise = { type: 'gaussian', mean: 120, sigma: 40 } as const;
    const picture = sharp({ create: { width: 300, height: 260, channels: 3, background: 'grey', noise } });
    await picture.jpeg().toFile(join(folder, 'photos', 'a.jpg'));
    const plain = await cli('weights', 'import', 'folded.onnx', '--no-verify');
    expect(plain).toMatchObject({ code: 0, stderr: expect.stringMatching(/folded.*TrainingMode.PRESERVE/s) });
    const train = await cli('train', '--model', 'vgg11');
    expect(train).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/folded.*do_constant_folding=False.*timm/s),
    });

    const recovered = await cli(
      'weights',
      'import',
      'folded.onnx',
      '--recover-bn',
      'photos',
      '--no-verify',
      '--json',
    );
    expect(recovered).toMatchObject({ code: 0, stderr: expect.stringMatching(/few images \(1\)/) });
    const { weights, recovery } = lastLine(recovered) as { weights: object; recovery: { distance: number } };
    expect(weights).toMatchObject({ name: 'vgg11-recovered', bn: 'recovered', recoveredFrom: 1 });
    expect(recovery.distance).toBeLessThan(tolerances.recoveredInference);
  }, 120_000);

  it.each([
    [['weights', 'improt'], 2, /Unknown|Did you mean/],
    [['weights', 'import', 'absent.onnx'], 1, /absent.onnx: no such file/],
    [['weights', 'pull', 'vgg11_bn', '--url', 'http://127.0.0.1:9/x', '--sha256', 'zz'], 2, /not a SHA-256/],
    [['train', '--weights', 'absent'], 1, /no weights "absent"/],
  ])('says what is wrong with %j', async (args, code, message) => {
    const outcome = await cli(...args);
    expect(outcome.stderr).toMatch(message);
    expect(outcome.stderr).not.toMatch(/ at .*\.js:\d+/);
    expect(outcome.code).toBe(code);
  });
});
