import type { Raster } from '../resample.js';

/** One picture of a data set, as `data check` looks at it. */
export interface CheckEntry {
  part: string;
  className: string;
  name: string;
  open(): Promise<Raster>;
  /**
   * Of an anomalous test picture: its mask, null where it should have one and has not; undefined: none is
   * expected.
   */
  mask?: string | null;
}

export interface ClassCount {
  part: string;
  className: string;
  images: number;
}

/** What is to be looked at. */
export interface Listing {
  /** Where it lies. */
  where: string;
  classes: ClassCount[];
  entries: CheckEntry[];
  /** Pictures there are, where `entries` is only a sample of them. */
  sampledFrom: number | null;
  warnings: string[];
}

export interface CheckDataOptions {
  data?: string;
  /** Category or class, where a folder holds several and only one is of interest. */
  className?: string;
  seed?: number;
  signal?: AbortSignal;
  onProgress?: (done: number, total: number) => void;
}

export interface CheckedData {
  dataset: string;
  where: string;
  classes: ClassCount[];
  /** Pictures that were decoded, and how many there are. */
  checked: number;
  images: number;
  /** "700×500" (width × height) → how many, the most frequent first; at most ten. */
  sizes: Record<string, number>;
  unreadable: { name: string; reason: string }[];
  missingMasks: string[];
  warnings: string[];
}
