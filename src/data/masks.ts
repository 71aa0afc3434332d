/** Ground-truth masks: a picture as large as the one it belongs to, white (≥ 128) where it is anomalous. */

import { FcddError } from '../errors.js';
import { openPicture } from './decode.js';
import { resizeNearest } from './resample.js';
import type { Mask } from './types.js';

/** Reading a mask at its own resolution. `remark` gets what is odd about it. */
export async function readMask(path: string, remark: (text: string) => void): Promise<Mask> {
  const { height, width, channels, data } = await openPicture(path);
  const area = height * width;
  const values = channels === 1 ? data : brightestChannel(data, area);
  const largest = values.reduce((max, value) => Math.max(max, value), 0);
  if (largest === 1) remark('has values 0 and 1 instead of 0 and 255: 1 was read as anomalous');
  else if (largest > 0 && largest < 128)
    remark(`marks nothing: its largest value is ${largest}, 128 or more counts`);
  const threshold = largest === 1 ? 1 : 128;
  const mask = new Uint8Array(area);
  for (let i = 0; i < area; i++) mask[i] = values[i]! >= threshold ? 1 : 0;
  return { height, width, data: mask };
}

/** Masks are painted in any colour, red as often as white. */
function brightestChannel(rgb: Uint8Array, area: number): Uint8Array {
  const values = new Uint8Array(area);
  for (let i = 0; i < area; i++) values[i] = Math.max(rgb[3 * i]!, rgb[3 * i + 1]!, rgb[3 * i + 2]!);
  return values;
}

/**
 * A mask of another size than its picture is kept (figures are computed at the mask's resolution) if it has the same
 * proportions; otherwise it belongs to another picture.
 */
export function checkMaskSize(
  mask: Mask,
  maskName: string,
  picture: { name: string; height: number; width: number },
  remark: (text: string) => void,
): void {
  if (mask.height === picture.height && mask.width === picture.width) return;
  const sizes = `${mask.width}×${mask.height}, its picture ${picture.width}×${picture.height}`;
  const distortion = (mask.width * picture.height) / (mask.height * picture.width);
  // A pixel more or less after scaling is not another picture.
  const tolerance = 1 + 1 / Math.min(mask.height, mask.width, picture.height, picture.width) + 0.01;
  if (distortion > tolerance || distortion < 1 / tolerance) {
    const turned = mask.height === picture.width && mask.width === picture.height;
    throw new FcddError(
      'FCDD_BAD_DATA',
      `mask ${maskName} is ${sizes} (${picture.name}): the proportions differ`,
      {
        hint: turned
          ? 'the picture has an EXIF orientation, which is applied: turn the mask, or remove the orientation'
          : 'make the mask anew for this picture, or remove it',
      },
    );
  }
  remark(`is ${sizes}: pixel figures are computed at the mask's size`);
}

/** The mask at the size its picture is stored at, nearest neighbour ⌊i·in/out⌋. */
export function storedMask(mask: Mask, height: number, width: number): Uint8Array {
  return resizeNearest({ ...mask, channels: 1 }, height, width).data;
}
