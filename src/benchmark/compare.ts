import { cpus } from 'node:os';
import { openDevice, ops } from '../engine/index.js';
import type { Device, DeviceName, DeviceOptions } from '../engine/types.js';
import { FcddError } from '../errors.js';
import { architecture } from '../models/index.js';
import { multiplyAdds } from '../models/operations.js';
import { versions } from '../training/versions.js';
import { commitOfSources } from './commit.js';
import { benchOps } from './ops.js';
import { inferenceError, median, type Timed, timeInference, timeTraining } from './ours.js';
import { openPeer, type Peer } from './peers.js';
import { measureScaling } from './scaling.js';
import type { BenchOptions, BenchResult, BenchRow, PeerName, ScalingRow, Suite } from './types.js';

/** The published settings' batches; inference alone (latency) and eight at a time. */
const defaults: Record<'inference' | 'train', { models: string[]; batches: (model: string) => number[] }> = {
  inference: { models: ['vgg11', 'cnn224-w', 'cnn32-lw3k'], batches: () => [1, 8] },
  train: {
    models: ['vgg11-f', 'cnn28-w', 'cnn32-lw3k'],
    batches: (model) =>
      (({ 'cnn28-w': [128], 'cnn32-lw3k': [20, 200] }) as Record<string, number[]>)[model] ?? [16],
  },
};

/**
 * Times our engine and, in the same run and turn by turn, the peers on the same shapes and number of threads.
 * @throws FcddError FCDD_NOT_FOUND when a peer is missing: never an empty column
 * @throws FcddError FCDD_USAGE for a peer beside another device than the cpu
 */
export async function bench(options: BenchOptions): Promise<BenchResult> {
  const name = options.device ?? 'cpu';
  const deviceOptions: DeviceOptions = {
    ...(options.threads === undefined ? {} : { threads: options.threads }),
    ...(options.precision === undefined ? {} : { precision: options.precision }),
    ...(options.isa === undefined ? {} : { isa: options.isa }),
  };
  using device = openDevice(name, deviceOptions);
  const { info } = device;
  if (options.peers.length > 0 && info.name !== 'cpu') {
    throw new FcddError('FCDD_USAGE', `peers are timed beside the cpu only, not beside ${info.name}`, {
      hint: 'scripts/gpu-verify times PyTorch on a GPU',
    });
  }
  const peers = await Promise.all(options.peers.map((peer) => openPeer(peer, options.isa)));
  const roofs = info.name === 'cpu' ? await bestPeaks(device, options.seconds) : null;
  const results: BenchRow[] = [];
  const keep = (rows: BenchRow[]): void => {
    results.push(...rows);
    for (const row of rows) options.onRow?.(row);
  };
  let scaling: ScalingRow[] | undefined;
  for (const suite of options.suites) {
    if (suite === 'scaling') {
      scaling = await measureScaling(name, deviceOptions, info, options);
      continue;
    }
    if (suite === 'ops') {
      keep(await benchOps(device, roofs, options));
      continue;
    }
    for (const model of options.models ?? defaults[suite].models) {
      const error = suite === 'inference' ? await inferenceError(model, name, deviceOptions) : null;
      for (const batch of options.batches ?? defaults[suite].batches(model))
        keep(
          await race(
            { suite, model, batch, error, roofs },
            name,
            deviceOptions,
            info.threads,
            peers,
            options,
          ),
        );
    }
  }
  return {
    machine: { cpu: cpus()[0]?.model.trim() ?? 'unknown', cpus: cpus().length },
    date: new Date().toISOString().slice(0, 10),
    device: info,
    isa: info.isa,
    threads: info.threads,
    versions: versions(info),
    commit: commitOfSources(),
    peers: Object.fromEntries(peers.map((peer) => [peer.name, peer.facts])),
    peaks: roofs,
    results,
    ...(scaling ? { scaling } : {}),
  };
}

/** A neighbour on the machine can only lower a peak: the best of several tries is nearest to it. One where time is short. */
async function bestPeaks(device: Device, seconds: number): Promise<NonNullable<BenchResult['peaks']>> {
  const best = { gflops: 0, gigabytes: 0 };
  const tries = seconds < 0.1 ? 1 : 5;
  for (let attempt = 0; attempt < tries; attempt++) {
    const { gflops, gigabytes } = await ops.peaks(device);
    best.gflops = Math.max(best.gflops, gflops);
    best.gigabytes = Math.max(best.gigabytes, gigabytes);
  }
  return best;
}

interface Course {
  suite: 'inference' | 'train';
  model: string;
  batch: number;
  error: number | null;
  roofs: BenchResult['peaks'];
}

/** Ours and the peers on one course, in turns; a row per peer that can run it, or one without a peer. */
async function race(
  { suite, model, batch, error, roofs }: Course,
  name: DeviceName,
  deviceOptions: DeviceOptions,
  threads: number,
  peers: readonly Peer[],
  { rounds, seconds, onNote }: BenchOptions,
): Promise<BenchRow[]> {
  const open = suite === 'train' ? timeTraining : timeInference;
  const runners = new Map<PeerName | 'ours', Timed>([
    ['ours', await open(model, batch, name, deviceOptions)],
  ]);
  try {
    for (const peer of peers) {
      const runner = await peer.open(suite as Suite, model, batch, threads);
      if (runner) runners.set(peer.name, runner);
    }
    const medians = new Map<string, number[]>([...runners.keys()].map((key) => [key, []]));
    for (let round = 0; round < rounds; round++) {
      onNote?.(`${suite} ${model}, batch ${batch}: round ${round + 1} of ${rounds}`);
      for (const [key, runner] of runners) medians.get(key)!.push(median(await runner.measure(seconds)));
    }
    const ours = medians.get('ours')!;
    const ms = median(ours);
    const { layers, input } = architecture(model);
    const gflops = (2 * batch * multiplyAdds(layers({ bias: true }), input, suite)) / ms / 1e6;
    const row = {
      ...{ suite, model, batch, ms, error },
      ...(roofs ? { gflops, fmaShare: gflops / roofs.gflops } : {}),
      spread: [Math.min(...ours), Math.max(...ours)] as [number, number],
      imagesPerSecond: (1000 * batch) / ms,
    };
    const rivals = [...runners.keys()].filter((key): key is PeerName => key !== 'ours');
    if (rivals.length === 0) return [{ ...row, peer: null, peerMs: null, ratio: null }];
    return rivals.map((peer) => {
      const peerMs = median(medians.get(peer)!);
      return { ...row, peer, peerMs, ratio: peerMs / ms };
    });
  } finally {
    for (const runner of runners.values()) runner[Symbol.dispose]();
  }
}
