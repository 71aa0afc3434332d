/**
 * A model as one ONNX graph, from the raw picture to score, low-resolution map and heatmap: what inference does, with
 * nothing left to the caller but decoding the file.
 */
import { ops } from '../engine/index.js';
import { FcddError } from '../errors.js';
import type { ModelFile, ModelMetadata } from '../models/index.js';
import { packageVersion } from '../training/versions.js';
import { inputStages, meanOf, storedExtent } from './export-input.js';
import { networkNodes } from './network-nodes.js';
import { type ElementType, elementTypes, GraphBuilder } from './nodes.js';
import { writeChain } from './write-chain.js';

export interface ExportOptions {
  /** 13…21, default 13. */
  opset?: number;
  /** Any number of pictures, of any size (one size per batch): the resize is inside the graph. */
  dynamic?: boolean;
  /** Weights and arithmetic of the network in float16; preprocessing and heatmap stay float32. */
  fp16?: boolean;
  /** Batch normalisations as nodes of their own, so that the file can be imported again as weights. */
  keepBn?: boolean;
}

export const opsets = { least: 13, most: 21 } as const;

/** What the file says about its input, also in its metadata. */
export interface ExportDescription {
  /** The input, for people. */
  input: string;
  /** Size of the picture; null: any. */
  height: number | null;
  width: number | null;
  /** What happens to the picture's size, for people. */
  resize: string;
}

/**
 * The bytes of the ONNX file, in pieces.
 * @throws FcddError FCDD_INVALID_ARGUMENT for an opset out of range, FCDD_BAD_MODEL for layers that do not fit
 */
export function exportOnnx(
  { metadata, tensors }: ModelFile,
  options: ExportOptions = {},
): { file: Uint8Array[]; description: ExportDescription } {
  const { opset = opsets.least, dynamic = false, fp16 = false, keepBn = false } = options;
  if (!Number.isInteger(opset) || opset < opsets.least || opset > opsets.most) {
    throw new FcddError(
      'FCDD_INVALID_ARGUMENT',
      `opset: expected ${opsets.least}…${opsets.most}, received ${opset}`,
    );
  }
  const graph = new GraphBuilder(opset);
  const description = describeInput(metadata, dynamic);
  const image = 'image';
  let x = inputStages(graph, image, metadata, dynamic ? 'any' : 'stored');
  const type: ElementType = fp16 ? 'float16' : 'float';
  if (fp16) x = graph.node('Cast', [x], { to: elementTypes.float16 });
  x = networkNodes(graph, x, metadata.layers, tensors, { type, keepBn });
  if (fp16) x = graph.node('Cast', [x], { to: elementTypes.float });
  outputNodes(graph, x, metadata);

  const batch = dynamic ? 'batch' : 1;
  const { height, width } = metadata.input;
  const field = ops.receptiveField(metadata.layers, metadata.input);
  const file = graph.finish({
    name: 'fcdd',
    version: packageVersion,
    inputs: [
      {
        name: image,
        type: 'uint8',
        shape: [batch, description.height ?? 'height', description.width ?? 'width', 3],
      },
    ],
    outputs: [
      { name: 'score', type: 'float', shape: [batch] },
      { name: 'map', type: 'float', shape: [batch, field.height, field.width] },
      { name: 'heatmap', type: 'float', shape: [batch, height, width] },
    ],
    metadata: properties(metadata, description, options),
  });
  return { file, description };
}

const pictureInput =
  'image: uint8, RGB, batch × height × width × 3 (rows as sharp and OpenCV give them, channels R G B)';

/**
 * The convolutions of a classifier, with their batch normalisations, from normalised pixels on: a backbone to import as
 * weights, here or elsewhere.
 */
export function exportBackbone({ metadata, tensors }: ModelFile): {
  file: readonly Uint8Array[];
  description: ExportDescription;
} {
  const { layers, input } = metadata;
  const end = layers.findIndex(({ kind }) => kind === 'averagepool');
  const backbone = layers.slice(0, end < 0 ? layers.length : end);
  const names = new Set(backbone.flatMap((layer) => ('name' in layer ? [layer.name] : [])));
  const kept = [...tensors].filter(([name]) => names.has(name.slice(0, name.lastIndexOf('.'))));
  return {
    file: writeChain(backbone, new Map(kept), input),
    description: {
      input: `image: float32, normalised, 1 × ${input.channels} × ${input.height} × ${input.width}`,
      height: input.height,
      width: input.width,
      resize: 'the file holds the convolutions alone, for fcdd-native weights import',
    },
  };
}

function describeInput(metadata: ModelMetadata, dynamic: boolean): ExportDescription {
  const { stored, pipeline } = metadata;
  const then = pipeline.resize
    ? `, then to ${pipeline.resize.height}×${pipeline.resize.width} (nearest)`
    : pipeline.height !== stored.height || pipeline.width !== stored.width || stored.fit === 'short-side'
      ? `, then the centre ${pipeline.height}×${pipeline.width}`
      : '';
  const target =
    stored.fit === 'short-side' ? `short side ${stored.height}` : `${stored.height}×${stored.width}`;
  if (dynamic) {
    const resize = `inside the graph: to ${target} (${stored.interpolation})${then}`;
    return { input: pictureInput, height: null, width: null, resize };
  }
  const { height, width } = storedExtent(metadata);
  return {
    input: pictureInput,
    height,
    width,
    resize: `the picture must be brought to ${height}×${width} (${stored.interpolation}) before${then === '' ? '' : `; inside the graph${then.replace(', then', ':')}`}`,
  };
}

/** Pseudo-Huber map without cancellation, its mean, and the Gaussian transposed upsampling, one axis at a time. */
function outputNodes(graph: GraphBuilder, z: string, metadata: ModelMetadata): void {
  const one = graph.constant('float', [], [1]);
  const square = graph.node('Mul', [z, z]);
  const root = graph.node('Sqrt', [graph.node('Add', [square, one])]);
  const map = graph.node('Div', [square, graph.node('Add', [root, one])]);
  meanOf(graph, map, false, 'score');
  graph.node('Squeeze', [map, graph.constant('int64', [1], [1])], {}, 'map');

  const { layers, input, sigma } = metadata;
  const { jump, extent, start, height, width } = ops.receptiveField(layers, input);
  const taps = ops.gaussianTaps(extent, sigma);
  const before = Math.floor((extent - 1) / 2) - Math.floor(start);
  const axis = (count: number, out: number): [number, number] => {
    const after = (count - 1) * jump + extent - before - out;
    if (before < 0 || after < 0) {
      throw new FcddError('FCDD_BAD_MODEL', 'the Gaussian of this network does not reach its input’s border');
    }
    return [before, after];
  };
  const [top, bottom] = axis(height, input.height);
  const [left, right] = axis(width, input.width);
  const down = graph.node('ConvTranspose', [map, graph.constant('float', [1, 1, extent, 1], taps)], {
    kernel_shape: [extent, 1],
    strides: [jump, 1],
    pads: [top, 0, bottom, 0],
  });
  const across = graph.node('ConvTranspose', [down, graph.constant('float', [1, 1, 1, extent], taps)], {
    kernel_shape: [1, extent],
    strides: [1, jump],
    pads: [0, left, 0, right],
  });
  graph.node('Squeeze', [across, graph.constant('int64', [1], [1])], {}, 'heatmap');
}

/** What a program needs beside the outputs; `fcdd` is the whole metadata of the model file. */
function properties(
  metadata: ModelMetadata,
  description: ExportDescription,
  { fp16 = false, keepBn = false }: ExportOptions,
): Record<string, string> {
  const { calibration, heatmapScale } = metadata;
  return {
    input: description.input,
    resize: description.resize,
    threshold: calibration ? String(calibration.threshold) : '',
    threshold_rule: calibration?.rule ?? 'the model has no threshold',
    class_name: metadata.className,
    dataset: metadata.dataset,
    architecture: metadata.architecture,
    heatmap_min: heatmapScale ? String(heatmapScale.min) : '',
    heatmap_max: heatmapScale ? String(heatmapScale.max) : '',
    precision: fp16 ? 'float16' : 'float32',
    batch_norm: keepBn ? 'kept' : 'folded',
    fcdd: JSON.stringify(metadata),
  };
}
