import type { DeviceInfo, DeviceName, Precision } from '../engine/types.js';

/** What is timed: single operations, inference up to the scores, or whole training steps (forward to update). */
export const suites = ['ops', 'inference', 'train'] as const;
export type Suite = (typeof suites)[number];

export const peers = ['onnxruntime', 'pytorch'] as const;
export type PeerName = (typeof peers)[number];

export interface BenchOptions {
  suites: readonly Suite[];
  /** Architectures; default: those of each suite. */
  models?: readonly string[];
  /** Images per call; default: those of each suite. */
  batches?: readonly number[];
  /** Default: cpu. */
  device?: DeviceName;
  threads?: number;
  precision?: Precision;
  peers: readonly PeerName[];
  /** Least time per measurement. */
  seconds: number;
  /** Turns of each; the median counts. */
  rounds: number;
  onNote?: (text: string) => void;
  /** Each result as soon as it is there: a benchmark that is cut off has told something. */
  onRow?: (row: BenchRow) => void;
}

/** One thing that is timed. Without a peer the peer's fields are null. */
export interface BenchRow {
  suite: Suite;
  /** Architecture, or layer and pass of an operation. */
  model: string;
  batch: number;
  /** Milliseconds of the median call over all rounds, and the spread of the rounds' medians. */
  ms: number;
  spread: [number, number];
  imagesPerSecond: number;
  peer: PeerName | null;
  peerMs: number | null;
  /** peerMs / ms: above 1 we are faster. */
  ratio: number | null;
  /** Relative L2 distance of the output from the reference device's; null where it was not compared. */
  error: number | null;
  /** Operations: of the direct algorithm, and of the bytes that must move; the shares of the peaks below. */
  gflops?: number;
  fmaShare?: number;
  gigabytes?: number;
  memoryShare?: number;
}

export interface BenchResult {
  machine: { cpu: string; cpus: number };
  date: string;
  device: DeviceInfo;
  isa: string;
  threads: number;
  versions: Record<string, string | number>;
  /** Of the peers: version and settings. */
  peers: Record<string, Record<string, unknown>>;
  /** Measured in the same run; null without operations. */
  peaks: { gflops: number; gigabytes: number } | null;
  results: BenchRow[];
}
