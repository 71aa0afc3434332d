import { spawn } from 'node:child_process';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import sharp from 'sharp';
import { beforeAll, describe, expect, it } from 'vitest';
import { Detector } from '../../src/detector.js';
import { temporaryFolder } from '../training/helpers.js';

const main = join(import.meta.dirname, '../../dist/cli/main.js');

interface Outcome {
  code: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
}

interface RunOptions {
  cwd?: string;
  /** Called with everything on standard error so far. */
  onStderr?: (text: string, kill: (signal: NodeJS.Signals) => void) => void;
}

function cli(args: string[], { cwd = folder, onStderr }: RunOptions = {}): Promise<Outcome> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [main, ...args], { cwd });
    const outcome: Outcome = { code: null, signal: null, stdout: '', stderr: '' };
    child.stdout.on('data', (chunk) => (outcome.stdout += chunk));
    child.stderr.on('data', (chunk) => {
      outcome.stderr += chunk;
      onStderr?.(outcome.stderr, (signal) => child.kill(signal));
    });
    child.on('close', (code, signal) => resolve({ ...outcome, code, signal }));
  });
}

let folder: string;
const quick = ['train', '--model', 'cnn28', '--batch-size', '32', '--seed', '5'];
const modelOf = (run: string): string => join(folder, run, 'model.safetensors');

beforeAll(async () => {
  folder = await temporaryFolder();
  const { code, stderr } = await cli([...quick, '--epochs', '3', '--out', 'whole']);
  expect(stderr).toMatch(/image ROC-AUC/);
  expect(code).toBe(0);
}, 120_000);

describe('help and errors', () => {
  it.each([
    [[]],
    [['train']],
    [['evaluate']],
    [['predict']],
    [['models']],
    [['bench']],
    [['doctor']],
    [['export']],
    [['import-snapshot']],
  ])('teaches: %j --help', async (command) => {
    const { code, stdout } = await cli([...command, '--help']);
    expect(code).toBe(0);
    expect(stdout).toMatch(command.length > 0 ? /Examples:/ : /Commands:/);
  });

  it.each([
    [['trian'], /Did you mean train/],
    [['train', '--epoch', '3'], /epoch/],
    [['train', '--dataset', 'imagnet'], /imagnet/],
    [['train', '--model', 'vgg11'], /ImageNet weights/],
    [['train', '--epochs', 'many'], /epochs/],
    [['train', '--evaluate-at', 'x'], /evaluate-at/],
  ])('says what is wrong with %j, exit 2', async (args, message) => {
    const { code, stderr } = await cli(args as string[]);
    expect(stderr).toMatch(message);
    expect(stderr).not.toMatch(/ at .*\.js:\d+/);
    expect(code).toBe(2);
  });

  it('names a missing data set, exit 1', async () => {
    const { code, stderr } = await cli(['train', '--dataset', 'folder', '--data', 'nowhere']);
    expect(code).toBe(1);
    expect(stderr).toMatch(/nowhere/);
  });
});

describe('train', () => {
  it('prints one JSON object last with --json, and nothing else on standard output', async () => {
    const { stdout } = await cli([...quick, '--epochs', '1', '--out', 'json', '--json']);
    const result = JSON.parse(stdout) as Record<string, unknown>;
    const metrics = JSON.parse(await readFile(join(folder, 'json/metrics.json'), 'utf8')) as Record<
      string,
      unknown
    >;
    expect(result).toMatchObject(metrics);
    expect(result).toMatchObject({ out: 'json', epochs: 1 });
    expect(result.seconds).toBeGreaterThan(0);
    expect(result.imagesPerSecond).toBeGreaterThan(0);
  });

  it.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)(
    'stops after the step on %s, saves, says how to resume, and resumes to the same bits',
    async (signal, exit) => {
      const out = `stopped-${signal}`;
      let sent = false;
      const stopped = await cli([...quick, '--epochs', '3', '--out', out], {
        onStderr: (text, kill) => {
          if (sent || !/epoch \d/.test(text)) return;
          sent = true;
          kill(signal);
        },
      });
      expect(stopped.code).toBe(exit);
      expect(stopped.stderr).toMatch(/--resume --out/);
      const resumed = await cli(['train', '--resume', '--out', out]);
      expect(resumed.code).toBe(0);
      expect(await readFile(modelOf(out))).toEqual(await readFile(modelOf('whole')));
    },
    60_000,
  );

  it('survives SIGKILL at any moment', async () => {
    for (const [index, delay] of [300, 1200].entries()) {
      const out = `killed-${index}`;
      await cli([...quick, '--epochs', '3', '--out', out], {
        onStderr: (text, kill) => {
          if (/expected: about/.test(text)) setTimeout(() => kill('SIGKILL'), delay);
        },
      });
      const resumed = await cli(['train', '--resume', '--out', out]);
      expect(resumed.stderr).toMatch(/resuming|from zero/);
      expect(resumed.code).toBe(0);
      expect(await readFile(modelOf(out))).toEqual(await readFile(modelOf('whole')));
    }
  }, 120_000);

  it('learns from one flat folder of good pictures, with figures that need labels null', async () => {
    const photos = join(folder, 'photos');
    await mkdir(photos);
    for (let i = 0; i < 12; i++) {
      const noise = { type: 'gaussian', mean: 100 + i, sigma: 10 } as const;
      const picture = sharp({ create: { width: 90, height: 80, channels: 3, background: 'grey', noise } });
      await picture.png().toFile(join(photos, `good ${i}.png`));
    }
    const { code, stdout, stderr } = await cli([
      'train',
      '--dataset',
      'folder',
      '--data',
      'photos',
      '--model',
      'cnn224',
      '--epochs',
      '1',
      '--batch-size',
      '8',
      '--out',
      'flat',
      '--json',
    ]);
    expect(stderr).toMatch(/synthetic anomalies/);
    expect(code).toBe(0);
    const result = JSON.parse(stdout) as {
      sample: { rocAuc: null; reason: string };
      synthetic: { n: number };
    };
    expect(result.sample.rocAuc).toBeNull();
    expect(result.sample.reason.length).toBeGreaterThan(10);
    expect(result.synthetic.n).toBeGreaterThan(0);
    const predicted = await cli([
      'predict',
      'flat/model.safetensors',
      'photos',
      '--out',
      'flat/maps',
      '--json',
    ]);
    expect(predicted.code).toBe(0);
    const { images } = JSON.parse(predicted.stdout) as { images: { score: number; overlay: string }[] };
    expect(images).toHaveLength(12);
    const meta = await sharp(join(folder, images[0]!.overlay)).metadata();
    expect([meta.width, meta.height]).toEqual([90, 80]);
  }, 120_000);
});

describe('evaluate and predict', () => {
  it('evaluate gives the figures of the run', async () => {
    const { code, stdout } = await cli(['evaluate', modelOf('whole'), '--json']);
    expect(code).toBe(0);
    const metrics = JSON.parse(await readFile(join(folder, 'whole/metrics.json'), 'utf8')) as {
      sample: unknown;
      pixel: unknown;
    };
    expect(JSON.parse(stdout)).toMatchObject({ sample: metrics.sample, pixel: metrics.pixel });
  });

  it('predict goes on after a picture that cannot be read, and exits 1', async () => {
    const png = await sharp({ create: { width: 128, height: 128, channels: 3, background: 'grey' } })
      .png()
      .toBuffer();
    await writeFile(join(folder, 'whole.png'), png);
    await writeFile(join(folder, 'cut.png'), png.subarray(0, png.length / 2));
    await writeFile(join(folder, 'text.png'), 'not a picture');
    const { code, stdout } = await cli([
      'predict',
      modelOf('whole'),
      'cut.png',
      'text.png',
      'whole.png',
      '--json',
    ]);
    expect(code).toBe(1);
    const { images } = JSON.parse(stdout) as { images: { score: number | null; error: string | null }[] };
    expect(images.map(({ score }) => score === null)).toEqual([true, true, false]);
    expect(images[0]!.error).toMatch(/cut\.png/);
  });

  it('refuses a damaged model with a clear error', async () => {
    const bytes = await readFile(modelOf('whole'));
    await writeFile(join(folder, 'cut.safetensors'), bytes.subarray(0, bytes.length - 40));
    const { code, stderr } = await cli(['predict', 'cut.safetensors', 'whole.png']);
    expect(code).toBe(1);
    expect(stderr).toMatch(/truncated/);
  });
});

describe('Detector', () => {
  it('scores path, buffer and raw pixels alike, many at once', async () => {
    using detector = await Detector.load(modelOf('whole'), { threads: 2 });
    const { channels } = detector.metadata.input;
    const raw = new Uint8Array(128 * 128 * channels).map((_, index) => (index * 7919) % 251);
    const file = join(folder, 'raw.png');
    const png = await sharp(raw, { raw: { width: 128, height: 128, channels } })
      .png()
      .toBuffer();
    await writeFile(file, png);
    const [a, b, c] = await Promise.all([
      detector.predict(file),
      detector.predict(png),
      detector.predict({ data: raw, width: 128, height: 128, channels }),
    ]);
    expect(b.score).toBe(a.score);
    expect(c.score).toBe(a.score);
    expect(c.map.data).toEqual(a.map.data);
    expect((await sharp(await a.overlay()).metadata()).width).toBe(128);
  });

  it('refuses raw pixels of the wrong length', async () => {
    using detector = await Detector.load(modelOf('whole'));
    await expect(
      detector.predict({ data: new Uint8Array(5), width: 2, height: 2, channels: 1 }),
    ).rejects.toThrow(/expected 2×2×1 = 4 bytes, received 5/);
  });
});
