/**
 * Pictures of the demo: a surface under some light, clean or with one defect. A picture is a pure function of
 * (generator seed, surface, split, index): the same bytes on every machine, in any order, alone or among others.
 */
import { createAnomaly } from './anomalies.js';
import type { Defect } from './change.js';
import { createDefect, type DefectKind } from './defects.js';
import { type Canvas, CHANNELS, createCanvas, quantise, SIZE } from './image.js';
import { between, createRandom, direction, type Random } from './random.js';
import { fabric } from './surfaces/fabric.js';
import { leather } from './surfaces/leather.js';
import { metal } from './surfaces/metal.js';
import { wood } from './surfaces/wood.js';

const painters = { metal, fabric, wood, leather };

/** The surfaces: the classes of the data set. */
export type Surface = keyof typeof painters;
export const demoSurfaces = Object.keys(painters) as readonly Surface[];

/** What a picture is drawn for. Every part has random streams of its own, so no picture occurs in two. */
export const parts = { train: 1, testNormal: 2, testDefect: 3, trainAnomaly: 4 } as const;
export type Part = keyof typeof parts;

export interface PictureKey {
  seed: number;
  surface: Surface;
  part: Part;
  index: number;
}

/** Light: overall brightness, a gradient across the picture. It varies far more than a defect changes the mean. */
function illuminate(random: Random, canvas: Canvas): void {
  const brightness = between(random, 0.64, 1.16);
  const [dx, dy] = direction(random);
  const gradient = between(random, 0, 0.25);
  let at = 0;
  for (let y = 0; y < SIZE; y += 1) {
    for (let x = 0; x < SIZE; x += 1) {
      const along = (x / SIZE - 0.5) * dx + (y / SIZE - 0.5) * dy;
      const light = brightness * (1 + gradient * along);
      for (let c = 0; c < CHANNELS; c += 1, at += 1) canvas[at] = canvas[at]! * light;
    }
  }
}

function stream(key: PictureKey, purpose: number): Random {
  return createRandom(key.seed, demoSurfaces.indexOf(key.surface), parts[key.part], key.index, purpose);
}

function paintSurface(key: PictureKey): Canvas {
  const canvas = createCanvas();
  painters[key.surface](stream(key, 1), canvas);
  illuminate(stream(key, 2), canvas);
  return canvas;
}

/** A picture without a defect: SIZE×SIZE×3 bytes. */
export function createClean(key: PictureKey): Uint8Array {
  return quantise(paintSurface(key));
}

/** Pixels (SIZE×SIZE×3) of a picture that is not clean, and which of them (SIZE×SIZE, 0|1) differ from createClean. */
export interface Marked {
  pixels: Uint8Array;
  mask: Uint8Array;
}

function change(key: PictureKey, create: (random: Random, clean: Canvas) => Defect): Marked {
  const canvas = paintSurface(key);
  const { change: difference, mask } = create(stream(key, 3), canvas);
  for (let i = 0; i < canvas.length; i += 1) canvas[i] = canvas[i]! + difference[i]!;
  return { pixels: quantise(canvas), mask };
}

/** The picture of createClean(key) with one defect on it: for the test. */
export function createDefective(key: PictureKey, kind: DefectKind): Marked {
  return change(key, (random, clean) => createDefect(kind, random, clean));
}

/** The picture of createClean(key) with a synthetic anomaly on it: for training. */
export function createAnomalous(key: PictureKey): Marked {
  return change(key, createAnomaly);
}
