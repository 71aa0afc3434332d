export { type Architecture, architecture, architectures } from './architectures.js';
export { type ModelFile, type ModelMetadata, readModel, writeModel } from './model-file.js';
export { readSafetensors, type SafetensorsFile, type Tensor, writeSafetensors } from './safetensors.js';
