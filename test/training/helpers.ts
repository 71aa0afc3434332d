import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from 'vitest';
import type { TrainOptions } from '../../src/training/config.js';

/** A folder that goes away with the test file. */
export async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'fcdd-test-'));
  afterAll(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** A run of seconds: the demo on its smallest net. */
export const tiny: TrainOptions = {
  dataset: 'demo',
  model: 'cnn28',
  epochs: 3,
  batchSize: 32,
  seed: 5,
  threads: 2,
};
