/** Brushed metal: streaks along the brush, a broad sheen, a slight angle of the brush. */
import { type Canvas, paint, SIZE } from '../image.js';
import { createLattice, sample } from '../noise.js';
import { between, type Random } from '../random.js';

const COOL = [0.57, 0.6, 0.64] as const;
const BRIGHT = [0.8, 0.82, 0.84] as const;

export function metal(random: Random, canvas: Canvas): void {
  const lattice = createLattice(random);
  const slope = between(random, -0.06, 0.06);
  const strength = between(random, 0.65, 1.35);
  const phase = between(random, 0, 200);
  for (let y = 0; y < SIZE; y += 1) {
    for (let x = 0; x < SIZE; x += 1) {
      const u = x + slope * y + phase;
      const v = y - slope * x + phase;
      const fine = sample(lattice, u / 34, v * 0.9);
      const middle = sample(lattice, u / 70 + 40, v * 0.43 + 60);
      const coarse = sample(lattice, u / 120 + 90, v * 0.16 + 120);
      const grit = sample(lattice, u * 0.6, v * 0.95 + 170);
      const sheen = sample(lattice, u / 75 + 200, v / 300 + 7);
      const brushed = 0.42 * fine + 0.36 * middle + 0.2 * coarse + 0.16 * grit;
      paint(canvas, y * SIZE + x, COOL, BRIGHT, 0.3 + 0.42 * strength * brushed + 0.3 * sheen, 1);
    }
  }
}
