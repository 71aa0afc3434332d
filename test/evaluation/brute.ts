import type { Mask } from '../../src/data/types.js';

/** 8-connected components by flood fill: pixel indices, ascending, components in the order of their first pixel. */
export function bruteComponents({ data, height, width }: Mask): number[][] {
  const seen = new Set<number>();
  const components: number[][] = [];
  data.forEach((value, start) => {
    if (value === 0 || seen.has(start)) return;
    const members = [start];
    seen.add(start);
    for (const at of members) {
      const [y, x] = [Math.floor(at / width), at % width];
      for (let ny = Math.max(0, y - 1); ny <= Math.min(height - 1, y + 1); ny++) {
        for (let nx = Math.max(0, x - 1); nx <= Math.min(width - 1, x + 1); nx++) {
          const next = ny * width + nx;
          if (data[next] === 0 || seen.has(next)) continue;
          seen.add(next);
          members.push(next);
        }
      }
    }
    components.push(members.sort((a, b) => a - b));
  });
  return components;
}
