/** `fcdd-native data check`: decodes the pictures of a data set and says what is there, and what is wrong. */
import { FcddError } from '../../errors.js';
import { readMask } from '../masks.js';
import { inOrder } from '../pictures.js';
import { type Raster, resizeBilinear } from '../resample.js';
import { listDataSet } from './listing.js';
import type { CheckDataOptions, CheckEntry, CheckedData } from './types.js';

/** Pictures of a class in the preview, and classes at most. */
const perClass = 8;
const previewClasses = 30;
const previewSide = 112;

/** Small pictures by class, for a sheet. */
export interface PreviewClass {
  part: string;
  className: string;
  pictures: { name: string; image: Raster; mask: Raster | null }[];
}

/**
 * @param options.preview called with the pictures of a preview sheet
 * @throws FcddError FCDD_INVALID_ARGUMENT (name), FCDD_NOT_FOUND, FCDD_BAD_DATA (layout), FCDD_ABORTED
 */
export async function checkData(
  name: string,
  options: CheckDataOptions = {},
): Promise<{ checked: CheckedData; preview: PreviewClass[] }> {
  const listing = await listDataSet(name, options);
  const sizes = new Map<string, number>();
  const unreadable: CheckedData['unreadable'] = [];
  const missingMasks: string[] = [];
  const preview = new Map<string, PreviewClass>();
  let done = 0;
  for await (const { entry, image, mask, problems } of inOrder(listing.entries, look)) {
    if (options.signal?.aborted) throw new FcddError('FCDD_ABORTED', 'stopped');
    options.onProgress?.(++done, listing.entries.length);
    unreadable.push(...problems);
    if (entry.mask === null) missingMasks.push(entry.name);
    if (!image) continue;
    const size = `${image.width}×${image.height}`;
    sizes.set(size, (sizes.get(size) ?? 0) + 1);
    addPreview(preview, entry, image, mask);
  }
  const frequent = [...sizes].sort(([, a], [, b]) => b - a).slice(0, 10);
  const checked: CheckedData = {
    dataset: name,
    where: listing.where,
    classes: listing.classes,
    checked: listing.entries.length,
    images: listing.sampledFrom ?? listing.entries.length,
    sizes: Object.fromEntries(frequent),
    unreadable,
    missingMasks,
    warnings: listing.warnings,
  };
  return { checked, preview: [...preview.values()] };
}

async function look(entry: CheckEntry) {
  const problems: CheckedData['unreadable'] = [];
  const attempt = async <T>(name: string, work: () => Promise<T>): Promise<T | null> => {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof FcddError)) throw error;
      problems.push({ name, reason: error.message });
      return null;
    }
  };
  const image = await attempt(entry.name, entry.open);
  const path = entry.mask;
  const mask = path ? await attempt(path, () => readMask(path, () => {})) : null;
  return { entry, image, mask, problems };
}

function addPreview(
  preview: Map<string, PreviewClass>,
  { part, className, name }: CheckEntry,
  image: Raster,
  mask: { height: number; width: number; data: Uint8Array } | null,
): void {
  const key = `${part}/${className}`;
  if (!preview.has(key) && preview.size >= previewClasses) return;
  const found = preview.get(key) ?? { part, className, pictures: [] };
  preview.set(key, found);
  if (found.pictures.length >= perClass) return;
  const white = mask && { ...mask, channels: 1 as const, data: mask.data.map((value) => value * 255) };
  found.pictures.push({ name, image: small(image), mask: white && small(white) });
}

/** A sheet of a thousand photographs is not kept at their size. */
function small(picture: Raster): Raster {
  const scale = Math.min(1, previewSide / Math.max(picture.height, picture.width));
  const side = (length: number): number => Math.max(1, Math.round(length * scale));
  return resizeBilinear(picture, side(picture.height), side(picture.width));
}
