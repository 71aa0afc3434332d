import { join } from 'node:path';
import sharp from 'sharp';
import { beforeAll, describe, expect, it } from 'vitest';
import { Detector, type Prediction, type RawPixels } from '../src/detector.js';
import { DetectorQueue, type QueuedImage } from '../src/detector-queue.js';
import type { Device, Network, Pipeline, StoredImages } from '../src/engine/types.js';
import { writeRecipe } from './onnx/models.js';
import { temporaryFolder } from './training/helpers.js';

let folder: string;
let model: string;

beforeAll(async () => {
  folder = await temporaryFolder();
  model = await writeRecipe(folder, 'cnn32-lw3k, mean and deviation');
});

const picture = (seed: number): RawPixels => ({
  data: new Uint8Array(40 * 36 * 3).map((_, index) => (index * seed * 7919) % 253),
  width: 40,
  height: 36,
  channels: 3,
});

describe('a detector with many requests at once', () => {
  it('gives each the bits that it has alone', async () => {
    using detector = await Detector.load(model, { device: 'cpu' });
    const pictures = Array.from({ length: 21 }, (_, index) => picture(index + 1));
    const alone: Prediction[] = [];
    for (const each of pictures) alone.push(await detector.predict(each));
    const together = await Promise.all(pictures.map((each) => detector.predict(each)));
    expect(together.map(({ score }) => score)).toEqual(alone.map(({ score }) => score));
    expect(together.map(({ map }) => map.data)).toEqual(alone.map(({ map }) => map.data));
    expect(new Set(alone.map(({ score }) => score)).size).toBe(pictures.length);
  });

  it('fails those alone that cannot be read or were aborted', async () => {
    using detector = await Detector.load(model, { device: 'cpu' });
    const cut = (
      await sharp(picture(3).data, { raw: { width: 40, height: 36, channels: 3 } })
        .png()
        .toBuffer()
    ).subarray(0, 60);
    const controller = new AbortController();
    const calls = [
      detector.predict(picture(1)),
      detector.predict(cut),
      detector.predict(join(folder, 'none.png')),
      detector.predict(picture(2), { signal: controller.signal }),
      detector.predict(picture(4)),
    ];
    controller.abort();
    const settled = await Promise.allSettled(calls);
    expect(settled.map(({ status }) => status)).toEqual([
      'fulfilled',
      'rejected',
      'rejected',
      'rejected',
      'fulfilled',
    ]);
    expect(settled.map((each) => (each.status === 'rejected' ? each.reason.code : null))).toEqual([
      null,
      'FCDD_BAD_IMAGE',
      'FCDD_NOT_FOUND',
      'FCDD_ABORTED',
      null,
    ]);
  });
});

/** A device that scores a picture with its first byte, fails at 255, and tells how many it was given at a time. */
function fake() {
  const counts: number[] = [];
  const device = {
    createImageStore: (images: StoredImages) => ({ images, [Symbol.dispose]() {} }),
  } as unknown as Device;
  const network = {
    async inferImages(store: { images: StoredImages }) {
      const firsts = store.images.images.map(({ pixels }) => store.images.bytes[pixels]!);
      counts.push(firsts.length);
      await new Promise((resolve) => setTimeout(resolve, 5));
      if (firsts.includes(255)) throw new Error('cannot be scored');
      return { scores: Float64Array.from(firsts), maps: Float32Array.from(firsts) };
    },
  } as unknown as Network;
  return { queue: new DetectorQueue(device, network, { channels: 1 } as Pipeline, {}), counts };
}

const byte = (value: number): QueuedImage => ({ pixels: Uint8Array.of(value), height: 1, width: 1 });

describe('the queue of a detector', () => {
  it('runs the first at once and those that wait together, at most eight', async () => {
    const { queue, counts } = fake();
    const scored = await Promise.all(Array.from({ length: 12 }, (_, index) => queue.infer(byte(index))));
    expect(scored.map(({ score }) => score)).toEqual(Array.from({ length: 12 }, (_, index) => index));
    expect(scored.map(({ map }) => [...map])).toEqual(Array.from({ length: 12 }, (_, index) => [index]));
    expect(counts).toEqual([1, 8, 3]);
  });

  it('fails only the picture that cannot be scored', async () => {
    const { queue, counts } = fake();
    const calls = [1, 2, 255, 4].map((value) => queue.infer(byte(value)));
    const settled = await Promise.allSettled(calls);
    expect(
      settled.map((each) => (each.status === 'fulfilled' ? each.value.score : each.reason.message)),
    ).toEqual([1, 2, 'cannot be scored', 4]);
    expect(counts).toEqual([1, 3, 1, 1, 1]);
    expect((await queue.infer(byte(9))).score).toBe(9);
  });

  it('rejects what was aborted while it waited or ran with others', async () => {
    const { queue, counts } = fake();
    const [waits, runs] = [new AbortController(), new AbortController()];
    const calls = [
      queue.infer(byte(1)),
      queue.infer(byte(2), waits.signal),
      queue.infer(byte(3), runs.signal),
      queue.infer(byte(4)),
    ];
    waits.abort();
    setTimeout(() => runs.abort(), 7);
    const settled = await Promise.allSettled(calls);
    expect(settled.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'rejected', 'fulfilled']);
    expect(counts).toEqual([1, 2]);
  });
});
