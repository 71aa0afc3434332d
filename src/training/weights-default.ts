import { FcddError } from '../errors.js';
import { architecture } from '../models/index.js';
import { weightsArchitecture } from '../weights/architecture.js';
import type { WeightsInfo } from '../weights/types.js';

/** What a run starts from when it is not told, given what the cache holds. */

interface Asked {
  weights?: string | undefined;
  frozenBn?: 'live' | 'fixed' | undefined;
}

/** Export that keeps batch normalisation as nodes of its own (torch.onnx of PyTorch 1.x and later). */
export const exportLine =
  "torch.onnx.export(model.eval(), x, 'vgg11_bn.onnx', training=torch.onnx.TrainingMode.PRESERVE, do_constant_folding=False)";

/** How to get weights that training can use. */
export const howToImport =
  'fcdd-native weights pull vgg11_bn downloads them; fcdd-native weights import FILE takes timm/vgg11_bn.tv_in1k ' +
  `(safetensors) or an ONNX export that keeps batch normalisation: ${exportLine}`;

const usable = (model: string, { frozenBn }: Asked, cached: readonly WeightsInfo[]): WeightsInfo[] =>
  cached.filter(
    ({ architecture: name, bn }) =>
      name === weightsArchitecture(model) && (bn !== 'folded' || frozenBn === 'fixed'),
  );

/**
 * The published runs of mvtec and folder start from ImageNet weights; without them cnn224 is the sensible net. One line
 * says which it is and why.
 */
export function defaultModel(
  published: string,
  asked: Asked,
  cached: readonly WeightsInfo[],
  notes: string[],
): string {
  if (!architecture(published).pretrained) return published;
  if (asked.weights !== undefined) {
    notes.push(`model ${published}, as published, with the weights ${asked.weights}`);
    return published;
  }
  if (usable(published, asked, cached).length > 0) {
    const weights = defaultWeights(published, asked, cached);
    notes.push(`model ${published}, as published: its weights are at hand (${weights} in the cache)`);
    return published;
  }
  notes.push(
    `model cnn224: the published ${published} needs ImageNet weights, which are not at hand (fcdd-native weights pull vgg11_bn)`,
  );
  return 'cnn224';
}

/**
 * Name of the cached weights that a pretrained net starts from; undefined for nets that start from random ones.
 * @throws FcddError FCDD_INVALID_ARGUMENT with the command to run, when there are none
 */
export function defaultWeights(
  model: string,
  asked: Asked,
  cached: readonly WeightsInfo[],
): string | undefined {
  if (!architecture(model).pretrained) return undefined;
  const found = usable(model, asked, cached);
  const name = weightsArchitecture(model);
  const best =
    found.find((info) => info.name === name) ??
    (['live', 'recovered', 'folded'] as const)
      .map((bn) => found.filter((info) => info.bn === bn))
      .find((group) => group.length > 0);
  if (best === undefined) throw noWeights(model, name, cached);
  if (!Array.isArray(best)) return best.name;
  if (best.length === 1) return best[0]!.name;
  throw new FcddError('FCDD_INVALID_ARGUMENT', `the cache holds several weights for ${model}`, {
    hint: `choose with --weights: ${best.map((info) => info.name).join(', ')}`,
  });
}

function noWeights(model: string, name: string, cached: readonly WeightsInfo[]): FcddError {
  const folded = cached.find((info) => info.architecture === name && info.bn === 'folded');
  if (folded) return foldedRefused(model, folded.name);
  return new FcddError(
    'FCDD_INVALID_ARGUMENT',
    `${model} starts from ImageNet weights, and none are imported`,
    {
      hint: `${howToImport}; --weights random trains it from scratch all the same, --model cnn224 is a smaller net`,
    },
  );
}

/** Training with live batch normalisation cannot start from weights that have it folded in. */
export function foldedRefused(model: string, name: string): FcddError {
  return new FcddError(
    'FCDD_INVALID_ARGUMENT',
    `${model} trains with live batch normalisation, which the weights "${name}" have folded into their convolutions`,
    {
      hint:
        `export them anew so that it is kept: ${exportLine}; or import the safetensors of timm/vgg11_bn.tv_in1k ` +
        '(fcdd-native weights pull vgg11_bn), estimate it from photographs (weights import FILE --recover-bn IMAGES), ' +
        'or freeze the first layers without it: --frozen-bn fixed',
    },
  );
}
