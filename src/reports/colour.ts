/** The colour map `jet` with 256 entries, byte for byte as matplotlib makes it from its segment data. */

/** Position and value of the corners of each channel's piecewise linear course. */
const segments: readonly (readonly (readonly [number, number])[])[] = [
  [
    [0, 0],
    [0.35, 0],
    [0.66, 1],
    [0.89, 1],
    [1, 0.5],
  ],
  [
    [0, 0],
    [0.125, 0],
    [0.375, 1],
    [0.64, 1],
    [0.91, 0],
    [1, 0],
  ],
  [
    [0, 0.5],
    [0.11, 1],
    [0.34, 1],
    [0.65, 0],
    [1, 0],
  ],
];

const entries = 256;

/** 256 × RGB. */
export const jet: Uint8Array = Uint8Array.from({ length: entries * 3 }, (_, i) =>
  // Truncated, not rounded, as matplotlib does when it is asked for bytes.
  Math.floor(255 * course(segments[i % 3]!, Math.floor(i / 3))),
);

/** Offset in `jet` of the colour of v in [0, 1]; values outside are clamped. */
export function jetOffset(v: number): number {
  return 3 * Math.min(255, Math.max(0, Math.floor(v * 256)));
}

/** Value at an entry, with positions in units of entries and in matplotlib's order of operations: bytes depend on it. */
function course(corners: readonly (readonly [number, number])[], entry: number): number {
  const last = entries - 1;
  const at = last * (entry * (1 / last));
  const right = corners.findIndex(([x]) => x * last >= at);
  const [x1, y1] = corners[right]!;
  if (right === 0) return y1;
  const [x0, y0] = corners[right - 1]!;
  return ((at - x0 * last) / (x1 * last - x0 * last)) * (y1 - y0) + y0;
}
