/**
 * Loading picture files into a split: decoded a few at a time, stored in the order of the list whatever finishes
 * first, remarks about them counted.
 */
import { type BitRange, type DecodedImage, decodeImage } from './decode.js';
import { checkMaskSize, readMask, storedMask } from './masks.js';
import type { Remarks } from './remarks.js';
import { createStoreBuilder } from './store.js';
import type { Mask, OpenOptions, Split, StoredSize, TestSplit } from './types.js';

export interface PictureFile {
  path: string;
  /** The file's content, where it is no file of its own (a member of a tar); `path` is then for messages. */
  read?: () => Promise<Uint8Array>;
  /** Name in records and messages, relative to the data set. */
  name: string;
  label: 0 | 1;
  type: string;
  maskPath: string | null;
}

export interface LoadOptions {
  channels: 1 | 3;
  stored: StoredSize;
  bitRange?: BitRange;
  remarks: Remarks;
  /** Masks at their original resolution are wanted, for evaluation. */
  evaluation: boolean;
  onPicture?: () => void;
}

export interface LoadedPictures {
  split: Split;
  /** All pictures show equal channels. */
  grey: boolean;
  /** For evaluation, per picture; a normal one without a file has zeros at its own size, an anomalous one null. */
  masks: (Mask | null)[];
}

/** Pictures decoded at once: enough to hide the disk, few enough for pictures of 100 megapixels. */
const concurrency = 3;

/** @throws FcddError FCDD_BAD_IMAGE or FCDD_BAD_DATA naming the file */
export async function loadPictures(
  files: readonly PictureFile[],
  options: LoadOptions,
): Promise<LoadedPictures> {
  const { stored, channels } = options;
  const withMask = files.filter(({ maskPath }) => maskPath !== null).length;
  const exact = stored.fit === 'short-side' ? 0 : stored.height * stored.width;
  const builder = createStoreBuilder(channels, exact * (files.length * channels + withMask));
  const masks: (Mask | null)[] = [];
  const zeros = new Map<number, Uint8Array>();
  let grey = files.length > 0;
  for await (const { file, image, mask, found } of inOrder(files, (file) => loadPicture(file, options))) {
    for (const [name, text] of found) options.remarks.about(name, text);
    const { pixels, height, width, originalHeight, originalWidth } = image;
    const small = mask ? { mask: storedMask(mask, height, width) } : {};
    builder.add({ pixels, height, width, label: file.label, ...small });
    if (options.evaluation) {
      masks.push(mask ?? (file.label === 0 ? noAnomaly(zeros, originalHeight, originalWidth) : null));
    }
    grey &&= image.grey;
    options.onPicture?.();
  }
  const records = files.map(({ name, label, type }) => ({ name, label, type }));
  return { split: { images: builder.finish(), records }, grey, masks };
}

/** Loads one list of pictures after the other and reports progress over all `total` of them. */
export function createLoader(stored: StoredSize, total: number, remarks: Remarks, options: OpenOptions) {
  let done = 0;
  return (files: readonly PictureFile[], evaluation: boolean): Promise<LoadedPictures> =>
    loadPictures(files, {
      channels: 3,
      stored,
      remarks,
      evaluation,
      onPicture: () => options.onProgress?.(++done, total),
      ...(options.bitRange ? { bitRange: options.bitRange } : {}),
    });
}

/** @param missing why there are no masks, null: every anomalous picture has one */
export function asTestSplit({ split, masks }: LoadedPictures, missing: string | null): TestSplit {
  if (missing !== null) return { ...split, masks: null, masksMissing: missing };
  return { ...split, masks: masks.map((mask) => mask!), masksMissing: null };
}

export function whyNoTest(folder: string, options: OpenOptions): string {
  return options.only === 'train' ? 'the test part was not asked for' : `${folder} has no test pictures`;
}

/** Masks of normal pictures of one size share their zeros. */
function noAnomaly(zeros: Map<number, Uint8Array>, height: number, width: number): Mask {
  const data = zeros.get(height * width) ?? new Uint8Array(height * width);
  zeros.set(height * width, data);
  return { height, width, data };
}

interface LoadedPicture {
  file: PictureFile;
  image: DecodedImage;
  mask: Mask | null;
  /** Remarks: name and text. */
  found: [string, string][];
}

async function loadPicture(file: PictureFile, options: LoadOptions): Promise<LoadedPicture> {
  const { channels, stored, bitRange } = options;
  const image = await decodeImage(file.read ? await file.read() : file.path, {
    channels,
    stored,
    name: file.path,
    ...(bitRange ? { bitRange } : {}),
  });
  const found = image.warnings.map((warning): [string, string] => [file.name, warning]);
  if (file.maskPath === null) return { file, image, mask: null, found };
  const remark = (text: string) => found.push([`mask of ${file.name}`, text]);
  const mask = await readMask(file.maskPath, remark);
  const size = { name: file.path, height: image.originalHeight, width: image.originalWidth };
  checkMaskSize(mask, file.maskPath, size, remark);
  const marked = mask.data.includes(1);
  if (file.label === 1 && !marked)
    remark('is empty: all of this anomalous picture counts as normal in pixel figures');
  if (file.label === 0 && marked) remark('marks an anomaly in a picture that is labelled normal');
  return { file, image, mask, found };
}

/** Results in the order of `items`, computed a few ahead. A failure waits for those under way, then is thrown. */
export async function* inOrder<T, R>(items: readonly T[], work: (item: T) => Promise<R>): AsyncGenerator<R> {
  const ahead: Promise<R>[] = [];
  let next = 0;
  try {
    while (next < items.length || ahead.length > 0) {
      while (ahead.length < concurrency && next < items.length) {
        const result = work(items[next++]!);
        // Awaited in its turn; until then a failure is not an unhandled one.
        result.catch(() => {});
        ahead.push(result);
      }
      yield await ahead.shift()!;
    }
  } finally {
    await Promise.allSettled(ahead);
  }
}
