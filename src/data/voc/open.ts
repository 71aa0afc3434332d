/**
 * Pascal VOC 2007 as the FCDD paper's "Clever Hans" experiment uses it, with labels swapped: what is trained
 * on (images with a horse) is labelled 1 and pushed up, the outlier exposure is pulled down, and in the test
 * split a horse is anomalous. So the heatmap rates *horse*, and lights up where the network looks: on the
 * photographer's watermark. The whole image is shown (224×224, aspect ignored), because a crop would cut that
 * off.
 */
import { join } from 'node:path';
import { FcddError } from '../../errors.js';
import { classIndex } from '../class-names.js';
import { publishedMeanAndDeviation } from '../normalisation.js';
import { asTestSplit, createLoader, type PictureFile, whyNoTest } from '../pictures.js';
import { vocPipelines } from '../pipelines.js';
import { createRemarks } from '../remarks.js';
import type { DataSet, OpenOptions, StoredSize } from '../types.js';
import { findVoc, readSplit, vocClasses } from './layout.js';

/** @throws FcddError FCDD_NOT_FOUND (layout), FCDD_BAD_DATA, FCDD_BAD_IMAGE, FCDD_INVALID_ARGUMENT (class) */
export async function openVoc(options: OpenOptions): Promise<DataSet> {
  const index = classIndex(vocClasses, options.className ?? 'horse');
  const className = vocClasses[index]!;
  const root = await findVoc(options.dir);
  const without = `no ${className}`;
  const train = options.only === 'test' ? [] : await readSplit(root, className, 'train');
  const val = options.only === 'train' ? [] : await readSplit(root, className, 'val');
  // In the stores 0 is what is trained on; the engine swaps (nominalLabel). The test split says what is true.
  const pictures = (split: typeof train, label: (shows: boolean) => 0 | 1): PictureFile[] =>
    split.map(({ id, shows }) => ({
      path: join(root, 'JPEGImages', `${id}.jpg`),
      name: `JPEGImages/${id}.jpg`,
      label: label(shows),
      type: shows ? className : without,
      maskPath: null,
    }));
  const files = {
    train: pictures(
      train.filter(({ shows }) => shows),
      () => 0,
    ),
    anomalies:
      options.anomalies === false
        ? []
        : pictures(
            train.filter(({ shows }) => !shows),
            () => 1,
          ),
    test: pictures(val, (shows) => (shows ? 1 : 0)),
  };
  if (options.only !== 'test' && files.train.length === 0) {
    throw new FcddError('FCDD_BAD_DATA', `${root} has no training image with a ${className}`, {
      hint: `choose another class: ${vocClasses.join(', ')}`,
    });
  }
  const remarks = createRemarks();
  const stored: StoredSize = { fit: 'exact', height: 224, width: 224, interpolation: 'bilinear' };
  const total = files.train.length + files.anomalies.length + files.test.length;
  const load = createLoader(stored, total, remarks, options);
  const loaded = await load(files.train, false);
  const anomalies = files.anomalies.length > 0 ? await load(files.anomalies, false) : null;
  const test = files.test.length > 0 ? await load(files.test, false) : null;
  const warnings = remarks.lines();
  for (const warning of warnings) options.onWarning?.(warning);
  return {
    name: 'pascal-voc',
    className,
    classIndex: index,
    channels: 3,
    grey: false,
    nominalLabel: 1,
    stored,
    train: loaded.split,
    anomalies: anomalies?.split ?? null,
    test: test && asTestSplit(test, 'Pascal VOC has no masks of what makes a class'),
    testMissing: test ? null : whyNoTest(root, options),
    pixelwise: false,
    constants: publishedMeanAndDeviation('pascal-voc'),
    repeat: 1,
    preprocessing: 'aug1',
    pipelines: vocPipelines,
    summary: summaryOf(root, className, files),
    warnings,
  };
}

function summaryOf(
  root: string,
  className: string,
  files: { train: readonly PictureFile[]; test: readonly PictureFile[] },
): string[] {
  const lines = [`Pascal VOC 2007 in ${root}`];
  if (files.train.length > 0) {
    lines.push(
      `train: ${files.train.length} images with a ${className}, labels swapped: they are pushed up, what replaces them is pulled down`,
    );
  }
  if (files.test.length > 0) {
    const shown = files.test.filter(({ label }) => label === 1).length;
    lines.push(`test (val): ${shown} with a ${className} (label 1), ${files.test.length - shown} without`);
  }
  lines.push('resized to 224×224 (bilinear), published mean and standard deviation');
  return lines;
}
