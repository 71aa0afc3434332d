/**
 * The anomalies that a network of the demo is trained with: patches cut out of smooth noise, either tinted or filled
 * from another place of the picture (cut and paste). They stay on the surface and carry exact masks, which confetti,
 * stains over half of the picture, does not. They know nothing of the test's defects: one generic family of shapes,
 * from specks to streaks to spots, over a range of contrasts that goes far beyond the test's on both sides.
 */
import { areaOf, type Defect, drawChange } from './change.js';
import { type Canvas, CHANNELS, SIZE } from './image.js';
import { createLattice, sample } from './noise.js';
import { between, direction, integer, type Random, sign } from './random.js';

/** The patches together cover this part of the image. */
const MIN_AREA = 0.002;
const MAX_AREA = 0.08;

type Shape = (x: number, y: number) => boolean;

/** Where smooth noise, stretched along some direction, rises above a level that grows away from a centre. */
function noiseShape(random: Random): Shape {
  const lattice = createLattice(random);
  const [ux, uy] = direction(random);
  const long = 2 + 16 * random() * random();
  const short = 2 + 16 * random() * random();
  const cx = between(random, 0, SIZE);
  const cy = between(random, 0, SIZE);
  const spread = between(random, 6, 45);
  const level = between(random, 0, 0.6);
  return (x, y) => {
    const square = ((x - cx) * (x - cx) + (y - cy) * (y - cy)) / (spread * spread);
    if (square > 1) return false;
    const u = (x * ux + y * uy) / long;
    const v = (y * ux - x * uy) / short;
    return sample(lattice, u, v) > level + (1 - level) * square;
  };
}

/** The picture's value at another place of it, turned by a quarter, wrapped around. */
function pasted(random: Random, clean: Canvas): (x: number, y: number, channel: number) => number {
  const dx = integer(random, 20, SIZE - 20);
  const dy = integer(random, 20, SIZE - 20);
  return (x, y, channel) => clean[(((x + dy) % SIZE) * SIZE + ((y + dx) % SIZE)) * CHANNELS + channel]!;
}

/** A change by one faint or strong tint. Squaring makes faint ones more frequent. */
function tinted(random: Random): [number, number, number] {
  const strength = random();
  const contrast = sign(random) * (0.05 + 0.4 * strength * strength);
  return [
    contrast * between(random, 0.6, 1),
    contrast * between(random, 0.6, 1),
    contrast * between(random, 0.6, 1),
  ];
}

/** Draws an anomaly for this clean picture, anew until it covers an allowed area. */
export function createAnomaly(random: Random, clean: Canvas): Defect {
  for (;;) {
    const inside = noiseShape(random);
    const tint = tinted(random);
    const source = random() < 0.35 ? pasted(random, clean) : null;
    const change = (x: number, y: number, channel: number): number => {
      if (source === null) return tint[channel]!;
      return 0.3 * tint[channel]! + source(x, y, channel) - clean[(y * SIZE + x) * CHANNELS + channel]!;
    };
    const anomaly = drawChange(1, (x, y) =>
      inside(x, y) ? [change(x, y, 0), change(x, y, 1), change(x, y, 2)] : null,
    );
    const area = areaOf(anomaly.mask);
    if (area >= MIN_AREA && area <= MAX_AREA) return anomaly;
  }
}
