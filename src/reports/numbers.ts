/** How figures are written for people. */

/** Three significant digits, without exponents where a plain number is as short. */
export function formatNumber(value: number): string {
  if (value === 0) return '0';
  const magnitude = Math.abs(value);
  return magnitude >= 1e-3 && magnitude < 1e5 ? String(Number(value.toPrecision(3))) : value.toExponential(2);
}

/** A share as a figure with four digits, or "n/a". */
export function formatRate(value: number | null): string {
  return value === null ? 'n/a' : value.toFixed(4);
}
