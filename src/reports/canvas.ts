/**
 * What grids of pictures are drawn on: an RGB raster, and a layer of vector text that sharp composes onto it when the
 * PNG is written. Coordinates are pixels from the upper left corner.
 */
import sharp from 'sharp';
import { type TextStyle, textElement } from './text.js';

/** Interleaved bytes, height × width × channels. */
export interface Picture {
  data: Uint8Array;
  height: number;
  width: number;
  channels: 1 | 3;
}

export type Colour = readonly [number, number, number];

export interface Canvas {
  readonly height: number;
  readonly width: number;
  /** RGB. */
  readonly data: Uint8Array;
  /** SVG elements on top of the raster. */
  readonly marks: string[];
}

export const ink = '#1f2328';
export const faintInk = '#59636e';

export function createCanvas(height: number, width: number): Canvas {
  return { height, width, data: new Uint8Array(height * width * 3).fill(255), marks: [] };
}

/** Copies a picture onto the canvas; what lies outside is cut off. */
export function drawPicture(canvas: Canvas, picture: Picture, top: number, left: number): void {
  const { data, height, width, channels } = picture;
  const rows = Math.min(height, canvas.height - top);
  const columns = Math.min(width, canvas.width - left);
  for (let y = 0; y < rows; y++) {
    for (let x = 0; x < columns; x++) {
      const from = (y * width + x) * channels;
      const to = ((top + y) * canvas.width + left + x) * 3;
      for (let c = 0; c < 3; c++) canvas.data[to + c] = data[from + (channels === 3 ? c : 0)]!;
    }
  }
}

export function fillRectangle(
  canvas: Canvas,
  box: { top: number; left: number; height: number; width: number },
  colour: Colour,
): void {
  for (let y = box.top; y < box.top + box.height; y++) {
    for (let x = box.left; x < box.left + box.width; x++) canvas.data.set(colour, (y * canvas.width + x) * 3);
  }
}

/** Writes text with its baseline at `y`. */
export function drawText(
  canvas: Canvas,
  text: string,
  x: number,
  y: number,
  style: Omit<TextStyle, 'colour'> & { colour?: string },
): void {
  canvas.marks.push(textElement(text, x, y, { ...style, colour: style.colour ?? ink }));
}

export async function canvasPng(canvas: Canvas): Promise<Buffer> {
  const { height, width } = canvas;
  const svg =
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" ` +
    `font-family="DejaVu Sans, Helvetica, Arial, sans-serif">${canvas.marks.join('')}</svg>`;
  return sharp(canvas.data, { raw: { width, height, channels: 3 } })
    .composite([{ input: Buffer.from(svg) }])
    .removeAlpha()
    .png()
    .toBuffer();
}

/**
 * The picture inside a size×size square, aspect kept: enlarged without smoothing (pixels stay visible), reduced with
 * antialiasing. Returns the exact size it takes.
 */
export async function fitPicture(picture: Picture, size: number): Promise<Picture> {
  const { height, width } = fittedSize(picture.height, picture.width, size);
  const { data, height: h, width: w, channels } = picture;
  const enlarges = height >= h && width >= w;
  const { data: bytes } = await sharp(data, { raw: { width: w, height: h, channels } })
    .resize(width, height, { fit: 'fill', kernel: enlarges ? 'nearest' : 'lanczos3' })
    .toColourspace('srgb')
    .removeAlpha()
    .raw()
    .toBuffer({ resolveWithObject: true });
  return { data: bytes, height, width, channels: (bytes.length / (height * width)) as 1 | 3 };
}

export function fittedSize(height: number, width: number, size: number): { height: number; width: number } {
  const factor = size / Math.max(height, width);
  return {
    height: Math.max(1, Math.round(height * factor)),
    width: Math.max(1, Math.round(width * factor)),
  };
}
