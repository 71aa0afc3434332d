/**
 * Values that Python and TypeScript compute alike, so that golden files need not store weights and inputs.
 * The formula is stated in README.md beside this file; scripts/goldens/formula.py is the other side.
 */

const GOLDEN_RATIO = 0x9e3779b9;

/** 32-bit FNV-1a of the UTF-8 bytes. */
export function fnv1a(name: string): number {
  let hash = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(name)) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  return hash;
}

function mix(value: number): number {
  let h = value;
  h = Math.imul(h ^ (h >>> 16), 0x7feb352d);
  h = Math.imul(h ^ (h >>> 15), 0x846ca68b);
  return (h ^ (h >>> 16)) >>> 0;
}

/** centre + scale · value(name, i) for i = 0 … count−1; value is in (−1, 1). */
export function values(name: string, count: number, scale = 1, centre = 0): Float64Array {
  const seed = fnv1a(name);
  return Float64Array.from({ length: count }, (_, i) => {
    const hash = mix((seed + Math.imul(i, GOLDEN_RATIO)) >>> 0);
    return centre + scale * ((2 * (hash + 0.5)) / 2 ** 32 - 1);
  });
}
