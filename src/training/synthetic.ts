import type { Device } from '../engine/types.js';
import { PixelRoc } from '../evaluation/pixel-roc.js';
import { rocAuc } from '../evaluation/roc.js';
import { isSynthetic, type RunConfig, type SyntheticName } from './config.js';
import { objectiveOf, type PreparedRun } from './prepare.js';
import { addMaps, emptyScored, type Scored } from './scoring.js';

/** How well held-out normal images are told from the same images with synthetic anomalies. */
export interface SyntheticFigures {
  /** The noise that made the anomalies. */
  noise: string;
  n: number;
  sampleRocAuc: number | null;
  pixelRocAuc: number | null;
  note: string;
}

const note =
  'Anomalies made from held-out normal images by the noise named; says whether training worked, not how well real defects are found.';

/** The noise that a run's synthetic figures are of: its own, confetti where it trains on none. */
export const syntheticNoiseOf = (config: RunConfig): SyntheticName =>
  isSynthetic(config.noise) ? config.noise : 'confetti';

/**
 * Puts one synthetic anomaly set onto each held-out normal image (exact masks) and scores both.
 * @returns the figures and the anomalous maps, or null when no image was held out
 */
export async function scoreSynthetic(
  run: PreparedRun,
  device: Device,
  held: Scored,
): Promise<{ figures: SyntheticFigures; scored: Scored } | null> {
  const n = run.held.records.length;
  if (n === 0) return null;
  const noise = syntheticNoiseOf(run.config);
  using store = device.createImageStore(run.held.images);
  using trainer = run.network.createTrainer({
    batch: 1,
    objective: objectiveOf(run.config, run.scoring, run.pixelwise),
    optimiser: { kind: 'sgd' },
    seed: run.config.seed,
    images: store,
    ...(noise === 'texture' && run.exposure ? { exposure: run.exposure } : {}),
    pipeline: run.pipelines.test,
    supervision: {
      mode: 'malformed-normal-gt',
      source: noise,
      grey: run.supervision.grey ?? false,
      probability: 1,
      onObject: run.supervision.onObject ?? false,
    },
  });
  const { height, width } = run.network.input;
  const size = height * width;
  const scored = emptyScored(n, height, width, { maps: true, scoring: run.scoring });
  const pixels = new PixelRoc();
  for (let index = 0; index < n; index++) {
    // Epoch 0 of a trainer of its own: the draws depend on the seed and the image's position alone.
    const made = await trainer.augment(0, index, 1);
    const result = await run.network.infer(made.pixels, {
      ...run.scoring,
      sigma: run.config.sigma,
      maps: true,
    });
    scored.scores[index] = result.scores[0]!;
    addMaps(scored, index, result);
    pixels.add(
      scored.maps.subarray(index * size, (index + 1) * size),
      height,
      width,
      { height, width, data: made.masks },
      noise,
    );
    const normalMap = held.maps.subarray(index * size, (index + 1) * size);
    pixels.add(normalMap, height, width, { height, width, data: new Uint8Array(size) }, null);
  }
  const scores = [...held.scores, ...scored.scores];
  const labels = scores.map((_, index) => (index < n ? 0 : 1));
  const figures = {
    noise,
    n,
    sampleRocAuc: rocAuc(scores, labels),
    pixelRocAuc: pixels.result().rocAuc,
    note,
  };
  return { figures, scored };
}
