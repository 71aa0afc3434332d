import { FcddError } from '../../errors.js';

export const preparableNames = [
  'mvtec',
  'fashion-mnist',
  'cifar10',
  'cifar100',
  'emnist',
  'voc',
  'imagenet',
  'imagenet22k',
] as const;

export type PreparableName = (typeof preparableNames)[number];

export interface PrepareDataOptions {
  /** Archives, folders that hold archives or the unpacked data, or http(s) URLs. */
  from: readonly string[];
  /** The folder below which `<data set>/` is made. */
  data: string;
  /**
   * Checksums of archives that are read in place (ImageNet): minutes to hours; sizes are compared in any
   * case.
   */
  checksum?: boolean;
  signal?: AbortSignal;
  onNote?: (text: string) => void;
  onWarning?: (text: string) => void;
  onProgress?: (what: string, done: number, total: number) => void;
}

/** An archive that was used. */
export interface UsedArchive {
  path: string;
  size: number;
  /** Null: not computed (read in place). */
  md5: string | null;
  /** true: the published one; false: another content; null: its sum is not known, or was not computed. */
  published: boolean | null;
}

export interface PreparedData {
  dataset: PreparableName;
  /** What `--data` of train may name. */
  folder: string;
  /** All that the data set's protocol needs is there. */
  complete: boolean;
  counts: Record<string, number>;
  archives: UsedArchive[];
  /** Parts that are not there, with where to get them. */
  missing: string[];
  warnings: string[];
  /**
   * Files inside of the archives that are no pictures although they should be; at most the first thousand.
   */
  broken: { name: string; reason: string }[];
}

/** A part of preparing that puts files into `folder`. */
export interface Preparing extends PrepareDataOptions {
  name: PreparableName;
  folder: string;
  /** Archives that earlier runs noted in prepared.json. */
  before: readonly UsedArchive[];
  /** Whether the earlier runs left nothing to do. */
  complete: boolean;
  warn: (text: string) => void;
}

export function throwIfStopped(signal: AbortSignal | undefined): void {
  if (!signal?.aborted) return;
  throw new FcddError('FCDD_ABORTED', 'stopped; what is done stays, and the same command goes on from here');
}
