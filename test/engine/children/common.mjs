// What the child processes and worker threads of lifecycle.test.ts share; they run the compiled package.
export { openDevice, ops } from '../../../dist/engine/index.js';

const side = 16;
const layers = [
  { kind: 'conv', name: 'conv1', filters: 16, kernel: 5, padding: 2 },
  { kind: 'batchnorm', name: 'norm1' },
  { kind: 'lrelu' },
  { kind: 'maxpool', kernel: 2 },
  { kind: 'conv', name: 'head', filters: 1, kernel: 1 },
];

/** A trainer on 64 pictures; `repeat` makes an epoch long. */
export async function setUp(device, repeat = 1) {
  const network = device.createNetwork(layers, { channels: 1, height: side, width: side });
  await network.initialise(1);
  const area = side * side;
  const images = device.createImageStore({
    channels: 1,
    bytes: Uint8Array.from({ length: 64 * area }, (_, i) => (i * 37) % 251),
    images: Array.from({ length: 64 }, (_, i) => ({
      pixels: i * area,
      mask: null,
      height: side,
      width: side,
      label: 0,
    })),
  });
  const trainer = network.createTrainer({
    batch: 16,
    objective: { pixelwise: false },
    optimiser: { kind: 'sgd' },
    seed: 3,
    images,
    pipeline: { height: side, width: side, channels: 1, flip: true, offset: [0.5], scale: [0.25] },
    supervision: { mode: 'malformed-normal', source: 'confetti' },
    repeat,
  });
  return { network, images, trainer };
}

/** Hours of training in one call. */
export const longRun = { epoch: 0, first: 0, steps: 40_000, lr: 0.001 };
export const LONG = 10_000;
