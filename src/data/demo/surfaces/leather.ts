/** Leather: a grain of small bumps parted by creases (a jittered Voronoi pattern), lit from the upper left. */
import { type Canvas, paint, SIZE } from '../image.js';
import { createLattice, type Lattice, sample, smoothstep, value } from '../noise.js';
import { between, type Random } from '../random.js';

const DARK = [0.36, 0.22, 0.14] as const;
const LIGHT = [0.84, 0.58, 0.39] as const;

/** Difference of the distances to the second nearest and nearest cell centre: 0 in a crease. Units of cells. */
function creaseDistance(lattice: Lattice, x: number, y: number): number {
  const column = Math.floor(x);
  const row = Math.floor(y);
  let nearest = 8;
  let second = 8;
  for (let j = row - 1; j <= row + 1; j += 1) {
    for (let i = column - 1; i <= column + 1; i += 1) {
      const dx = i + 0.5 + 0.42 * value(lattice, i, j) - x;
      const dy = j + 0.5 + 0.42 * value(lattice, i + 101, j + 57) - y;
      const square = dx * dx + dy * dy;
      if (square < nearest) {
        second = nearest;
        nearest = square;
      } else if (square < second) {
        second = square;
      }
    }
  }
  return Math.sqrt(second) - Math.sqrt(nearest);
}

/** Height of the grain, with a border of one pixel for the gradient: (SIZE+2)². */
function grain(random: Random, lattice: Lattice): Float64Array {
  const period = between(random, 5.6, 6.6);
  const stretch = between(random, 0.85, 1.18);
  const width = SIZE + 2;
  const height = new Float64Array(width * width);
  for (let y = 0; y < width; y += 1) {
    for (let x = 0; x < width; x += 1) {
      const bend = 0.9 * sample(lattice, x / 24, y / 24);
      const crease = creaseDistance(lattice, (x / period) * stretch + bend, y / (period * stretch) - bend);
      height[y * width + x] = smoothstep(0, 0.55, crease) + 0.2 * sample(lattice, x / 3 + 40, y / 3 + 80);
    }
  }
  return height;
}

export function leather(random: Random, canvas: Canvas): void {
  const lattice = createLattice(random);
  const height = grain(random, lattice);
  const strength = between(random, 0.6, 1.7);
  const width = SIZE + 2;
  for (let y = 0; y < SIZE; y += 1) {
    for (let x = 0; x < SIZE; x += 1) {
      const at = (y + 1) * width + x + 1;
      const slope = height[at + 1]! - height[at - 1]! + height[at + width]! - height[at - width]!;
      const tone = 0.1 * sample(lattice, x / 37 + 50, y / 37 + 50);
      const depth = 1 + 1.2 * sample(lattice, x / 5.5 + 20, y / 5.5 + 90);
      const lit = 0.42 + strength * depth * (0.24 * (height[at]! - 0.6) + 0.13 * slope) + tone;
      paint(canvas, y * SIZE + x, DARK, LIGHT, lit, 1);
    }
  }
}
