import { z } from 'zod';
import type { Layer, Method, Network, Pipeline } from '../engine/types.js';
import { FcddError } from '../errors.js';
import { readSafetensors, type Tensor, writeSafetensors } from './safetensors.js';

/**
 * A trained detector in one safetensors file: weights as PyTorch names them (convolutions OIHW, float32) and, as
 * metadata, everything that inference needs: layers, preprocessing with its constants, Gaussian, calibration.
 * The bytes are a pure function of data, method settings and seed: no time, threads, paths or host names.
 */

const extent = z.number().int().positive().max(65_535);
const layerSchema = z.discriminatedUnion('kind', [
  z.object({
    kind: z.literal('conv'),
    name: z.string().min(1),
    filters: z.number().int().positive().max(65_536),
    kernel: z.number().int().positive().max(99),
    stride: z.number().int().min(1).max(8).optional(),
    padding: z.number().int().min(0).max(99).optional(),
    bias: z.boolean().optional(),
    frozen: z.boolean().optional(),
    init: z.enum(['default', 'xavier', 'kaiming', 'small-normal']).optional(),
    transposed: z.boolean().optional(),
  }),
  z.object({
    kind: z.literal('batchnorm'),
    name: z.string().min(1),
    eps: z.number().positive().optional(),
    momentum: z.number().min(0).max(1).optional(),
    affine: z.boolean().optional(),
    frozen: z.boolean().optional(),
  }),
  z.object({ kind: z.literal('relu'), frozen: z.boolean().optional() }),
  z.object({ kind: z.literal('lrelu'), slope: z.number().optional(), frozen: z.boolean().optional() }),
  z.object({
    kind: z.literal('maxpool'),
    kernel: z.number().int().positive().max(99),
    stride: z.number().int().min(1).max(99).optional(),
    padding: z.number().int().min(0).max(49).optional(),
    frozen: z.boolean().optional(),
  }),
  z.object({
    kind: z.literal('reshape'),
    channels: z.number().int().positive().max(65_536),
    height: extent,
    width: extent,
    frozen: z.boolean().optional(),
  }),
  z.object({
    kind: z.literal('averagepool'),
    height: extent,
    width: extent,
    frozen: z.boolean().optional(),
  }),
  z.object({
    kind: z.literal('dropout'),
    probability: z.number().min(0).lt(1).optional(),
    frozen: z.boolean().optional(),
  }),
  z.object({ kind: z.literal('nearest'), frozen: z.boolean().optional() }),
  z.object({ kind: z.literal('sigmoid'), frozen: z.boolean().optional() }),
]);

const numbers = z.array(z.number()).min(1).max(3);
const channels = z.union([z.literal(1), z.literal(3)]);

/** Unknown fields are ignored, so that a newer minor version can add some. */
const metadataSchema = z.object({
  /** Format of this metadata; a higher number is refused. */
  format: z.literal(1),
  architecture: z.string(),
  layers: z.array(layerSchema).min(1).max(1000),
  /** What training started from; absent: random values in all layers. */
  start: z
    .object({
      /** SHA-256 of the imported weights' content, and the state of their batch normalisation. */
      weights: z.object({ sha256: z.string(), bn: z.string() }).nullable(),
      freezeUntil: z.string().optional(),
      frozenBn: z.string().optional(),
    })
    .optional(),
  input: z.object({ channels, height: extent, width: extent }),
  dataset: z.string(),
  className: z.string(),
  preprocessing: z.enum(['lcnaug1', 'aug1']),
  /** How an image file becomes bytes. */
  stored: z.object({
    fit: z.enum(['exact', 'short-side', 'native']),
    height: extent,
    width: extent,
    interpolation: z.enum(['nearest', 'area', 'bilinear']),
  }),
  /** How bytes become the network's input (the test pipeline, constants included). */
  pipeline: z.object({
    height: extent,
    width: extent,
    channels,
    resize: z.object({ height: extent, width: extent }).optional(),
    pad: z.number().int().min(0).max(1024).optional(),
    lcn: z.boolean().optional(),
    offset: numbers,
    scale: numbers,
  }),
  objective: z.object({ pixelwise: z.boolean() }),
  /** Names of test images that were trained on (semi-supervised): evaluating on them is not honest. */
  trainedOn: z.array(z.string()).optional(),
  /** Absent: FCDD. */
  method: z
    .object({
      name: z.enum(['hsc', 'ae', 'dsvdd', 'classify']),
      /** dsvdd: what outputs are compared with. */
      centre: z
        .array(z.number())
        .max(1 << 20)
        .optional(),
      /** Extent of the Gaussian that blurs heatmaps, in pixels. */
      blur: z.number().int().min(0).max(65_535).optional(),
      /** classify: names, in the order of the outputs. */
      classes: z.array(z.string()).max(256).optional(),
    })
    .optional(),
  /** σ of the Gaussian upsampling, in pixels of the network's input. */
  sigma: z.number().positive(),
  /** Quantile that the heatmap scale was taken at. */
  quantile: z.number().min(0).max(1),
  /** Range of heatmap values shown as blue … red: of held-out normal and synthetic anomalous images, never per image. */
  heatmapScale: z.object({ min: z.number(), max: z.number() }).nullable(),
  calibration: z
    .object({
      threshold: z.number(),
      rule: z.string(),
      n: z.number().int(),
      falseAlarmRate: z.number(),
      guaranteedRate: z.number(),
      likely: z.object({ low: z.number(), high: z.number() }),
      note: z.string(),
      /** Sorted scores of held-out normal images (≤ 1000). */
      scores: z.array(z.number()).max(1000),
      /** Quantiles 0, 1/1000 … 1 of their pixel scores (≤ 1001). */
      pixelQuantiles: z.array(z.number()).max(1001),
    })
    .nullable(),
});

/**
 * Pipeline of a model file: without the random stages, which inference does not have. With
 * exactOptionalPropertyTypes a parsed optional may be undefined, so the type is written by hand.
 */
export interface ModelMetadata
  extends Omit<z.infer<typeof metadataSchema>, 'layers' | 'pipeline' | 'start' | 'method'> {
  start?: {
    weights: { sha256: string; bn: string } | null;
    freezeUntil?: string;
    frozenBn?: string;
  };
  layers: Layer[];
  method?: { name: Exclude<Method, 'fcdd'>; centre?: number[]; blur?: number; classes?: string[] };
  pipeline: {
    height: number;
    width: number;
    channels: 1 | 3;
    resize?: { height: number; width: number };
    pad?: number;
    lcn?: boolean;
    offset: number[];
    scale: number[];
  };
}

export interface ModelFile {
  metadata: ModelMetadata;
  /** "<layer>.weight|bias|running_mean|running_var" → float32 (or float64) values. */
  tensors: Map<string, Tensor>;
}

/** Writes a model file atomically. */
export async function writeModel(path: string, model: ModelFile): Promise<void> {
  await writeSafetensors(path, model.tensors, { format: 'pt', fcdd: JSON.stringify(model.metadata) });
}

/**
 * Reads a model file of a stranger: nothing in it is trusted.
 * @throws FcddError FCDD_NOT_FOUND or FCDD_BAD_MODEL
 */
export async function readModel(path: string): Promise<ModelFile> {
  const { tensors, metadata } = await readSafetensors(path);
  const text = metadata.fcdd;
  if (text === undefined) {
    throw new FcddError('FCDD_BAD_MODEL', `${path} holds tensors but no fcdd-native metadata`, {
      hint: 'give the model.safetensors of a run folder, written by fcdd-native train',
    });
  }
  const parsed = metadataSchema.safeParse(parseJson(text, path));
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    throw new FcddError('FCDD_BAD_MODEL', `${path}: metadata ${issue?.path.join('.')}: ${issue?.message}`, {
      hint: 'was it written by a newer version of fcdd-native?',
    });
  }
  return { metadata: parsed.data as ModelMetadata, tensors };
}

function parseJson(text: string, path: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new FcddError('FCDD_BAD_MODEL', `${path}: its metadata is not JSON`, { cause });
  }
}

/** What a model file keeps of a test pipeline: inference has no random stages. */
export function inferencePipeline(test: Pipeline): ModelMetadata['pipeline'] {
  const { height, width, channels, resize, pad, lcn, offset, scale } = test;
  return {
    height,
    width,
    channels,
    ...(resize ? { resize } : {}),
    ...(pad === undefined ? {} : { pad }),
    ...(lcn === undefined ? {} : { lcn }),
    offset,
    scale,
  };
}

/** All tensors of a network as a model file holds them. */
export async function networkTensors(network: Network): Promise<Map<string, Tensor>> {
  const tensors = new Map<string, Tensor>();
  for (const { name, shape } of network.tensors)
    tensors.set(name, { shape, data: Float32Array.from(await network.get(name)) });
  return tensors;
}
