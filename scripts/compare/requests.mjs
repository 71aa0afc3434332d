#!/usr/bin/env node
/**
 * What a service gains when several requests ask one `Detector` at once: pictures a second with 1, 2, 4, 8 and 16 calls of
 * `predict` in flight, decoding included. Turns alternate; the median counts.
 *
 *   node scripts/compare/requests.mjs [--models vgg11,cnn224-w] [--seconds S] [--rounds N] [--threads N]
 *     [--work runs/compare/requests] [--out benchmarks/requests.json]
 *
 * The models are those of one epoch on the generated demo: speed does not depend on values.
 */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import sharp from 'sharp';
import { median } from '../../dist/benchmark/ours.js';
import { Detector, train } from '../../dist/index.js';
import { environment, writeJson } from './record.mjs';

const IN_FLIGHT = [1, 2, 4, 8, 16];
const EXTENT = 224;

async function picture() {
  const raw = Uint8Array.from({ length: 3 * EXTENT * EXTENT }, (_, i) => 128 + 100 * Math.sin(i / 50));
  return sharp(raw, { raw: { width: EXTENT, height: EXTENT, channels: 3 } })
    .png()
    .toBuffer();
}

/** Pictures a second with `inFlight` callers that each ask again as soon as they are answered. */
async function rate(detector, image, inFlight, seconds) {
  const began = performance.now();
  const end = began + 1000 * seconds;
  let answered = 0;
  const caller = async () => {
    while (performance.now() < end) {
      await detector.predict(image);
      answered++;
    }
  };
  await Promise.all(Array.from({ length: inFlight }, caller));
  return (1000 * answered) / (performance.now() - began);
}

async function main() {
  const { values } = parseArgs({
    options: {
      models: { type: 'string', default: 'vgg11,cnn224-w' },
      seconds: { type: 'string', default: '2' },
      rounds: { type: 'string', default: '5' },
      threads: { type: 'string' },
      work: { type: 'string', default: 'runs/compare/requests' },
      out: { type: 'string' },
    },
  });
  const threads = values.threads === undefined ? undefined : Number(values.threads);
  const image = await picture();
  const rows = [];
  for (const model of values.models.split(',')) {
    const out = join(values.work, model);
    rmSync(out, { recursive: true, force: true });
    await train({ dataset: 'demo', model, weights: 'random', epochs: 1 }, { out });
    const detector = await Detector.load(join(out, 'model.safetensors'), {
      device: 'cpu',
      ...(threads === undefined ? {} : { threads }),
    });
    await rate(detector, image, IN_FLIGHT.at(-1), 1);
    const rates = IN_FLIGHT.map(() => []);
    for (let round = 0; round < Number(values.rounds); round++) {
      for (const [index, inFlight] of IN_FLIGHT.entries())
        rates[index].push(await rate(detector, image, inFlight, Number(values.seconds)));
    }
    detector.dispose();
    const alone = median(rates[0]);
    for (const [index, inFlight] of IN_FLIGHT.entries()) {
      const perSecond = median(rates[index]);
      rows.push({ model, inFlight, perSecond, gain: perSecond / alone });
      console.log(
        `${model}, ${inFlight} at once: ${perSecond.toFixed(1)} pictures/s, ${(perSecond / alone).toFixed(2)}×`,
      );
    }
  }
  if (values.out) writeJson(values.out, { environment: await environment(threads), rows });
}

await main();
