import type { Device } from '../engine/types.js';
import type { Accuracy } from './figures.js';
import type { PreparedRun } from './prepare.js';

const chunk = 64;

/** The share of test images whose largest output is their class, in all and per class; null without test images. */
export async function accuracyOf(
  run: PreparedRun,
  device: Device,
  onProgress: (done: number, total: number) => void,
): Promise<Accuracy | null> {
  const { dataset, classes, network, pipelines } = run;
  if (!dataset.test || !classes) return null;
  const { images } = dataset.test;
  using store = device.createImageStore(images);
  const hits = classes.map(() => ({ right: 0, n: 0 }));
  for (let first = 0; first < store.count; first += chunk) {
    const count = Math.min(chunk, store.count - first);
    const options = { method: 'classify', outputs: true } as const;
    const { outputs } = await network.inferImages(store, pipelines.test, { first, count }, options);
    for (let i = 0; i < count; i++) {
      const { label } = images.images[first + i]!;
      hits[label]!.n++;
      if (largest(outputs!.subarray(i * classes.length, (i + 1) * classes.length)) === label)
        hits[label]!.right++;
    }
    onProgress(first + count, store.count);
  }
  const right = hits.reduce((sum, hit) => sum + hit.right, 0);
  const perClass: Accuracy['perClass'] = {};
  classes.forEach((name, label) => {
    const { n, right: found } = hits[label]!;
    if (n > 0) perClass[name] = { accuracy: found / n, n };
  });
  return { all: right / store.count, n: store.count, perClass };
}

/** Index of the largest value, the first of equal ones. */
function largest(values: Float32Array): number {
  return values.reduce((best, value, i) => (value > values[best]! ? i : best), 0);
}
