/** Exports a model file to an ONNX file that is there only once it has passed its check. */
import { rename, unlink } from 'node:fs/promises';
import { FcddError } from '../errors.js';
import { diskError, writeFileAtomic } from '../files.js';
import { readModel } from '../models/index.js';
import { type ExportDescription, type ExportOptions, exportBackbone, exportOnnx } from './export.js';
import { type Verification, verifyExport } from './export-verify.js';

export interface ExportResult {
  bytes: number;
  description: ExportDescription;
  /** An image is anomalous when its score is above it; null without one. */
  threshold: number | null;
  /** Null when it was not asked for, and for a classifier's convolutions, which `weights import` verifies. */
  verification: Verification | null;
}

/**
 * @param model path of a model file
 * @param out path of the ONNX file
 * @throws FcddError FCDD_NOT_FOUND without the model or, to verify, onnxruntime-node; FCDD_BAD_MODEL when the exported
 *   file does not compute what the model does (nothing is written then); FCDD_DISK
 */
export async function exportOnnxFile(
  model: string,
  out: string,
  options: ExportOptions & { verify?: boolean } = {},
): Promise<ExportResult> {
  const { verify = true, ...rest } = options;
  const read = await readModel(model);
  const method = read.metadata.method?.name;
  if (method !== undefined && method !== 'classify') {
    throw new FcddError(
      'FCDD_BAD_MODEL',
      `${model} was trained with --method ${method}: only FCDD is exported`,
    );
  }
  const { file, description } = method === 'classify' ? exportBackbone(read) : exportOnnx(read, rest);
  const threshold = read.metadata.calibration?.threshold ?? null;
  const bytes = file.reduce((sum, piece) => sum + piece.length, 0);
  if (!verify || method === 'classify') {
    await writeFileAtomic(out, file);
    return { bytes, description, threshold, verification: null };
  }
  const unchecked = `${out}.${process.pid}.unchecked`;
  await writeFileAtomic(unchecked, file);
  try {
    const verification = await verifyExport(model, unchecked, description, rest.fp16 ?? false);
    refuseDifferent(verification, rest.fp16 ?? false);
    await rename(unchecked, out).catch((cause: unknown) => {
      throw diskError(out, cause);
    });
    return { bytes, description, threshold, verification };
  } catch (error) {
    await unlink(unchecked).catch(() => {});
    throw error;
  }
}

function refuseDifferent(verification: Verification, fp16: boolean): void {
  const { passed, score, map, heatmap, bound, sameVerdicts, pictures } = verification;
  if (passed) return;
  const worst = Math.max(score, map, heatmap);
  const verdicts = sameVerdicts === null ? '' : `, ${sameVerdicts} of ${pictures} verdicts agree`;
  throw new FcddError(
    'FCDD_BAD_MODEL',
    `in ONNX Runtime the exported file is ${worst.toExponential(1)} from the model, at most ${bound} is right${verdicts}`,
    {
      hint: fp16 ? 'leave --fp16 out: this network needs more digits' : '--no-verify writes it all the same',
    },
  );
}
