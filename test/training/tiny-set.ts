/** A data set that trains in a blink: 28×28 pictures of two classes of shading, and other ones to test on. */
import { join } from 'node:path';
import type { TrainOptions } from '../../src/training/config.js';
import { idxLabels, write } from '../data/fixtures.js';

const side = 28;

function shadings(count: number, seed: number): Buffer {
  const header = Buffer.alloc(16);
  header.set([0, 0, 8, 3]);
  for (const [i, size] of [count, side, side].entries()) header.writeUInt32BE(size, 4 + 4 * i);
  const pixels = Buffer.alloc(count * side * side);
  for (let i = 0; i < pixels.length; i++) {
    const [n, y, x] = [Math.floor(i / side / side), Math.floor(i / side) % side, i % side];
    const grain = ((i + seed) * 2654435761) >>> 28;
    // Odd pictures, class 1, have a bright spot.
    const spot = n % 2 === 1 && Math.hypot(y - 14, x - 10 - (n % 7)) < 5 ? 70 : 0;
    pixels[i] = 60 + 3 * y + (n % 5) * 6 + grain + spot;
  }
  return Buffer.concat([header, pixels]);
}

/** Writes the set into `folder` and returns the options of a run on it. */
export function tinySet(folder: string): TrainOptions {
  const labels = (count: number) => idxLabels(Array.from({ length: count }, (_, i) => i % 2));
  write(join(folder, 'train-images-idx3-ubyte'), shadings(160, 1));
  write(join(folder, 'train-labels-idx1-ubyte'), labels(160));
  write(join(folder, 't10k-images-idx3-ubyte'), shadings(40, 2));
  write(join(folder, 't10k-labels-idx1-ubyte'), labels(40));
  return {
    dataset: 'fashion-mnist',
    data: folder,
    class: '0',
    model: 'cnn28',
    supervise: 'malformed-normal-gt',
    noise: 'confetti',
    batchSize: 16,
    seed: 5,
    device: 'cpu',
    threads: 2,
  };
}
