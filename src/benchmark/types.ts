import type { CpuIsa, DeviceInfo, DeviceName, Precision } from '../engine/types.js';

/**
 * What is timed: single operations, inference up to the scores, whole training steps (forward to update), or what all
 * threads gain over one.
 */
export const suites = ['ops', 'inference', 'train', 'scaling'] as const;
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
  /** Of the cpu; PyTorch is held to the same. Default: the best that the machine has. */
  isa?: CpuIsa;
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
  /** Of the direct algorithm; its share of the peak, which Winograd's algorithm lets exceed 1. Cpu only. */
  gflops?: number;
  fmaShare?: number;
  /** Operations: of the bytes that must move, and their share of the peak. */
  gigabytes?: number;
  memoryShare?: number;
}

/** What all threads gain over one, beside what they gain in a loop of FMA on registers: medians over pairs of turns. */
export interface ScalingRow {
  suite: 'inference' | 'train';
  model: string;
  batch: number;
  pairs: number;
  gain: number;
  probeGain: number;
  /** gain / probeGain: 1 is perfect. */
  share: number;
  /**
   * What as many single-threaded copies side by side gain, which share nothing but the machine's caches and memory;
   * null where they would need too much memory.
   */
  copiesGain: number | null;
}

export interface BenchResult {
  machine: { cpu: string; cpus: number };
  date: string;
  device: DeviceInfo;
  isa: string;
  threads: number;
  versions: Record<string, string | number>;
  /** Of the sources, with '+' for changes on top of it; null where there is no checkout. */
  commit: string | null;
  /** Of the peers: version and settings. */
  peers: Record<string, Record<string, unknown>>;
  /** Measured in the same run; null but for the cpu. */
  peaks: { gflops: number; gigabytes: number } | null;
  results: BenchRow[];
  scaling?: ScalingRow[];
}
