/** Woven fabric (plain weave): warp over weft and weft over warp in turn, threads of slightly different tone and course. */
import { type Canvas, paint, SIZE } from '../image.js';
import { createLattice, sample, value } from '../noise.js';
import { between, type Random } from '../random.js';

const WARP = [0.24, 0.36, 0.52] as const;
const WEFT = [0.47, 0.58, 0.7] as const;

/** Light on a round thread: 1 on its crest, less at its edge (`across` = ±½) and where it dives (`along` = ±½). */
function roundness(across: number, along: number): number {
  return (1 - 2.3 * across * across) * (1 - 1.1 * along * along);
}

export function fabric(random: Random, canvas: Canvas): void {
  const lattice = createLattice(random);
  const period = between(random, 5.7, 6.3);
  const slope = between(random, -0.04, 0.04);
  const strength = between(random, 0.7, 1.3);
  const phaseX = between(random, 0, 100);
  const phaseY = between(random, 0, 100);
  for (let y = 0; y < SIZE; y += 1) {
    for (let x = 0; x < SIZE; x += 1) {
      const bendX = 0.22 * sample(lattice, x / 60, y / 17) + 0.1 * sample(lattice, x / 9 + 50, y / 26);
      const bendY = 0.22 * sample(lattice, x / 17 + 90, y / 60) + 0.1 * sample(lattice, x / 26, y / 9 + 130);
      const a = (x + slope * y) / period + phaseX + bendX;
      const b = (y - slope * x) / period + phaseY + bendY;
      const i = Math.floor(a);
      const j = Math.floor(b);
      const fa = a - i - 0.5;
      const fb = b - j - 0.5;
      const warpOnTop = ((i + j) & 1) === 0;
      const light = warpOnTop ? roundness(fa, fb) : roundness(fb, fa);
      const tone = warpOnTop ? value(lattice, i, 201) : value(lattice, 203, j);
      const fibre = warpOnTop
        ? sample(lattice, x * 0.9, y * 0.3)
        : sample(lattice, x * 0.3 + 70, y * 0.9 + 20);
      const shade = 0.9 + 0.34 * strength * (light - 0.7) + 0.045 * tone + 0.06 * strength * fibre;
      paint(canvas, y * SIZE + x, WARP, WEFT, warpOnTop ? 0.12 : 0.88, shade);
    }
  }
}
