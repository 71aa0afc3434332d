/**
 * One's own pictures in class folders, with or without masks, or simply one folder of good pictures. They are stored
 * area-averaged at 248×248 and inspected whole; `referencePreprocessing` stores and crops as the reference code does
 * (short side 248 and the centre 224×224 without masks, nearest neighbour to 248×248 with masks).
 */
import { FcddError } from '../errors.js';
import { type FolderFiles, listFolderFiles } from './folder-files.js';
import { type FolderLayout, findLayout } from './folder-layout.js';
import { asTestSplit, createLoader, type PictureFile, whyNoTest } from './pictures.js';
import { folderPipelines } from './pipelines.js';
import { createRemarks } from './remarks.js';
import type { DataSet, OpenOptions, StoredSize } from './types.js';

/** @throws FcddError FCDD_NOT_FOUND (layout), FCDD_BAD_DATA, FCDD_BAD_IMAGE, FCDD_INVALID_ARGUMENT (class) */
export async function openFolder(options: OpenOptions): Promise<DataSet> {
  const layout = await findLayout(options);
  const remarks = createRemarks();
  const files = await listFolderFiles(layout, remarks);
  checkRoles(layout, files, options);
  const crops = options.referencePreprocessing === true && !files.masked;
  const stored = storedSize(files.masked, options);
  const wanted = {
    train: options.only === 'test' ? [] : files.train,
    anomalies: options.anomalies === false || options.only === 'test' ? [] : files.anomalies,
    test: options.only === 'train' ? [] : files.test,
  };
  const missing = masksMissing(files, wanted.test);
  if (missing !== null && files.masked) remarks.add(`no pixel figures: ${missing}`);
  const total = wanted.train.length + wanted.anomalies.length + wanted.test.length;
  const load = createLoader(stored, total, remarks, options);
  const train = await load(wanted.train, false);
  const anomalies = wanted.anomalies.length > 0 ? await load(wanted.anomalies, false) : null;
  const test = wanted.test.length > 0 ? await load(wanted.test, true) : null;
  const warnings = remarks.lines();
  for (const warning of warnings) options.onWarning?.(warning);
  return {
    name: 'folder',
    className: layout.className,
    classIndex: layout.index,
    channels: 3,
    grey: wanted.train.length > 0 ? train.grey : (test?.grey ?? false),
    stored,
    train: train.split,
    anomalies: anomalies?.split ?? null,
    test: test && asTestSplit(test, missing),
    testMissing: test ? null : noTest(layout, options),
    pixelwise: files.masked,
    constants: null,
    repeat: 1,
    preprocessing: 'aug1',
    pipelines: (preprocessing) => folderPipelines(preprocessing, { crops }),
    summary: summaryOf(layout, files, stored),
    warnings,
  };
}

function storedSize(masked: boolean, { referencePreprocessing, resize }: OpenOptions): StoredSize {
  if (referencePreprocessing && !masked) {
    return { fit: 'short-side', height: 248, width: 248, interpolation: resize ?? 'bilinear' };
  }
  const interpolation = resize ?? (referencePreprocessing ? 'nearest' : 'area');
  return { fit: 'exact', height: 248, width: 248, interpolation };
}

function checkRoles(layout: FolderLayout, files: FolderFiles, options: OpenOptions): void {
  const { folder, className, kind } = layout;
  if (options.only === 'test') {
    if (files.test.length > 0) return;
    throw new FcddError('FCDD_BAD_DATA', `${folder} has no test pictures of class '${className}'`, {
      hint: 'expected test/<class>/{normal,anomalous}/… or test/<class>/…',
    });
  }
  if (files.train.length > 0) return;
  const where = kind === 'labelled' ? `train/${className}/normal` : `train/${className}`;
  throw new FcddError(
    'FCDD_BAD_DATA',
    `${folder} has no normal training pictures: expected some in ${where}/`,
  );
}

function masksMissing(files: FolderFiles, test: readonly PictureFile[]): string | null {
  const anomalous = test.filter(({ label }) => label === 1);
  const missing = anomalous.filter(({ maskPath }) => maskPath === null);
  if (missing.length === 0 && files.masked) return null;
  if (!files.masked) return 'there are no masks (train_maps/, test_maps/)';
  const expected = missing[0]!.name.replace(/^test\//, 'test_maps/');
  return `${missing.length} of ${anomalous.length} anomalous test pictures have no mask, ${missing[0]!.name} first (expected ${expected})`;
}

function noTest(layout: FolderLayout, options: OpenOptions): string {
  if (layout.kind === 'flat')
    return `${layout.folder} is one folder of good pictures, without labelled test pictures`;
  return whyNoTest(layout.folder, options);
}

function summaryOf(layout: FolderLayout, files: FolderFiles, stored: StoredSize): string[] {
  const kinds = {
    flat: 'one folder of good pictures',
    'one-vs-rest': `class '${layout.className}' is normal, all others anomalous`,
    labelled: `class '${layout.className}', with folders normal and anomalous`,
  };
  const count = (list: readonly PictureFile[], label: 0 | 1) =>
    list.filter((file) => file.label === label).length;
  const masks = (list: readonly PictureFile[]) => list.filter(({ maskPath }) => maskPath !== null).length;
  const lines = [
    `${layout.folder}: ${kinds[layout.kind]}`,
    `train: ${files.train.length} normal pictures, ${files.anomalies.length} labelled anomalies, ${masks(files.train) + masks(files.anomalies)} masks`,
  ];
  if (files.test.length > 0) {
    lines.push(
      `test: ${count(files.test, 0)} normal, ${count(files.test, 1)} anomalous pictures, ${masks(files.test)} masks`,
    );
  }
  const size =
    stored.fit === 'short-side' ? `short side ${stored.height}` : `${stored.height}×${stored.width}`;
  lines.push(`resized to ${size} (${stored.interpolation}), constants computed from the training pictures`);
  return lines;
}
