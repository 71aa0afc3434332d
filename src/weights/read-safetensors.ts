import type { Layer } from '../engine/types.js';
import { FcddError } from '../errors.js';
import { readSafetensors, type SafetensorsFile, type Tensor } from '../models/safetensors.js';
import { ChainMismatch } from '../onnx/chain.js';
import { withoutNorms } from './architecture.js';
import { type Candidate, checkValues } from './check.js';
import type { Backbone } from './types.js';

/**
 * Weights from safetensors by name: torchvision's and timm's vgg11_bn (features.N.weight …), model.safetensors of our
 * own runs (conv1.weight …). Other tensors of the file (head, classifier, num_batches_tracked) are not looked at.
 */

/** Wrappers put one of these before every name. */
const prefixes = ['', 'module.', 'model.', 'backbone.'];

const normParts = ['weight', 'bias', 'running_mean', 'running_var'];

/** @throws ChainMismatch when the file holds another network, FcddError FCDD_BAD_MODEL when it is damaged */
export async function readNamedTensors(path: string, { name, layers }: Candidate): Promise<Backbone> {
  const wanted = new Set(layers.flatMap(tensorNames));
  const file = await readSafetensors(path, {
    keep: (key) => prefixes.some((prefix) => key.startsWith(prefix) && wanted.has(key.slice(prefix.length))),
  });
  const first = layers.find((layer) => layer.kind === 'conv')!;
  const prefix = prefixes.find((candidate) => file.tensors.has(`${candidate}${first.name}.weight`));
  if (prefix === undefined)
    throw new ChainMismatch(`it is not ${name}: it has no tensor "${first.name}.weight"`, 0);
  return new Collector(path, name, layers, file, prefix).backbone();
}

function tensorNames(layer: Layer): string[] {
  if (layer.kind === 'conv') return [`${layer.name}.weight`, `${layer.name}.bias`];
  return layer.kind === 'batchnorm' ? normParts.map((part) => `${layer.name}.${part}`) : [];
}

class Collector {
  readonly #path: string;
  readonly #name: string;
  readonly #layers: Layer[];
  readonly #file: SafetensorsFile;
  readonly #prefix: string;
  readonly #tensors = new Map<string, Tensor>();
  #depth = 0;

  constructor(path: string, name: string, layers: Layer[], file: SafetensorsFile, prefix: string) {
    this.#path = path;
    this.#name = name;
    this.#layers = layers;
    this.#file = file;
    this.#prefix = prefix;
  }

  backbone(): Backbone {
    const norms = this.#layers.filter((layer) => layer.kind === 'batchnorm');
    const live = norms.some((layer) => tensorNames(layer).some((name) => this.#has(name)));
    let channels = this.#file.tensors.get(`${this.#prefix}${this.#firstConv()}.weight`)?.shape[1] ?? 0;
    const input = channels;
    for (const layer of this.#layers) {
      if (layer.kind === 'conv') {
        this.#take(`${layer.name}.weight`, [layer.filters, channels, layer.kernel, layer.kernel]);
        if (this.#has(`${layer.name}.bias`)) this.#take(`${layer.name}.bias`, [layer.filters]);
        else
          this.#tensors.set(`${layer.name}.bias`, {
            shape: [layer.filters],
            data: new Float32Array(layer.filters),
          });
        channels = layer.filters;
      }
      if (layer.kind === 'batchnorm' && live)
        for (const name of tensorNames(layer)) this.#take(name, [channels]);
      this.#depth++;
    }
    return {
      architecture: this.#name,
      channels: input,
      bn: live || norms.length === 0 ? 'live' : 'folded',
      layers: live ? this.#layers : withoutNorms(this.#layers),
      tensors: this.#tensors,
    };
  }

  #firstConv(): string {
    return this.#layers.find((layer) => layer.kind === 'conv')!.name;
  }

  #has(name: string): boolean {
    return this.#file.tensors.has(this.#prefix + name);
  }

  #take(name: string, shape: number[]): void {
    const tensor = this.#file.tensors.get(this.#prefix + name);
    if (!tensor)
      throw new ChainMismatch(`it is not ${this.#name}: it lacks the tensor "${name}"`, this.#depth);
    if (tensor.shape.join() !== shape.join()) {
      throw new ChainMismatch(
        `it is not ${this.#name}: "${name}" has the shape ${tensor.shape.join('×')}, expected ${shape.join('×')}`,
        this.#depth,
      );
    }
    if (!(tensor.data instanceof Float32Array || tensor.data instanceof Float64Array))
      throw new FcddError('FCDD_BAD_MODEL', `${this.#path} cannot be imported: "${name}" holds integers`);
    const data = tensor.data instanceof Float32Array ? tensor.data : Float32Array.from(tensor.data);
    checkValues(this.#path, name, data);
    this.#tensors.set(name, { shape, data });
  }
}
