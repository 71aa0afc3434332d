/**
 * Random numbers of the demo data set: a pure function of the integers that key the stream, the same on every machine.
 * Only 32-bit integer operations; the conversion to [0,1) is exact. No other source of randomness is used here.
 */

/** Draws the next number, uniform in [0,1), a multiple of 2⁻³². */
export type Random = () => number;

/** Finaliser of MurmurHash3: a bijection of 32-bit integers that mixes every bit into every other. */
function mix(value: number): number {
  let h = value | 0;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return h ^ (h >>> 16);
}

/** A stream of its own for every list of keys: the small fast counting generator (sfc32, Chris Doty-Humphrey). */
export function createRandom(...keys: readonly number[]): Random {
  let hash = 0x9e3779b9;
  for (const key of keys) hash = mix(Math.imul(hash, 31) + key + 0x7f4a7c15);
  let a = mix(hash + 1);
  let b = mix(hash + 2);
  let c = mix(hash + 3);
  let counter = 1;
  const next = (): number => {
    const t = (a + b + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = ((c << 21) | (c >>> 11)) + t;
    return (t >>> 0) / 4294967296;
  };
  for (let round = 0; round < 12; round += 1) next();
  return next;
}

/** Uniform in [low, high). */
export function between(random: Random, low: number, high: number): number {
  return low + (high - low) * random();
}

/** Uniform among the integers low … high, both included. */
export function integer(random: Random, low: number, high: number): number {
  return low + Math.floor((high - low + 1) * random());
}

/** +1 or −1. */
export function sign(random: Random): 1 | -1 {
  return random() < 0.5 ? 1 : -1;
}

/** A unit vector, uniform over directions. By rejection: `Math.sin` may differ between machines, `Math.sqrt` may not. */
export function direction(random: Random): [number, number] {
  for (;;) {
    const x = between(random, -1, 1);
    const y = between(random, -1, 1);
    const square = x * x + y * y;
    if (square > 1 || square < 1e-3) continue;
    const length = Math.sqrt(square);
    return [x / length, y / length];
  }
}
