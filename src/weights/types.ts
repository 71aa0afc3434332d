import type { Layer } from '../engine/types.js';
import type { Tensor } from '../models/safetensors.js';

/**
 * live: batch normalisation as trained. folded: inside the convolutions, which training cannot undo. recovered: folded,
 * with γ, β and statistics estimated from images.
 */
export type BatchNormState = 'live' | 'folded' | 'recovered';

/** Where weights came from; no folder, so that equal files give equal weights files. */
export interface WeightsSource {
  file: string;
  sha256: string;
  format: 'onnx' | 'safetensors';
}

/** The layers of a network before its head, with values. */
export interface Backbone {
  /** vgg11 (for vgg11-nopt, vgg11 and vgg11-f), or the name of a small net. */
  architecture: string;
  /** Of the image. */
  channels: number;
  bn: BatchNormState;
  /** Without batch normalisation where that is folded. */
  layers: Layer[];
  /** float32, as our layers name them. */
  tensors: Map<string, Tensor>;
  /** What its user should know of the file. */
  remark?: string;
}

/** What is known of weights without reading them. */
export interface WeightsInfo {
  name: string;
  architecture: string;
  channels: number;
  bn: BatchNormState;
  /** SHA-256 of architecture, state, names, shapes and values: equal for equal weights, whatever file they came in. */
  sha256: string;
  source: WeightsSource;
  /** Images that γ and β were estimated from. */
  recoveredFrom?: number;
}
