import { spawn } from 'node:child_process';
import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import sharp from 'sharp';
import { beforeAll, describe, expect, it } from 'vitest';
// @ts-expect-error a script without types
import { findPython } from '../../scripts/compare/python.mjs';
import { fitPixels } from '../../src/data/decode.js';
import { Detector, loadModel } from '../../src/detector.js';
import { openDevice } from '../../src/engine/index.js';
import { readModel, writeModel } from '../../src/models/index.js';
import { exportOnnx } from '../../src/onnx/export.js';
import type { ExportResult } from '../../src/onnx/export-file.js';
import { toFloat16 } from '../../src/onnx/nodes.js';
import tolerances from '../tolerances.json' with { type: 'json' };
import { temporaryFolder } from '../training/helpers.js';
import { recipes, writeRecipe } from './models.js';

/** The check's child process is compiled code, so that what is tested here is too. */
const { exportOnnxFile } = (await import('../../dist/onnx/export-file.js' as string)) as {
  exportOnnxFile: typeof import('../../src/onnx/export-file.js').exportOnnxFile;
};
const main = join(import.meta.dirname, '../../dist/cli/main.js');

type Name = keyof typeof recipes;
let folder: string;
const models = {} as Record<Name, string>;

beforeAll(async () => {
  folder = await temporaryFolder();
  for (const name of Object.keys(recipes) as Name[]) models[name] = await writeRecipe(folder, name);
});

interface Outcome {
  code: number | null;
  stdout: string;
  stderr: string;
}

function run(command: string, args: string[], env: Record<string, string> = {}): Promise<Outcome> {
  return new Promise((resolve) => {
    const child = spawn(command, args, { cwd: folder, env: { ...process.env, ...env } });
    const outcome: Outcome = { code: null, stdout: '', stderr: '' };
    child.stdout.on('data', (chunk) => (outcome.stdout += chunk));
    child.stderr.on('data', (chunk) => (outcome.stderr += chunk));
    child.on('close', (code) => resolve({ ...outcome, code }));
  });
}

function expectEqual({ verification }: ExportResult, pictures: number, bound: number): void {
  const { score, map, heatmap } = verification!;
  for (const distance of [score, map, heatmap]) expect(distance).toBeLessThan(bound);
  expect(verification).toMatchObject({ pictures, bound, passed: true });
}

describe('an exported file in ONNX Runtime', () => {
  it.each([
    'cnn28 grey, LCN',
    'cnn32-lw3k, mean and deviation',
    'cnn224, area to 248, nearest to 224',
  ] as const)('equals ours at the stored size: %s', async (name) => {
    const exported = await exportOnnxFile(models[name], join(folder, 'fixed.onnx'));
    expectEqual(exported, 3, tolerances.onnxFloat32);
    expect(exported.verification!.sameVerdicts).toBe(recipes[name].threshold === null ? null : 3);
  });

  it.each([
    ['cnn28 grey, LCN', { keepBn: true, opset: 18 }],
    ['cnn224, area to 248, nearest to 224', { keepBn: true, opset: 21 }],
    ['cnn224, short side 248, centre crop', {}],
    ['vgg11-nopt, nearest to 240 and to 224, LCN', {}],
  ] as const)('equals ours in batches and at any size: %s %j', async (name, options) => {
    const exported = await exportOnnxFile(models[name], join(folder, 'any.onnx'), {
      ...options,
      dynamic: true,
    });
    expectEqual(exported, 5, tolerances.onnxFloat32);
    expect(exported.verification!.sameVerdicts).toBe(5);
  });

  it('equals ours within the bound of float16', async () => {
    const half = await exportOnnxFile(
      models['cnn224, short side 248, centre crop'],
      join(folder, 'half.onnx'),
      {
        fp16: true,
      },
    );
    expectEqual(half, 3, tolerances.onnxFloat16);
    // Not the float32 network by another name: halves of it would be nearer.
    expect(half.verification!.map).toBeGreaterThan(tolerances.onnxFloat32);
  });

  it('equals ours where the pipeline resizes, pads and crops', async () => {
    const { metadata, tensors } = await readModel(models['cnn28 grey, LCN']);
    const pipeline = { ...metadata.pipeline, resize: { height: 25, width: 24 }, pad: 3 };
    const path = join(folder, 'padded.safetensors');
    await writeModel(path, { metadata: { ...metadata, pipeline }, tensors });
    for (const dynamic of [false, true]) {
      const exported = await exportOnnxFile(path, join(folder, 'padded.onnx'), { dynamic });
      expectEqual(exported, dynamic ? 5 : 3, tolerances.onnxFloat32);
    }
  });

  it('is refused, and not there, when it computes something else', async () => {
    const model = models['cnn28 grey, LCN'];
    const { metadata, tensors } = await readModel(model);
    const { verifyExport } = (await import('../../dist/onnx/export-verify.js' as string)) as {
      verifyExport: typeof import('../../src/onnx/export-verify.js').verifyExport;
    };
    const wrong = { ...metadata, sigma: metadata.sigma * 1.01 };
    const { file, description } = exportOnnx({ metadata: wrong, tensors });
    const path = join(folder, 'wrong.onnx');
    await writeFile(path, Buffer.concat(file));
    const result = await verifyExport(model, path, description, false);
    expect(result.passed).toBe(false);
    expect(result.score).toBeLessThan(tolerances.onnxFloat32);
    expect(result.heatmap).toBeGreaterThan(tolerances.onnxFloat32);

    await writeFile(path, Buffer.concat(file).subarray(0, 3000));
    await expect(verifyExport(model, path, description, false)).rejects.toMatchObject({
      code: 'FCDD_BAD_MODEL',
      message: expect.stringContaining('ONNX Runtime refuses'),
    });
  });
});

describe('fcdd-native export', () => {
  it('writes the file, says what goes in, and prints one JSON object', async () => {
    const model = models['cnn28 grey, LCN'];
    const out = join(folder, 'cli.onnx');
    const { code, stdout, stderr } = await run('node', [main, 'export', model, '--out', out, '--json']);
    expect(stderr).toMatch(/uint8, RGB.*28×28 \(bilinear\) before/);
    expect(stderr).toMatch(/agrees on 3 pictures/);
    expect(code).toBe(0);
    const result = JSON.parse(stdout.trim().split('\n').at(-1)!);
    expect(result).toMatchObject({ out, opset: 13, height: 28, verification: { passed: true } });
    expect((await readFile(out)).length).toBe(result.bytes);
  });

  it.each([
    [['--opset', '7'], /opset: expected 13…21, received 7/, 2],
    [['--format', 'tflite'], /format/, 2],
    [['--out', 'no/such/folder/x.onnx'], /cannot write .*the folder does not exist/, 1],
  ])('says what is wrong with %j', async (options, message, exit) => {
    const { code, stderr } = await run('node', [main, 'export', models['cnn28 grey, LCN'], ...options]);
    expect(stderr).toMatch(message);
    expect(code).toBe(exit);
    expect((await readdir(folder)).filter((name) => name.includes('unchecked'))).toEqual([]);
  });

  it('says how to get ONNX Runtime where it is missing', async () => {
    // Resolution of the package is cut off by a loader, as if it had never been installed.
    const loader = join(folder, 'loader.mjs');
    await writeFile(
      loader,
      `export function resolve(name, context, next) {
        if (name !== 'onnxruntime-node') return next(name, context);
        throw Object.assign(new Error("Cannot find package 'onnxruntime-node'"), { code: 'ERR_MODULE_NOT_FOUND' });
      }`,
    );
    const register = join(folder, 'register.mjs');
    await writeFile(register, `import { register } from 'node:module'; register('file://${loader}');`);
    const args = [main, 'export', models['cnn28 grey, LCN'], '--out', join(folder, 'missing.onnx')];
    const { code, stderr } = await run('node', args, { NODE_OPTIONS: `--import=${register}` });
    expect(stderr).toMatch(
      /onnxruntime-node.* is not installed\n.*npm install onnxruntime-node.*--no-verify/,
    );
    expect(code).toBe(1);
    expect(await readdir(folder)).not.toContain('missing.onnx');
  });
});

describe('the example of docs/export.md', () => {
  it('gives the score of the detector', async () => {
    const model = models['cnn224, area to 248, nearest to 224'];
    const file = join(folder, 'part.onnx');
    await exportOnnxFile(model, file, { dynamic: true, verify: false });
    const picture = join(folder, 'part.png');
    const data = Uint8Array.from({ length: 300 * 410 * 3 }, (_, i) => (i * i) >>> 7);
    await writeFile(
      picture,
      await sharp(data, { raw: { width: 410, height: 300, channels: 3 } })
        .png()
        .toBuffer(),
    );
    using detector = await Detector.load(model);
    const { score, anomalous } = await detector.predict(picture);

    const page = await readFile(join(import.meta.dirname, '../../docs/export.md'), 'utf8');
    const code = /```js\n([\s\S]*?)```/.exec(page)![1]!;
    expect(code.split('\n').length).toBeLessThanOrEqual(24);
    // Beside the packages that it imports.
    const script = join(import.meta.dirname, '../../dist/export-example.mjs');
    await writeFile(script, code);
    const { stdout, stderr } = await run('node', [script, file, picture, String(detector.threshold)]);
    await rm(script);
    expect(stderr).toBe('');
    const [, theirs, verdict] = /score ([\d.]+): (\w+), hottest at row \d+, column \d+ of 224×224/.exec(
      stdout,
    )!;
    expect(Math.abs(Number(theirs) - score)).toBeLessThanOrEqual(0.5e-5 + tolerances.onnxFloat32 * score);
    expect(verdict).toBe(anomalous ? 'anomalous' : 'normal');
  });
});

/** Null, with the reason printed, where no Python has onnx. */
function pythonWithOnnx(): string | null {
  for (const modules of [
    ['onnx', 'onnxruntime'],
    ['onnx', 'onnx.reference'],
    ['onnx', 'torch'],
  ]) {
    try {
      return findPython(modules) as string;
    } catch {}
  }
  return null;
}

describe('an exported file in Python', () => {
  const python = pythonWithOnnx();
  const missing =
    'skipped: no Python with onnx and one of onnxruntime, onnx.reference, torch (apt: python3-onnx)';
  it.skipIf(python === null).each([
    // Opset 15: onnx.reference takes the batch normalisation of opset 13 for one in training.
    ['cnn28 grey, LCN', { dynamic: true, keepBn: true, opset: 15 }],
    ['cnn224, area to 248, nearest to 224', { dynamic: true, opset: 17 }],
  ] as const)(`equals ours: %s %j${python === null ? ` (${missing})` : ''}`, async (name, options) => {
    const model = models[name];
    const file = join(folder, 'python.onnx');
    const { description } = await exportOnnxFile(model, file, { ...options, verify: false });
    using device = openDevice('cpu');
    using loaded = await loadModel(model, device);
    const { metadata, network } = loaded;
    const [height, width] = [description.height ?? 97, description.width ?? 311];
    const data = Uint8Array.from(
      { length: height * width * 3 },
      (_, i) => Math.imul(i + 7, 2654435761) >>> 24,
    );
    const fitted = fitPixels(
      { height, width, channels: 3, data },
      { channels: metadata.input.channels, stored: metadata.stored },
    );
    const images = [{ pixels: 0, mask: null, height: fitted.height, width: fitted.width, label: 0 as const }];
    using store = device.createImageStore({
      channels: metadata.input.channels,
      bytes: fitted.pixels,
      images,
    });
    const ours = await network.inferImages(
      store,
      metadata.pipeline,
      { first: 0, count: 1 },
      { sigma: metadata.sigma, low: true, maps: true },
    );
    const base64 = (values: ArrayLike<number>): string =>
      Buffer.from(Float32Array.from(values).buffer).toString('base64');
    const job = join(folder, 'job.json');
    const content = { score: base64(ours.scores), map: base64(ours.low!), heatmap: base64(ours.maps!) };
    await writeFile(
      job,
      JSON.stringify({
        shape: [1, height, width, 3],
        image: Buffer.from(data).toString('base64'),
        ...content,
      }),
    );
    const script = join(import.meta.dirname, '../../scripts/compare/onnx-reference.py');
    const { code, stdout, stderr } = await run(python!, [script, file, job]);
    expect(stderr).toBe('');
    expect(code).toBe(0);
    const { score, map, heatmap, threshold, nodes } = JSON.parse(stdout);
    expect(nodes.BatchNormalization ?? 0).toBe('keepBn' in options ? 1 : 0);
    for (const distance of [score, map, heatmap]) expect(distance).toBeLessThan(tolerances.onnxFloat32);
    expect(threshold).toBe(metadata.calibration ? String(metadata.calibration.threshold) : '');
  });
});

describe('toFloat16', () => {
  it('rounds to the nearest half, ties to even', () => {
    const cases: [number, number][] = [
      [0, 0],
      [-0, 0x8000],
      [1, 0x3c00],
      [-2, 0xc000],
      [65504, 0x7bff],
      [65519, 0x7bff],
      [65520, 0x7c00],
      [2 ** -24, 1],
      [2 ** -25, 0],
      [1.5 * 2 ** -24, 2],
      [2 ** -14, 0x0400],
      [2 ** -14 - 2 ** -24, 0x03ff],
      [1 + 2 ** -11, 0x3c00],
      [1 + 3 * 2 ** -11, 0x3c02],
      [2 - 2 ** -12, 0x4000],
      [1 / 3, 0x3555],
      [Number.NaN, 0x7e00],
    ];
    for (const [value, bits] of cases) expect(toFloat16(value), String(value)).toBe(bits);
  });
});
