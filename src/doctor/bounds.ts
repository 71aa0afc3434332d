/**
 * Largest relative distance (L2) of a device's self-test from the reference, by what its instruction set says operands
 * of convolutions are rounded to; the first that fits.
 */
export const bounds: readonly [RegExp, number][] = [
  [/bf16/, 1e-2],
  [/tf32/, 2e-3],
  [/./, 1e-4],
];
