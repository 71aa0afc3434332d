/**
 * From a picture file to the bytes of the store, in one place: training, evaluation and a detector see the same bytes.
 * EXIF orientation is applied, colour profiles are converted to sRGB, transparency is laid over black, 16-bit values
 * are scaled to 8 bits. A file that cannot be decoded whole is an error, never a grey patch: FCDD_BAD_IMAGE names
 * the file and the reason.
 */
import { readFile } from 'node:fs/promises';
import nsbmp from '@cwasm/nsbmp';
import sharp from 'sharp';
import { FcddError } from '../errors.js';
import { pictureFormat, signatureBytes, whatElse } from './picture-format.js';
import { type Raster, resizeArea, resizeBilinear, resizeNearest, toChannels } from './resample.js';
import { hasEqualChannels } from './store.js';
import type { StoredSize } from './types.js';

/** Values of 10- and 12-bit cameras in 16-bit files: `low` becomes 0, `high` 255. */
export interface BitRange {
  low: number;
  high: number;
}

export interface DecodeOptions {
  channels: 1 | 3;
  stored: StoredSize;
  bitRange?: BitRange;
  /** How errors call the picture; default: the path, or "picture". */
  name?: string;
}

export interface DecodedImage {
  /** height×width×channels, interleaved. */
  pixels: Uint8Array;
  height: number;
  width: number;
  /** As the picture is looked at: after EXIF orientation. */
  originalHeight: number;
  originalWidth: number;
  /** One channel, or three equal ones. */
  grey: boolean;
  /** Without the file's name, so that equal ones can be counted. */
  warnings: string[];
}

/** A picture at its own size, upright, 8 bits, one or three channels. */
export interface OpenedPicture extends Raster {
  warnings: string[];
}

/** 2^27 pixels (11 585²): 400 MB decoded. Larger files are refused before they are decoded. */
export const maxPixels = 2 ** 27;

/** @param source path, or the file's content */
export async function decodeImage(
  source: string | Uint8Array,
  options: DecodeOptions,
): Promise<DecodedImage> {
  const picture = await openPicture(source, options);
  return { ...fitPixels(picture, options), warnings: picture.warnings };
}

/** What `decodeImage` does after decoding, for pixels that are already there (8 bits, interleaved). */
export function fitPixels(
  picture: Raster,
  options: Pick<DecodeOptions, 'channels' | 'stored'>,
): Omit<DecodedImage, 'warnings'> {
  const fitted = resize(picture, options.stored);
  const { data, height, width } = toChannels(fitted, options.channels);
  return {
    pixels: data,
    height,
    width,
    originalHeight: picture.height,
    originalWidth: picture.width,
    grey: fitted.channels === 1 || hasEqualChannels(fitted.data),
  };
}

function resize(picture: Raster, stored: StoredSize): Raster {
  const [height, width] = targetSize(picture, stored);
  if (stored.interpolation === 'nearest') return resizeNearest(picture, height, width);
  return stored.interpolation === 'area'
    ? resizeArea(picture, height, width)
    : resizeBilinear(picture, height, width);
}

/** The long side is rounded down, as torchvision's Resize does. */
function targetSize({ height, width }: Raster, stored: StoredSize): [number, number] {
  if (stored.fit !== 'short-side') return [stored.height, stored.width];
  return shortSide({ height, width }, stored.height);
}

/** Height and width of a picture whose short side becomes `short`. */
export function shortSide(
  { height, width }: Pick<Raster, 'height' | 'width'>,
  short: number,
): [height: number, width: number] {
  return height <= width
    ? [short, Math.trunc((short * width) / height)]
    : [Math.trunc((short * height) / width), short];
}

/** Decodes without resizing. @throws FcddError FCDD_NOT_FOUND or FCDD_BAD_IMAGE */
export async function openPicture(
  source: string | Uint8Array,
  options: { bitRange?: BitRange; name?: string } = {},
): Promise<OpenedPicture> {
  const name = options.name ?? (typeof source === 'string' ? source : 'picture');
  const data = typeof source === 'string' ? await read(source, name) : source;
  const format = pictureFormat(data.subarray(0, signatureBytes));
  if (format === null) throw badImage(name, whatElse(data.subarray(0, signatureBytes)));
  try {
    return format === 'bmp' ? openBmp(data) : await openWithSharp(data, options.bitRange);
  } catch (cause) {
    throw badImage(name, readable(cause), cause);
  }
}

async function read(path: string, name: string): Promise<Uint8Array> {
  try {
    return await readFile(path);
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code;
    if (code === 'ENOENT') throw new FcddError('FCDD_NOT_FOUND', `${name} does not exist`, { cause });
    if (code === 'EISDIR') throw badImage(name, 'it is a folder, not a picture', cause);
    throw badImage(name, `cannot be read (${code})`, cause);
  }
}

function badImage(name: string, reason: string, cause?: unknown): FcddError {
  return new FcddError('FCDD_BAD_IMAGE', `${name}: ${reason}`, cause === undefined ? {} : { cause });
}

/** libvips prefixes and repeats its messages, one a line. */
function readable(cause: unknown): string {
  const message = cause instanceof Error ? cause.message : String(cause);
  const reason = message
    .trim()
    .split('\n')[0]!
    .replace(/^Vips\w+: /, '');
  return `cannot be decoded: ${reason}`;
}

function checkSize(height: number, width: number): void {
  if (height * width <= maxPixels && height > 0 && width > 0) return;
  throw new Error(
    `it claims ${width}×${height} pixels; at most ${maxPixels} are read. Cut it into tiles first`,
  );
}

/** Strict: libvips fails on the first warning of the decoder, truncation among them. */
async function openWithSharp(data: Uint8Array, bitRange: BitRange | undefined): Promise<OpenedPicture> {
  const options = { failOn: 'warning', limitInputPixels: false } as const;
  const { width, height, depth, space, pages } = await sharp(data, options).metadata();
  checkSize(height, width);
  if (depth !== 'uchar' && depth !== 'ushort') {
    throw new Error(`its values are of type ${depth}; expected 8 or 16 bits without sign`);
  }
  const wide = depth === 'ushort';
  const grey = space === 'b-w' || space === 'grey16';
  const colourspace = grey ? (wide ? 'grey16' : 'b-w') : wide ? 'rgb16' : 'srgb';
  const { data: bytes, info } = await sharp(data, options)
    .autoOrient()
    .toColourspace(colourspace)
    .raw({ depth })
    .toBuffer({ resolveWithObject: true });
  const warnings: string[] = [];
  if (pages !== undefined && pages > 1) warnings.push(`has ${pages} pages; the first one is read`);
  if (!wide && bitRange) warnings.push('has 8 bits: the bit range does not apply');
  const values = wide ? toEightBits(bytes, bitRange, warnings) : plainArray(bytes);
  return { ...withoutAlpha(values, info.height, info.width, info.channels, warnings), warnings };
}

/** Buffer is a Uint8Array with other habits (slice shares memory): none leaves this module. */
function plainArray(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function toEightBits(bytes: Uint8Array, bitRange: BitRange | undefined, warnings: string[]): Uint8Array {
  const values = new Uint16Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength));
  const { low, high } = bitRange ?? { low: 0, high: 65535 };
  const scaled = new Uint8Array(values.length);
  let largest = 0;
  for (let i = 0; i < values.length; i++) {
    const value = values[i]!;
    if (value > largest) largest = value;
    scaled[i] = Math.max(0, Math.min(255, Math.round(((value - low) * 255) / (high - low))));
  }
  warnings.push(`has 16 bits: ${low}…${high} was scaled to 0…255`);
  if (!bitRange && largest < 4096) {
    const bits = largest < 1024 ? 10 : 12;
    warnings.push(
      `has 16 bits of which ${bits} at most are used, so it is dark: --bit-range 0:${2 ** bits - 1}`,
    );
  }
  return scaled;
}

/** One or three channels; a transparency that is used is laid over black. */
function withoutAlpha(
  data: Uint8Array,
  height: number,
  width: number,
  channels: number,
  warnings: string[],
): Raster {
  if (channels === 1 || channels === 3) return { height, width, channels, data };
  if (channels !== 2 && channels !== 4) throw new Error(`it has ${channels} channels; expected 1 to 4`);
  const colours = channels === 2 ? 1 : 3;
  const opaque = new Uint8Array(height * width * colours);
  let transparent = false;
  for (let i = 0; i < height * width; i++) {
    const alpha = data[i * channels + colours]!;
    transparent ||= alpha < 255;
    for (let c = 0; c < colours; c++)
      opaque[i * colours + c] = Math.round((data[i * channels + c]! * alpha) / 255);
  }
  if (transparent) warnings.push('is partly transparent: it was laid over black');
  return { height, width, channels: colours, data: opaque };
}

/** BMP, which libvips cannot read: libnsbmp, compiled to WebAssembly, so that a malicious file stays in its box. */
function openBmp(data: Uint8Array): OpenedPicture {
  const header = new DataView(data.buffer, data.byteOffset, data.byteLength);
  if (data.length < 26) throw new Error('the header is truncated');
  const old = header.getUint32(14, true) === 12;
  const width = old ? header.getUint16(18, true) : Math.abs(header.getInt32(18, true));
  const height = old ? header.getUint16(20, true) : Math.abs(header.getInt32(22, true));
  checkSize(height, width);
  const decoded = nsbmp.decode(data);
  const warnings: string[] = [];
  const rgba = new Uint8Array(decoded.data.buffer, decoded.data.byteOffset, decoded.data.byteLength);
  return { ...withoutAlpha(rgba, decoded.height, decoded.width, 4, warnings), warnings };
}
