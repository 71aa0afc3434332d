export { type Architecture, architecture, architectures } from './architectures.js';
export {
  inferencePipeline,
  type ModelFile,
  type ModelMetadata,
  networkTensors,
  readModel,
  writeModel,
} from './model-file.js';
export { readSafetensors, type SafetensorsFile, type Tensor, writeSafetensors } from './safetensors.js';
