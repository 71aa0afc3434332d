import { open, stat } from 'node:fs/promises';
import { basename } from 'node:path';
import { FcddError } from '../errors.js';
import { fileHash } from '../files.js';
import type { Tensor } from '../models/safetensors.js';
import { ChainMismatch, matchChain } from '../onnx/chain.js';
import { type OnnxGraph, withOnnxGraph } from '../onnx/read-graph.js';
import { checkArchitecture, keptLayers, weightsArchitectures, withoutNorms } from './architecture.js';
import { type Candidate, checkValues } from './check.js';
import { readNamedTensors } from './read-safetensors.js';
import type { Backbone, WeightsSource } from './types.js';

/** Weights of a stranger's file: ONNX or safetensors, told apart by content. Only tensors that are kept are read. */

export interface ReadWeightsOptions {
  /** The network that the file holds; default: the only one of ours that fits. */
  as?: string;
}

/**
 * @throws FcddError FCDD_NOT_FOUND, FCDD_BAD_MODEL naming what is wrong, FCDD_INVALID_ARGUMENT for an unknown `as`
 */
export async function readWeights(
  path: string,
  options: ReadWeightsOptions = {},
): Promise<{ backbone: Backbone; source: WeightsSource }> {
  const candidates = (
    options.as === undefined ? weightsArchitectures() : [checkArchitecture(options.as)]
  ).map((name) => ({ name, layers: keptLayers(name) }));
  const format = await formatOf(path);
  const backbone = await readBackbone(path, format, candidates);
  return { backbone, source: { file: basename(path), sha256: await fileHash(path), format } };
}

/** The first of `candidates` that the file fits; the error is about the one that fitted furthest (the last of them). */
export async function readBackbone(
  path: string,
  format: WeightsSource['format'],
  candidates: readonly Candidate[],
): Promise<Backbone> {
  let nearest: ChainMismatch | undefined;
  const attempt = async (read: (candidate: Candidate) => Promise<Backbone>): Promise<Backbone> => {
    for (const candidate of candidates) {
      try {
        return await read(candidate);
      } catch (error) {
        if (!(error instanceof ChainMismatch)) throw error;
        if (!nearest || error.depth >= nearest.depth) nearest = error;
      }
    }
    throw new FcddError('FCDD_BAD_MODEL', `${path} cannot be imported: ${nearest?.message}`, {
      hint:
        candidates.length > 1
          ? `--as NAME reads it as one network: ${candidates.map(({ name }) => name).join(', ')}`
          : 'only what follows the last layer kept may differ',
    });
  };
  if (format === 'safetensors') return attempt((candidate) => readNamedTensors(path, candidate));
  return withOnnxGraph(path, (graph) => attempt((candidate) => fromGraph(path, graph, candidate)));
}

const inTrainingMode =
  'the file was exported in training mode (TrainingMode.TRAINING), which moves the running statistics a little while it ' +
  'traces; TrainingMode.PRESERVE with model.eval() leaves them as they were';

async function fromGraph(path: string, graph: OnnxGraph, { name, layers }: Candidate): Promise<Backbone> {
  const { bindings, bn, channels, traced } = matchChain(graph, layers, name);
  const tensors = new Map<string, Tensor>();
  for (const { tensor, shape, source } of bindings) {
    const count = shape.reduce((product, extent) => product * extent, 1);
    const data = source ? await graph.read(source) : new Float32Array(count);
    checkValues(path, tensor, data);
    tensors.set(tensor, { shape, data });
  }
  return {
    architecture: name,
    channels,
    bn,
    layers: bn === 'live' ? layers : withoutNorms(layers),
    tensors,
    ...(traced ? { remark: inTrainingMode } : {}),
  };
}

const headBytes = 64;

/** ONNX has no signature: it is what nothing else is. */
async function formatOf(path: string): Promise<WeightsSource['format']> {
  const found = await stat(path).catch(() => undefined);
  if (!found?.isFile()) throw new FcddError('FCDD_NOT_FOUND', `cannot read ${path}: no such file`);
  const file = await open(path, 'r');
  const head = Buffer.alloc(headBytes);
  try {
    await file.read(head, 0, headBytes, 0);
  } finally {
    await file.close();
  }
  const text = head.toString('latin1').toLowerCase();
  const refuse = (what: string, hint: string): FcddError =>
    new FcddError('FCDD_BAD_MODEL', `${path} is ${what}, not ONNX or safetensors`, { hint });
  if (found.size === 0) throw refuse('an empty file', 'download it again');
  if (text.startsWith('pk\x03\x04') || (head[0] === 0x80 && head[1]! >= 2 && head[1]! <= 5)) {
    throw refuse('a PyTorch pickle (.pth), which can run any code when it is read', conversion(path));
  }
  if (/^\s*<(!doctype|html|\?xml)/.test(text)) throw refuse('a web page', 'the download went wrong');
  if (text.startsWith('version https://git-lfs'))
    throw refuse('a pointer of Git LFS', 'fetch the file itself: git lfs pull');
  if (text.startsWith('\x89hdf')) throw refuse('an HDF5 file', 'export the network as ONNX');
  return text[8] === '{' && head.readBigUInt64LE(0) < 1n << 32n ? 'safetensors' : 'onnx';
}

/** One line of Python that turns a pickled state dict into safetensors without running what is in it. */
const conversion = (path: string): string => {
  const name = basename(path);
  const target = name.replace(/\.[^.]*$/, '') + '.safetensors';
  return (
    `convert it: python3 -c "import torch; from safetensors.torch import save_file; ` +
    `save_file({k: v.contiguous() for k, v in torch.load('${name}', map_location='cpu', weights_only=True).items()}, '${target}')"`
  );
};
