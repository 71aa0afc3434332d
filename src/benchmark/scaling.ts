import { openDevice, ops } from '../engine/index.js';
import type { DeviceInfo, DeviceName, DeviceOptions } from '../engine/types.js';
import { FcddError } from '../errors.js';
import { median, type Timed, timeInference, timeTraining } from './ours.js';
import type { BenchOptions, ScalingRow } from './types.js';

const leastPairs = 9;
/** More copies of a training would need tens of gigabytes. */
const mostCopies = 4;

const courses: readonly Pick<ScalingRow, 'suite' | 'model' | 'batch'>[] = [
  { suite: 'inference', model: 'vgg11', batch: 8 },
  { suite: 'train', model: 'vgg11-f', batch: 16 },
  { suite: 'train', model: 'cnn28-w', batch: 128 },
  { suite: 'train', model: 'cnn32-lw3k', batch: 20 },
];

/**
 * What all threads gain over one: turns with one and with all alternate, and so do those of two probes, which tell what
 * the machine (its clock, its caches, its neighbours) gave at that moment: independent FMA on registers, and as many
 * single-threaded copies of the same work side by side, which share nothing but the machine's caches and memory.
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
    const time = course.suite === 'train' ? timeTraining : timeInference;
    const open = (threads: number): Promise<Timed> =>
      time(course.model, course.batch, name, { ...options, threads });
    using together = await open(info.threads);
    const copies: Timed[] = [];
    const pairs = Math.max(leastPairs, rounds);
    const [gains, probes, copied]: [number[], number[], number[]] = [[], [], []];
    try {
      while (copies.length < (info.threads <= mostCopies ? info.threads : 1)) copies.push(await open(1));
      for (let pair = 0; pair < pairs; pair++) {
        onNote?.(
          `scaling ${course.suite} ${course.model}, batch ${course.batch}: pair ${pair + 1} of ${pairs}`,
        );
        const probe = (await ops.peaks(one)).gflops;
        const alone = median(await copies[0]!.measure(seconds));
        probes.push((await ops.peaks(all)).gflops / probe);
        gains.push(alone / median(await together.measure(seconds)));
        if (copies.length === 1) continue;
        const beside = await Promise.all(copies.map((copy) => copy.measure(seconds)));
        copied.push(beside.reduce((sum, times) => sum + alone / median(times), 0));
      }
    } finally {
      for (const copy of copies) copy[Symbol.dispose]();
    }
    const [gain, probeGain] = [median(gains), median(probes)];
    const copiesGain = copied.length === 0 ? null : median(copied);
    rows.push({ ...course, pairs, gain, probeGain, share: gain / probeGain, copiesGain });
  }
  return rows;
}
