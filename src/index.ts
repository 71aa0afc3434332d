/**
 * fcdd-native: trains and serves FCDD, anomaly detection whose output is the heatmap.
 *
 * ```ts
 * import { train, Detector } from 'fcdd-native';
 * const { out } = await train({ dataset: 'folder', data: 'photos/' });
 * using detector = await Detector.load(`${out}/model.safetensors`);
 * const { score, anomalous, map } = await detector.predict('part.png');
 * ```
 */

export { checkData } from './data/check/check.js';
export type { CheckDataOptions, CheckedData } from './data/check/types.js';
export { prepareData } from './data/prepare/prepare.js';
export type { PrepareDataOptions, PreparedData } from './data/prepare/types.js';
export { Detector, type DetectorOptions, type Prediction, type RawPixels } from './detector.js';
export { openDevice, ops } from './engine/index.js';
export type * from './engine/types.js';
export { FcddError, type FcddErrorCode } from './errors.js';
export { type Architecture, architecture, architectures } from './models/index.js';
export type { ExportDescription, ExportOptions } from './onnx/export.js';
export { type ExportResult, exportOnnxFile } from './onnx/export-file.js';
export type { Verification } from './onnx/export-verify.js';
export {
  type BaselineFigures,
  type BaselineOptions,
  type BaselineResult,
  compareBaselines,
} from './training/baselines.js';
export type { RunConfig, TrainOptions } from './training/config.js';
export {
  type EvaluateHooks,
  type EvaluateOptions,
  type EvaluateResult,
  evaluate,
} from './training/evaluate.js';
export type { Metrics } from './training/figures.js';
export type { TrainingProgress } from './training/loop.js';
export { type TrainHooks, type TrainResult, train } from './training/train.js';
export {
  type BatchNormState,
  type CachedWeights,
  type ImportHooks,
  type ImportOptions,
  type ImportResult,
  importWeights,
  listWeights,
  type PullHooks,
  type PullOptions,
  type PullResult,
  pullWeights,
  verifyWeights,
  type WeightsInfo,
  weightsFolder,
} from './weights/index.js';
