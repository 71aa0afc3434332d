/**
 * Images of the demo data set while they are made: SIZE×SIZE×3 doubles, interleaved, 0 black … 1 white.
 */

/** Height and width of every image of the demo, in pixels. */
export const SIZE = 128;
export const CHANNELS = 3;

export type Canvas = Float64Array;

export function createCanvas(): Canvas {
  return new Float64Array(SIZE * SIZE * CHANNELS);
}

/** An 8-bit colour as the three numbers people read in a palette. */
export type Colour = readonly [number, number, number];

/** Sets pixel (x, y) to `from` + `t`·(`to` − `from`), times `shade`. Colours are 0…1. */
export function paint(
  canvas: Canvas,
  pixel: number,
  from: Colour,
  to: Colour,
  t: number,
  shade: number,
): void {
  const offset = pixel * CHANNELS;
  canvas[offset] = (from[0] + (to[0] - from[0]) * t) * shade;
  canvas[offset + 1] = (from[1] + (to[1] - from[1]) * t) * shade;
  canvas[offset + 2] = (from[2] + (to[2] - from[2]) * t) * shade;
}

/** Rounds to bytes (half to even), clamped to 0…255. */
export function quantise(canvas: Canvas): Uint8Array {
  const bytes = new Uint8ClampedArray(canvas.length);
  for (let i = 0; i < canvas.length; i += 1) bytes[i] = canvas[i]! * 255;
  return new Uint8Array(bytes.buffer);
}
