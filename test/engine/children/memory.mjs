// Creates and drops everything 200 times, by dispose() and by garbage collection; prints how the memory grew (MiB).
import { openDevice, setUp } from './common.mjs';

const how = process.argv[2];
const pixels = new Float32Array(64 * 256);

async function cycle() {
  const device = openDevice('cpu', { threads: 1 });
  const { network, images, trainer } = await setUp(device);
  const big = device.createImageStore({
    channels: 1,
    bytes: new Uint8Array(4 << 20).fill(1),
    images: [{ pixels: 0, mask: null, height: 2048, width: 2048, label: 0 }],
  });
  await trainer.run({ epoch: 0, first: 0, steps: 2, lr: 0.01 });
  await network.infer(pixels, { maps: true });
  if (how === 'dispose') for (const object of [trainer, images, big, network, device]) object.dispose();
}

async function settle() {
  for (let i = 0; i < 3; i++) {
    globalThis.gc();
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

for (let i = 0; i < 20; i++) await cycle();
await settle();
const before = process.memoryUsage().rss;
for (let i = 0; i < 200; i++) {
  await cycle();
  if (how === 'collect' && i % 20 === 0) await settle();
}
await settle();
console.log(((process.memoryUsage().rss - before) / 2 ** 20).toFixed(1));
