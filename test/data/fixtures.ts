/** Small data sets made on the spot, in a temporary folder that goes when the test file is done. */
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import sharp from 'sharp';
import { afterAll, expect } from 'vitest';
import { prepareData } from '../../src/data/prepare/prepare.js';
import type { PrepareDataOptions } from '../../src/data/prepare/types.js';
import type { Split } from '../../src/data/types.js';
import { FcddError } from '../../src/errors.js';

/** A folder of its own for a test file. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'fcdd-data-'));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

export function write(path: string, content: Uint8Array | string): string {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, content);
  return path;
}

/** H×W×C values that differ everywhere, from a formula. */
export function pattern(height: number, width: number, channels: number, seed = 1): Uint8Array {
  return Uint8Array.from(
    { length: height * width * channels },
    (_, i) => ((i + 7) * 2654435761 * seed) >>> 24,
  );
}

export interface Picture {
  height: number;
  width: number;
  channels?: 1 | 2 | 3 | 4;
  format?: 'png' | 'jpeg' | 'tiff' | 'webp';
  orientation?: number;
  data?: Uint8Array;
  seed?: number;
}

export function encode(picture: Picture): Promise<Buffer> {
  const { height, width, channels = 3, format = 'png', orientation, seed } = picture;
  const data = picture.data ?? pattern(height, width, channels, seed);
  const options = format === 'tiff' ? { compression: 'lzw' as const } : {};
  const image = sharp(data, { raw: { width, height, channels } }).toFormat(format, options);
  const grey = channels <= 2 ? image.toColourspace('b-w') : image;
  return (orientation ? grey.withMetadata({ orientation }) : grey).toBuffer();
}

export async function writePicture(path: string, picture: Partial<Picture> = {}): Promise<string> {
  return write(path, await encode({ height: 12, width: 16, ...picture }));
}

/** A one-channel picture, white in the rows below `rows`. */
export async function writeMask(
  path: string,
  height: number,
  width: number,
  rows = 2,
  white = 255,
): Promise<string> {
  const data = new Uint8Array(height * width).fill(white, 0, rows * width);
  return write(path, await encode({ height, width, channels: 1, data }));
}

export function idxImages(count: number, height: number, width: number, seed = 1): Buffer {
  const header = Buffer.alloc(16);
  header.set([0, 0, 8, 3]);
  for (const [i, size] of [count, height, width].entries()) header.writeUInt32BE(size, 4 + 4 * i);
  return Buffer.concat([header, pattern(count, height * width, 1, seed)]);
}

export function idxLabels(labels: readonly number[]): Buffer {
  const header = Buffer.alloc(8);
  header.set([0, 0, 8, 1]);
  header.writeUInt32BE(labels.length, 4);
  return Buffer.concat([header, Buffer.from(labels)]);
}

/** CIFAR-10 records, or CIFAR-100 ones when labels are pairs (coarse, fine). */
export function cifarRecords(labels: readonly (number | [number, number])[], seed = 1): Buffer {
  return Buffer.concat(
    labels.map((label, i) => Buffer.concat([Buffer.from([label].flat()), pattern(3, 1024, 1, seed + i)])),
  );
}

/** Equality of long arrays, which toEqual takes seconds for. */
export function expectSameBytes(a: Uint8Array, b: Uint8Array): void {
  expect(a.length).toBe(b.length);
  expect(Buffer.compare(a, b)).toBe(0);
}

export function expectSameSplit(a: Split, b: Split): void {
  expect(a.records).toEqual(b.records);
  expect(a.images.images).toEqual(b.images.images);
  expectSameBytes(a.images.bytes, b.images.bytes);
}

/** Awaits a failure and checks its code and text; returns it for more. */
export async function failure(
  promise: Promise<unknown>,
  code: string,
  ...texts: RegExp[]
): Promise<FcddError> {
  const error = await promise.then(
    () => null,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(FcddError);
  const known = error as FcddError;
  expect(known.code).toBe(code);
  for (const text of texts) expect(`${known.message} | ${known.hint ?? ''}`).toMatch(text);
  return known;
}

/** Folders of their own below one, each with what prepare says and a place for archives. */
export function placesBelow(root: string) {
  let next = 0;
  return () => {
    const data = join(root, String(next++));
    const notes: string[] = [];
    const prepare = (name: string, from: string | string[], more: Partial<PrepareDataOptions> = {}) =>
      prepareData(name, { from: [from].flat(), data, onNote: (text) => notes.push(text), ...more });
    const archive = (name: string, content: Uint8Array) => write(join(data, 'in', name), content);
    return { data, notes, prepare, archive };
  };
}

/** Paths below a folder. */
export function filesBelow(folder: string): string[] {
  return readdirSync(folder, { recursive: true }) as string[];
}
