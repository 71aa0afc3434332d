import { cpus } from 'node:os';
import { openDevice } from '../engine/index.js';
import type { DeviceInfo, DeviceName, DeviceOptions, Precision } from '../engine/types.js';
import { FcddError } from '../errors.js';
import { versions } from '../training/versions.js';
import { measureSpeed, median, type Suite } from './speed.js';

export interface BenchOptions {
  models: string[];
  suites: Suite[];
  batch?: number;
  /** Default: cpu. */
  device?: DeviceName;
  threads?: number;
  precision?: Precision;
  peer?: 'pytorch';
  seconds: number;
  rounds: number;
  onNote?: (text: string) => void;
}

export interface BenchRow {
  suite: Suite;
  model: string;
  batch: number;
  /** Milliseconds of the median call over all rounds, and the spread of the rounds' medians. */
  ms: number;
  spread: [number, number];
  imagesPerSecond: number;
  peer: string | null;
  peerMs: number | null;
  /** peerMs / ms: above 1 we are faster. */
  ratio: number | null;
}

export interface BenchResult {
  machine: { cpu: string; cpus: number };
  device: DeviceInfo;
  isa: string;
  threads: number;
  versions: Record<string, string | number>;
  peer: Record<string, unknown> | null;
  results: BenchRow[];
}

/** Batches of the published settings, small enough for a laptop. */
const defaultBatch: Record<string, number> = { 'cnn28-w': 128, 'cnn32-lw3k': 20 };

/**
 * Times our engine and, in the same run and turn by turn, the peer on the same shapes and number of threads.
 * @throws FcddError FCDD_NOT_FOUND when the peer is missing: never an empty column
 * @throws FcddError FCDD_USAGE for a peer beside another device than the cpu
 */
export async function bench(options: BenchOptions): Promise<BenchResult> {
  const name = options.device ?? 'cpu';
  const deviceOptions: DeviceOptions = {
    ...(options.threads === undefined ? {} : { threads: options.threads }),
    ...(options.precision === undefined ? {} : { precision: options.precision }),
  };
  using device = openDevice(name, deviceOptions);
  const { info } = device;
  if (options.peer && info.name !== 'cpu') {
    throw new FcddError('FCDD_USAGE', `PyTorch is timed beside the cpu only, not beside ${info.name}`, {
      hint: 'scripts/gpu-verify times PyTorch on a GPU',
    });
  }
  const peer = options.peer ? await openPeer() : null;
  const results: BenchRow[] = [];
  let peerSettings: Record<string, unknown> | null = null;
  for (const model of options.models) {
    const batch = options.batch ?? defaultBatch[model] ?? 16;
    const ours: Record<Suite, number[]> = { training: [], inference: [] };
    const theirs: Record<Suite, number[]> = { training: [], inference: [] };
    for (let round = 0; round < options.rounds; round++) {
      options.onNote?.(`${model}, batch ${batch}: round ${round + 1} of ${options.rounds}`);
      const times = await measureSpeed({
        model,
        batch,
        device: name,
        deviceOptions,
        seconds: options.seconds,
      });
      for (const suite of options.suites) ours[suite].push(median(times[suite]));
      if (!peer) continue;
      const measured = peer({ model, batch, threads: info.threads, seconds: options.seconds });
      peerSettings = { name: 'pytorch', version: measured.torch };
      for (const suite of options.suites)
        theirs[suite].push((1000 * batch) / measured[suite].imagesPerSecond);
    }
    for (const suite of options.suites)
      results.push(row(suite, model, batch, ours[suite], theirs[suite], options.peer));
  }
  return {
    machine: { cpu: cpus()[0]?.model.trim() ?? 'unknown', cpus: cpus().length },
    device: info,
    isa: info.isa,
    threads: info.threads,
    versions: versions(info),
    peer: peerSettings,
    results,
  };
}

function row(
  suite: Suite,
  model: string,
  batch: number,
  ours: number[],
  theirs: number[],
  peer?: string,
): BenchRow {
  const ms = median(ours);
  const peerMs = theirs.length > 0 ? median(theirs) : null;
  return {
    suite,
    model,
    batch,
    ms,
    spread: [Math.min(...ours), Math.max(...ours)],
    imagesPerSecond: (1000 * batch) / ms,
    peer: peer ?? null,
    peerMs,
    ratio: peerMs === null ? null : peerMs / ms,
  };
}

interface PeerRequest {
  model: string;
  batch: number;
  threads: number;
  seconds: number;
}

type PeerAnswer = { torch: string } & Record<Suite, { imagesPerSecond: number; format: string }>;

/** scripts/compare/torch_speed.py: both memory formats, glibc told to keep memory, the better one counts. */
async function openPeer(): Promise<(request: PeerRequest) => PeerAnswer> {
  const folder = new URL('../../scripts/compare/', import.meta.url);
  try {
    const python = (await import(new URL('python.mjs', folder).href)) as {
      findPython: (modules: string[]) => string;
      runPython: (script: string, args: string[], options: object) => PeerAnswer;
      KEEP_MEMORY: Record<string, string>;
    };
    const modules = ['torch', 'numpy'];
    python.findPython(modules);
    return ({ model, batch, threads, seconds }) =>
      python.runPython(
        new URL('torch_speed.py', folder).pathname,
        [
          '--model',
          model,
          '--batch',
          `${batch}`,
          '--threads',
          `${threads}`,
          '--seconds',
          `${seconds}`,
          '--json',
        ],
        { env: python.KEEP_MEMORY, modules },
      );
  } catch (cause) {
    throw new FcddError('FCDD_NOT_FOUND', `the peer PyTorch is missing: ${(cause as Error).message}`, {
      hint: 'install python3-torch, set FCDD_PYTHON to a Python that imports torch, or leave --peer out',
      cause,
    });
  }
}
