import type { Layer } from '../engine/types.js';
import { FcddError } from '../errors.js';
import { architecture, architectures } from '../models/index.js';

/** The three VGG nets differ only in how they are trained: they share weights under one name. */
export const weightsArchitecture = (model: string): string => (/^vgg11(-|$)/.test(model) ? 'vgg11' : model);

/** Names that weights can be imported as. */
export const weightsArchitectures = (): string[] => [
  ...new Set(
    architectures
      .filter(({ name }) => keptLayers(name).length > 0)
      .map(({ name }) => weightsArchitecture(name)),
  ),
];

const understood = new Set(['conv', 'batchnorm', 'relu', 'lrelu', 'maxpool']);
const head = 'conv_final';

/** Layers before the head, nothing frozen; none where a net has layers that cannot be imported. */
export function keptLayers(model: string): Layer[] {
  const layers = architecture(model)
    .layers({ bias: true })
    .filter((layer) => !(layer.kind === 'conv' && layer.name === head));
  if (!layers.every(({ kind }) => understood.has(kind))) return [];
  return layers.map(({ frozen: _, ...layer }) => layer as Layer);
}

/** @throws FcddError FCDD_INVALID_ARGUMENT for a net whose weights cannot be imported */
export function checkArchitecture(model: string): string {
  const name = weightsArchitecture(architecture(model).name);
  if (keptLayers(name).length > 0) return name;
  throw new FcddError('FCDD_INVALID_ARGUMENT', `weights of ${model} cannot be imported`, {
    hint: `choose one of ${weightsArchitectures().join(', ')}`,
  });
}

export const withoutNorms = (layers: readonly Layer[]): Layer[] =>
  layers.filter(({ kind }) => kind !== 'batchnorm');
