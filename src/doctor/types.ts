/** What `fcdd-native doctor` finds out; the object that --json prints. */
export interface Report {
  /** Whether the cpu computes: everything else is a bonus. */
  ok: boolean;
  versions: { package: string; node: string; sharp: string; platform: string };
  addon: { loads: boolean; problem: string | null; hint: string | null };
  cpu: CpuFacts;
  libraries: LibraryReport[];
  devices: DeviceReport[];
}

export interface CpuFacts {
  model: string;
  /** Logical processors of the machine. */
  processors: number;
  /** What the cpu device uses by default, and the instruction sets that it can use; null without an addon. */
  threads: number | null;
  isas: string[];
  memoryBytes: number;
  freeBytes: number;
}

/** A device library, loaded in a process of its own. */
export interface LibraryReport {
  device: string;
  path: string;
  found: boolean;
  loads: boolean;
  problem: string | null;
  hint: string | null;
  facts: LibraryFacts | null;
}

/** What a library says of itself, see native/cuda/facts.h. */
export interface LibraryFacts {
  architectures: number[];
  runtime: string | null;
  driver: string | null;
  problem: string | null;
  gpus: { name: string; architecture: number; processors: number; memory: number; free: number }[];
}

/** A device, opened and tried in a process of its own. */
export interface DeviceReport {
  device: string;
  /** Facts of the open device, "avx512, 2 threads"; null when it does not open. */
  detail: string | null;
  passed: boolean;
  /** Relative distance of a small convolution from the reference device's. */
  difference: number | null;
  milliseconds: number | null;
  problem: string | null;
  hint: string | null;
}
