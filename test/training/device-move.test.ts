/** Checkpoint files that go from the cpu to the CUDA kernels (emulated by the processor) and back. */
import { existsSync } from 'node:fs';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { native } from '../../src/engine/native.js';
import { train } from '../../src/index.js';
import type { TrainOptions } from '../../src/training/config.js';
import { tolerances } from '../engine/helpers.js';
import { temporaryFolder } from './helpers.js';

const library = native()
  .deviceLibraries()
  .find(({ device }) => device === 'cuda-emulated')!.path;
const built = existsSync(library);
if (!built) console.warn(`skipped: the emulated CUDA library is not built (there is no ${library})`);

const folder = await temporaryFolder();

/** Ten small pictures: stripes of changing phase. */
async function pictures(): Promise<string> {
  const data = join(folder, 'good');
  await mkdir(data);
  for (let i = 0; i < 10; i++) {
    const raw = Uint8Array.from({ length: 28 * 28 }, (_, p) => 120 + 60 * Math.sin((p % 28) / 3 + i));
    await sharp(raw, { raw: { width: 28, height: 28, channels: 1 } })
      .png()
      .toFile(join(data, `${i}.png`));
  }
  return data;
}

describe.skipIf(!built)('a run that changes its device', () => {
  it('goes on from the checkpoint and says that bits will differ', async () => {
    const options = {
      ...{ dataset: 'folder', data: await pictures(), model: 'cnn28', noise: 'confetti', batchSize: 4 },
      ...{ seed: 3, threads: 1, precision: 'float32', optimizer: 'adam', lr: 1e-3 },
    } satisfies TrainOptions;
    const losses = async (devices: ('cpu' | 'cuda-emulated')[]): Promise<[number[], string[]]> => {
      const out = join(folder, devices.join('-'));
      const warnings: string[] = [];
      for (const [index, device] of devices.entries()) {
        const run = { out, resume: index > 0, onWarning: (text: string) => warnings.push(text) };
        await train({ ...options, device, epochs: index + 1 }, run);
      }
      const history = JSON.parse(await readFile(join(out, 'history.json'), 'utf8')) as { loss: number }[];
      return [history.map(({ loss }) => loss), warnings];
    };
    const [expected, none] = await losses(['cpu', 'cpu', 'cpu']);
    const [moved, warnings] = await losses(['cpu', 'cuda-emulated', 'cpu']);
    expect(none.join('\n')).not.toMatch(/bits will differ/);
    expect(warnings.filter((text) => /bits will differ/.test(text))).toHaveLength(2);
    expect(moved).toHaveLength(3);
    for (const [epoch, loss] of moved.entries())
      expect(Math.abs(loss / expected[epoch]! - 1), `epoch ${epoch}`).toBeLessThan(
        tolerances.runLossesFloat32!,
      );
  }, 120_000);
});
