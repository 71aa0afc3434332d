/** Wood: year rings cut lengthwise (soft early wood, a dark late edge), fibres along the grain, open pores. */
import { type Canvas, paint, SIZE } from '../image.js';
import { createLattice, sample, smoothstep } from '../noise.js';
import { between, type Random } from '../random.js';

const EARLY = [0.82, 0.65, 0.45] as const;
const LATE = [0.52, 0.34, 0.2] as const;

/** Darkness over one ring: rises through three quarters of it and falls sharply after. */
function ring(t: number): number {
  return t < 0.8 ? t * t * 1.5625 : 1 - smoothstep(0.8, 1, t);
}

export function wood(random: Random, canvas: Canvas): void {
  const lattice = createLattice(random);
  const slope = between(random, -0.08, 0.08);
  const rings = between(random, 0.055, 0.085);
  const strength = between(random, 0.7, 1.3);
  const phase = between(random, 0, 200);
  for (let y = 0; y < SIZE; y += 1) {
    for (let x = 0; x < SIZE; x += 1) {
      const u = x + slope * y + phase;
      const v = y - slope * x + phase;
      const wave = 1.3 * sample(lattice, u / 130, v / 36) + 0.16 * sample(lattice, u / 45 + 60, v / 9);
      const position = v * rings + wave;
      const late = ring(position - Math.floor(position));
      const fibre =
        0.6 * sample(lattice, u / 28 + 20, v * 0.85) + 0.4 * sample(lattice, u / 11, v * 0.5 + 90);
      const pore = smoothstep(0.45, 0.8, sample(lattice, u / 9 + 130, v * 0.8 + 33));
      const dark = 0.16 + 0.42 * strength * late + 0.14 * strength * fibre + 0.42 * pore;
      paint(canvas, y * SIZE + x, EARLY, LATE, dark, 1);
    }
  }
}
