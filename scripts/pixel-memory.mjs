#!/usr/bin/env node
/**
 * Memory and time of the pixel figures of a category of MVTec AD at 1024×1024: as many test images as the largest one
 * (pill: 26 good, 141 with seven kinds of defects), maps and masks at 1024×1024, generated one after the other.
 * The maps are part of what is measured: an evaluation holds them. Prints one JSON object; needs `npm run build`.
 *
 *   node scripts/pixel-memory.mjs [--size 1024] [--good 26] [--defective 141] [--limit 1024]
 *
 * Exits 1 when the peak resident memory passes --limit MiB.
 */
import { parseArgs } from 'node:util';
import { PixelRoc } from '../dist/evaluation/pixel-roc.js';

const { values } = parseArgs({
  options: {
    size: { type: 'string', default: '1024' },
    good: { type: 'string', default: '26' },
    defective: { type: 'string', default: '141' },
    limit: { type: 'string', default: '1024' },
  },
});
const [size, good, defective, limit] = ['size', 'good', 'defective', 'limit'].map((key) =>
  Number(values[key]),
);

/** xorshift32: cheap, and as varied as real heatmaps, where nearly every value is distinct. */
let state = 1;
function draw() {
  state ^= state << 13;
  state ^= state >>> 17;
  state ^= state << 5;
  return (state >>> 0) / 2 ** 32;
}

/** Two discs that cover about 3 % of the picture, more than the average defect of MVTec AD. */
function discs(data) {
  for (let k = 0; k < 2; k++) {
    const radius = size * 0.07;
    const [cy, cx] = [radius + draw() * (size - 2 * radius), radius + draw() * (size - 2 * radius)];
    for (let y = Math.ceil(cy - radius); y < cy + radius; y++) {
      const half = Math.sqrt(radius ** 2 - (y - cy) ** 2);
      data.fill(1, y * size + Math.ceil(cx - half), y * size + Math.floor(cx + half));
    }
  }
}

const began = performance.now();
const roc = new PixelRoc();
const mask = { height: size, width: size, data: new Uint8Array(size * size) };
for (let i = 0; i < good + defective; i++) {
  mask.data.fill(0);
  if (i >= good) discs(mask.data);
  const map = new Float32Array(size * size);
  for (let p = 0; p < map.length; p++) map[p] = draw() + 0.5 * mask.data[p];
  roc.add(map, size, size, mask, i < good ? null : `defect ${i % 7}`);
}
const added = performance.now();
const { curve, perType, ...figures } = roc.result();
const peak = process.resourceUsage().maxRSS / 1024;
const report = {
  images: good + defective,
  size,
  mapsMiB: Math.round(((good + defective) * size * size * 4) / 2 ** 20),
  peakMiB: Math.round(peak),
  secondsToAdd: Number(((added - began) / 1000).toFixed(1)),
  secondsOfFigures: Number(((performance.now() - added) / 1000).toFixed(1)),
  curvePoints: curve.fpr.length,
  types: Object.keys(perType).length,
  ...figures,
};
process.stdout.write(`${JSON.stringify(report)}\n`);
if (peak > limit) {
  process.stderr.write(`peak memory ${Math.round(peak)} MiB is above ${limit} MiB\n`);
  process.exitCode = 1;
}
