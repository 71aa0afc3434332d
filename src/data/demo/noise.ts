/**
 * Smooth noise for the demo's surfaces: random values on a lattice, interpolated. Arithmetic is +, −, ×, ÷ in double
 * precision only, which IEEE 754 and ECMAScript define exactly: the same bytes on every machine.
 */
import type { Random } from './random.js';

const LATTICE = 128;
const WRAP = LATTICE - 1;

/** 128×128 random values in [−1,1), repeated periodically. */
export type Lattice = Float64Array;

export function createLattice(random: Random): Lattice {
  const lattice = new Float64Array(LATTICE * LATTICE);
  for (let i = 0; i < lattice.length; i += 1) lattice[i] = 2 * random() - 1;
  return lattice;
}

/** Noise in [−1,1) at (x, y), in units of lattice cells; continuous, with continuous first derivative. */
export function sample(lattice: Lattice, x: number, y: number): number {
  const column = Math.floor(x);
  const row = Math.floor(y);
  const fx = x - column;
  const fy = y - row;
  const wx = fx * fx * (3 - 2 * fx);
  const wy = fy * fy * (3 - 2 * fy);
  const left = column & WRAP;
  const right = (column + 1) & WRAP;
  const above = (row & WRAP) * LATTICE;
  const below = ((row + 1) & WRAP) * LATTICE;
  const top = lattice[above + left]! + (lattice[above + right]! - lattice[above + left]!) * wx;
  const bottom = lattice[below + left]! + (lattice[below + right]! - lattice[below + left]!) * wx;
  return top + (bottom - top) * wy;
}

/** The lattice value at integer coordinates. */
export function value(lattice: Lattice, column: number, row: number): number {
  return lattice[(row & WRAP) * LATTICE + (column & WRAP)]!;
}

/** 0 below `low`, 1 above `high`, a smooth step between. */
export function smoothstep(low: number, high: number, x: number): number {
  const t = Math.min(1, Math.max(0, (x - low) / (high - low)));
  return t * t * (3 - 2 * t);
}
