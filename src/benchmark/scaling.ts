import { openDevice, ops } from '../engine/index.js';
import type { DeviceInfo, DeviceName, DeviceOptions } from '../engine/types.js';
import { FcddError } from '../errors.js';
import { median, timeInference, timeTraining } from './ours.js';
import type { BenchOptions, ScalingRow } from './types.js';

const leastPairs = 9;

const courses: readonly Pick<ScalingRow, 'suite' | 'model' | 'batch'>[] = [
  { suite: 'inference', model: 'vgg11', batch: 8 },
  { suite: 'train', model: 'vgg11-f', batch: 16 },
  { suite: 'train', model: 'cnn28-w', batch: 128 },
  { suite: 'train', model: 'cnn32-lw3k', batch: 20 },
];

/**
 * What all threads gain over one: turns with one and with all alternate, and so do those of the FMA probe, which tells
 * what the machine (its clock, its neighbours) gave at that moment.
 * @throws FcddError FCDD_USAGE with one thread, or on another device than the cpu
 */
export async function measureScaling(
  name: DeviceName,
  options: DeviceOptions,
  info: DeviceInfo,
  { models, seconds, rounds, onNote }: BenchOptions,
): Promise<ScalingRow[]> {
  if (info.name !== 'cpu' || info.threads < 2)
    throw new FcddError('FCDD_USAGE', 'the suite scaling needs the cpu and at least two threads');
  using one = openDevice(name, { ...options, threads: 1 });
  using all = openDevice(name, options);
  const rows: ScalingRow[] = [];
  for (const course of courses.filter(({ model }) => models?.includes(model) ?? true)) {
    const open = course.suite === 'train' ? timeTraining : timeInference;
    using single = await open(course.model, course.batch, name, { ...options, threads: 1 });
    using together = await open(course.model, course.batch, name, options);
    const pairs = Math.max(leastPairs, rounds);
    const gains: number[] = [];
    const probes: number[] = [];
    for (let pair = 0; pair < pairs; pair++) {
      onNote?.(
        `scaling ${course.suite} ${course.model}, batch ${course.batch}: pair ${pair + 1} of ${pairs}`,
      );
      const probe = (await ops.peaks(one)).gflops;
      const alone = median(await single.measure(seconds));
      probes.push((await ops.peaks(all)).gflops / probe);
      gains.push(alone / median(await together.measure(seconds)));
    }
    const [gain, probeGain] = [median(gains), median(probes)];
    rows.push({ ...course, pairs, gain, probeGain, share: gain / probeGain });
  }
  return rows;
}
