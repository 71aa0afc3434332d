import type { Layer } from '../engine/types.js';
import { FcddError } from '../errors.js';
import { architecture } from '../models/index.js';

/** What decides the layers of a run. */
export interface LayerChoice {
  model: string;
  bias: boolean;
  freezeUntil?: string | undefined;
  frozenBn?: 'live' | 'fixed' | undefined;
}

/**
 * Layers of a run: those of its architecture, with what the user wants frozen.
 * @throws FcddError FCDD_INVALID_ARGUMENT naming the layers that could be meant
 */
export function runLayers({ model, bias, freezeUntil, frozenBn }: LayerChoice): Layer[] {
  const layers = architecture(model).layers({ bias });
  const frozen = freezeUntil === undefined ? layers : freeze(layers, freezeUntil, model);
  if (frozenBn !== 'fixed') return frozen;
  const rest = frozen.filter((layer) => !(layer.kind === 'batchnorm' && layer.frozen));
  if (rest.length < frozen.length) return rest;
  throw new FcddError(
    'FCDD_INVALID_ARGUMENT',
    `--frozen-bn fixed has no use: ${model} has no frozen batch normalisation`,
    {
      hint: 'use --model vgg11-f, or freeze layers with --freeze-until',
    },
  );
}

/**
 * Freezes everything up to and including the block of a layer: a convolution with its normalisation, activation and
 * pool. As in vgg11-f, normalisation there still runs on batch statistics.
 */
function freeze(layers: readonly Layer[], until: string, model: string): Layer[] {
  const names = moduleNames(layers);
  const starts = layers.flatMap((layer, index) => (layer.kind === 'conv' ? [index] : []));
  const at = names.indexOf(until);
  // The block of the head cannot be frozen: nothing would be left to train.
  const end = at < 0 ? undefined : starts.find((start) => start > at);
  if (end === undefined) {
    const blocks = starts.slice(0, -1).map((start) => names[start]);
    throw new FcddError(
      'FCDD_INVALID_ARGUMENT',
      `--freeze-until ${until}: ${model} has no such layer before its head`,
      {
        hint: `choose one of ${blocks.join(', ')}; each with the normalisation, activation and pool that follow it`,
      },
    );
  }
  return layers.map((layer, index) => ({ ...layer, frozen: index < end }));
}

/** Names of all layers: VGG's are numbered modules, so those without a name have their number too. */
function moduleNames(layers: readonly Layer[]): (string | undefined)[] {
  let number: number | undefined;
  return layers.map((layer) => {
    const own = 'name' in layer ? layer.name : undefined;
    const found = own === undefined ? undefined : /^features\.(\d+)$/.exec(own)?.[1];
    if (own !== undefined) number = found === undefined ? undefined : Number(found);
    else if (number !== undefined) number++;
    return own ?? (number === undefined ? undefined : `features.${number}`);
  });
}
