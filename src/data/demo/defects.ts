/**
 * The defects of the demo's test images, each with its exact mask.
 *
 * Guarantees, for every defect: outside the mask nothing changes; no channel changes by more than MAX_CONTRAST of the
 * range; the mask covers MIN_AREA … MAX_AREA of the image. A network is trained with anomalies of another kind
 * (anomalies.ts, or confetti), so finding these is a task.
 */
import { areaOf, type Defect, drawChange, type Place } from './change.js';
import { type Canvas, CHANNELS, SIZE } from './image.js';
import { createLattice, sample, smoothstep } from './noise.js';
import { between, direction, integer, type Random, sign } from './random.js';

/** Largest change of a channel, of the range 0…1. */
export const MAX_CONTRAST = 0.15;
/** Smallest and largest part of the image that a defect covers. */
export const MIN_AREA = 0.002;
export const MAX_AREA = 0.05;

/** Amplitudes drawn; the largest leaves room for rounding to bytes below MAX_CONTRAST. */
const FAINT = 0.1;
const STRONG = 0.145;

/** Evaluates `place` at every pixel, held within the largest amplitude. */
function draw(place: Place): Defect {
  return drawChange(STRONG, place);
}

/** A place for a defect that keeps `margin` pixels from the border. */
function centre(random: Random, margin: number): [number, number] {
  return [between(random, margin, SIZE - margin), between(random, margin, SIZE - margin)];
}

/** Maps a pixel into a turned ellipse: radius 1 is its rim. */
function ellipse(
  random: Random,
  smallest: number,
  largest: number,
): (x: number, y: number) => [number, number] {
  const [cx, cy] = centre(random, largest + 2);
  const [ux, uy] = direction(random);
  const a = between(random, smallest, largest);
  const b = between(random, smallest, largest);
  return (x, y) => [((x - cx) * ux + (y - cy) * uy) / a, ((y - cy) * ux - (x - cx) * uy) / b];
}

/** Points of a quadratic Bézier curve of about `length` pixels, bent by up to a quarter of it. */
function curve(random: Random, length: number): [number, number][] {
  const [cx, cy] = centre(random, 24);
  const [ux, uy] = direction(random);
  const bend = between(random, -0.25, 0.25) * length;
  const half = length / 2;
  const points: [number, number][] = [];
  for (let i = 0; i <= 12; i += 1) {
    const t = i / 6 - 1;
    const sag = bend * (1 - t * t);
    points.push([cx + ux * half * t - uy * sag, cy + uy * half * t + ux * sag]);
  }
  return points;
}

/** Signed distance from the polyline (positive on its left) and the position along it, 0…1; null beyond its ends. */
function distanceTo(points: readonly [number, number][], x: number, y: number): [number, number] | null {
  let best: [number, number] | null = null;
  for (let i = 1; i < points.length; i += 1) {
    const [ax, ay] = points[i - 1]!;
    const [bx, by] = points[i]!;
    const dx = bx - ax;
    const dy = by - ay;
    const square = dx * dx + dy * dy;
    const t = ((x - ax) * dx + (y - ay) * dy) / square;
    if (t < -0.15 || t > 1.15) continue;
    const distance = ((x - ax) * dy - (y - ay) * dx) / Math.sqrt(square);
    if (best === null || Math.abs(distance) < Math.abs(best[0])) {
      best = [distance, (i - 1 + t) / (points.length - 1)];
    }
  }
  return best;
}

/** A thin line, bright with a shadow beside it or dark with a glint, fading towards its ends. */
function scratch(random: Random): Defect {
  const points = curve(random, between(random, 28, 75));
  const width = between(random, 0.7, 1.3);
  const contrast = between(random, FAINT, STRONG) * sign(random);
  const [mx, my] = points[points.length >> 1]!;
  return draw((x, y) => {
    // No scratch reaches this far from its middle, so most of the picture needs no distance.
    if (Math.abs(x - mx) > 50 || Math.abs(y - my) > 50) return null;
    const found = distanceTo(points, x, y);
    if (found === null) return null;
    const [distance, along] = found;
    const fade = 0.55 + 0.45 * smoothstep(0, 0.25, 0.5 - Math.abs(along - 0.5));
    const core = Math.abs(distance) < width;
    if (!core && !(distance > 0 && distance < width + 1)) return null;
    const change = contrast * fade * (core ? 1 : -0.5);
    return [change, change, change];
  });
}

/** A shallow hollow or bump: one flank turned to the light, the other away from it. */
function dent(random: Random): Defect {
  const local = ellipse(random, 6, 13);
  const [lx, ly] = direction(random);
  const contrast = between(random, FAINT, STRONG) * sign(random);
  return draw((x, y) => {
    const [u, v] = local(x, y);
    const square = u * u + v * v;
    if (square > 0.88) return null;
    // r(1 − r²) has its maximum 0.385 at r = 0.577.
    const change = (contrast * (u * lx + v * ly) * (1 - square)) / 0.385;
    return [change, change, change];
  });
}

/** A liquid that dried: an irregular darker spot with a tint, the texture still visible through it. */
function stain(random: Random): Defect {
  const local = ellipse(random, 6, 12);
  const lattice = createLattice(random);
  const contrast = -between(random, FAINT, STRONG);
  const tint = [between(random, 0.65, 1), between(random, 0.65, 1), between(random, 0.65, 1)] as const;
  return draw((x, y) => {
    const [u, v] = local(x, y);
    const depth = 1 - u * u - v * v + 0.55 * sample(lattice, x / 6, y / 6);
    const profile = smoothstep(0, 0.5, depth);
    if (profile < 0.2 || u * u + v * v > 1.8) return null;
    return [contrast * profile * tint[0], contrast * profile * tint[1], contrast * profile * tint[2]];
  });
}

/** A cluster of small dark holes. */
function pits(random: Random): Defect {
  const [cx, cy] = centre(random, 24);
  const spots: [number, number, number][] = [];
  const count = integer(random, 5, 9);
  for (let i = 0; i < count; i += 1) {
    const [ux, uy] = direction(random);
    const away = between(random, 2, 17);
    spots.push([cx + ux * away, cy + uy * away, between(random, 1.2, 2.5)]);
  }
  const contrast = -between(random, FAINT, STRONG);
  return draw((x, y) => {
    let depth = 0;
    for (const [px, py, radius] of spots) {
      const distance = Math.sqrt((x - px) * (x - px) + (y - py) * (y - py));
      depth = Math.max(depth, Math.min(1, radius + 0.5 - distance));
    }
    if (depth < 0.3) return null;
    return [contrast * depth, contrast * depth, contrast * depth];
  });
}

/** Mean of a channel over the 9×9 pixels around (x, y), cut at the border. */
function localMean(clean: Canvas, x: number, y: number, channel: number): number {
  let sum = 0;
  let count = 0;
  for (let j = Math.max(0, y - 4); j <= Math.min(SIZE - 1, y + 4); j += 1) {
    for (let i = Math.max(0, x - 4); i <= Math.min(SIZE - 1, x + 4); i += 1) {
      sum += clean[(j * SIZE + i) * CHANNELS + channel]!;
      count += 1;
    }
  }
  return sum / count;
}

/** A rubbed spot: most of the texture worn off, the rest a little paler. */
function wear(random: Random, clean: Canvas): Defect {
  const local = ellipse(random, 7, 13);
  const worn = between(random, 0.6, 0.9);
  const paler = between(random, 0.05, 0.08);
  return draw((x, y) => {
    const [u, v] = local(x, y);
    const profile = smoothstep(0, 0.35, 1 - u * u - v * v);
    if (profile < 0.15) return null;
    const change = (channel: number) => {
      const own = clean[(y * SIZE + x) * CHANNELS + channel]!;
      return profile * (paler + worn * (localMean(clean, x, y, channel) - own));
    };
    return [change(0), change(1), change(2)];
  });
}

const makers = { scratch, dent, stain, pits, wear };

/** The defect types, in the order of the test split; each stands on every surface. */
export type DefectKind = keyof typeof makers;
export const demoDefects = Object.keys(makers) as readonly DefectKind[];

/** Draws a defect for this clean image, anew until it covers an allowed area. */
export function createDefect(kind: DefectKind, random: Random, clean: Canvas): Defect {
  for (;;) {
    const defect = makers[kind](random, clean);
    const area = areaOf(defect.mask);
    if (area >= MIN_AREA && area <= MAX_AREA) return defect;
  }
}
