export { keptLayers, weightsArchitecture, weightsArchitectures } from './architecture.js';
export {
  type CachedWeights,
  type DamagedWeights,
  listWeights,
  type VerifiedWeights,
  verifyWeights,
  weightsFolder,
} from './cache.js';
export { type ImportHooks, type ImportOptions, type ImportResult, importWeights } from './import.js';
export { type PullHooks, type PullOptions, type PullResult, pullWeights } from './pull.js';
export type * from './types.js';
export type { Verification } from './verify.js';
