/**
 * Relative distance ‖a − b‖ / ‖b‖ (L2) of two arrays; 0 where they are equal, infinite where they cannot be compared:
 * other lengths, values that are not finite, a difference from nothing but zeros.
 */
export function relativeDistance(a: ArrayLike<number>, b: ArrayLike<number>): number {
  if (a.length !== b.length) return Number.POSITIVE_INFINITY;
  let difference = 0;
  let norm = 0;
  for (let i = 0; i < b.length; i++) {
    difference += (a[i]! - b[i]!) ** 2;
    norm += b[i]! ** 2;
  }
  if (difference === 0) return 0;
  const relative = Math.sqrt(difference / norm);
  return Number.isFinite(relative) ? relative : Number.POSITIVE_INFINITY;
}
