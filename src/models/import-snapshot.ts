/** Writes a snapshot of the reference code as a model file, with a threshold where normal pictures are given. */
import { readdir } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { Detector } from '../detector.js';
import { FcddError } from '../errors.js';
import { calibrate, sortedSummary } from '../evaluation/threshold.js';
import { heatmapScale } from '../reports/normalise.js';
import { type ModelMetadata, writeModel } from './model-file.js';
import { readSnapshot, type SnapshotOptions } from './snapshot.js';

export interface ImportSnapshotOptions extends SnapshotOptions {
  /** Folder of normal pictures that were not trained on. */
  calibrate?: string;
  falseAlarmRate?: number;
  onProgress?: (done: number, total: number) => void;
}

const imageTypes = new Set(['.png', '.jpg', '.jpeg', '.bmp', '.tif', '.tiff', '.webp']);

/** Why a model made from a snapshot alone has no threshold. */
export const noThreshold =
  'a snapshot holds no scores of normal pictures; --calibrate DIR of such gives a threshold';

/**
 * @param path of the snapshot, safetensors
 * @param out of the model file
 * @throws FcddError as readSnapshot; FCDD_NOT_FOUND when there are no pictures to calibrate with
 */
export async function importSnapshot(
  path: string,
  out: string,
  options: ImportSnapshotOptions,
): Promise<ModelMetadata> {
  const model = await readSnapshot(path, options);
  await writeModel(out, model);
  if (options.calibrate === undefined) return model.metadata;
  // The file is a whole model already; scoring goes the way that every later picture goes.
  using detector = await Detector.load(out);
  const calibrated = await calibratedMetadata(detector, options.calibrate, options);
  await writeModel(out, { ...model, metadata: calibrated });
  return calibrated;
}

async function calibratedMetadata(
  detector: Detector,
  folder: string,
  { falseAlarmRate, onProgress }: ImportSnapshotOptions,
): Promise<ModelMetadata> {
  const { metadata } = detector;
  const files = await pictures(folder);
  const maps: { map: Float32Array; label: 0 }[] = [];
  const scores: number[] = [];
  for (const [done, file] of files.entries()) {
    const { score, map } = await detector.predict(file);
    scores.push(score);
    maps.push({ map: map.data, label: 0 });
    onProgress?.(done + 1, files.length);
  }
  const threshold = calibrate(scores, falseAlarmRate === undefined ? {} : { falseAlarmRate });
  const size = metadata.input.height * metadata.input.width;
  const values = new Float32Array(files.length * size);
  maps.forEach(({ map }, index) => {
    values.set(map, index * size);
  });
  return {
    ...metadata,
    heatmapScale: heatmapScale(maps, { quantile: metadata.quantile, seed: 0 }),
    calibration: {
      ...threshold,
      scores: sortedSummary(scores),
      pixelQuantiles: sortedSummary(values, 1001),
    },
  };
}

async function pictures(folder: string): Promise<string[]> {
  const names = await readdir(folder).catch((cause: unknown) => {
    throw new FcddError('FCDD_NOT_FOUND', `cannot read the folder ${folder}`, { cause });
  });
  const found = names.filter((name) => imageTypes.has(extname(name).toLowerCase())).sort();
  if (found.length > 0) return found.map((name) => join(folder, name));
  throw new FcddError('FCDD_NOT_FOUND', `${folder} holds no pictures (${[...imageTypes].join(' ')})`);
}
