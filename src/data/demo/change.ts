/** What turns a clean picture of the demo into an anomalous one: a change within a mask, and nothing outside it. */
import { type Canvas, CHANNELS, createCanvas, SIZE } from './image.js';

/** The change (SIZE×SIZE×3, of the range 0…1, 0 outside the mask) and the mask (SIZE×SIZE, 0|1). */
export interface Defect {
  change: Canvas;
  mask: Uint8Array;
}

/** The change of each channel at a pixel; null outside the mask. */
export type Place = (x: number, y: number) => readonly [number, number, number] | null;

/** Evaluates `place` at every pixel and holds each change within ±`limit`. */
export function drawChange(limit: number, place: Place): Defect {
  const change = createCanvas();
  const mask = new Uint8Array(SIZE * SIZE);
  for (let pixel = 0; pixel < mask.length; pixel += 1) {
    const delta = place(pixel % SIZE, Math.floor(pixel / SIZE));
    if (delta === null) continue;
    mask[pixel] = 1;
    for (let c = 0; c < CHANNELS; c += 1) {
      change[pixel * CHANNELS + c] = Math.min(limit, Math.max(-limit, delta[c]!));
    }
  }
  return { change, mask };
}

/** The part of the image that a mask covers, 0…1. */
export function areaOf(mask: Uint8Array): number {
  return mask.reduce((sum, pixel) => sum + pixel, 0) / mask.length;
}
