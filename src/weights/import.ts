import { FcddError } from '../errors.js';
import { keptLayers } from './architecture.js';
import { type CachedWeights, checkName, writeWeights } from './cache.js';
import { listPictures, naturalImages } from './natural-images.js';
import { readWeights } from './read.js';
import { recoverNorms } from './recover.js';
import type { BatchNormState } from './types.js';
import { type Verification, verifyBackbone } from './verify.js';

export interface ImportOptions {
  /** The network that the file holds (vgg11, cnn28-w …); default: the only one that fits. */
  as?: string;
  /** Name in the cache; default: the network's, with -folded or -recovered. */
  name?: string;
  /** Compare with onnxruntime-node where it is installed; default true. */
  verify?: boolean;
  /** Folder of photographs to estimate folded batch normalisation from (VGG11). */
  recoverBn?: string;
}

export interface ImportHooks {
  onNote?: (text: string) => void;
}

export interface ImportResult {
  weights: CachedWeights;
  /** Equal weights were in the cache already. */
  existed: boolean;
  /** Null with verify: false. */
  verification: Verification | null;
  /** Of --recover-bn: images, and how far the recovered network is from the folded one in inference (relative L2). */
  recovery: { images: number; distance: number } | null;
}

/** Statistics of a channel settle long before this; more photographs only take time. */
const mostImages = 500;
/** Below this the estimates of γ are a few per cent off. */
const fewImages = 50;

/**
 * Imports the layers before the head from ONNX (exported with torch.onnx.export) or safetensors into the cache.
 * @throws FcddError FCDD_NOT_FOUND, FCDD_BAD_MODEL naming what is wrong with the file, FCDD_INVALID_ARGUMENT, FCDD_DISK
 */
export async function importWeights(
  path: string,
  options: ImportOptions = {},
  hooks: ImportHooks = {},
): Promise<ImportResult> {
  if (options.name !== undefined) checkName(options.name);
  const { backbone: read, source } = await readWeights(
    path,
    options.as === undefined ? {} : { as: options.as },
  );
  if (read.remark) hooks.onNote?.(read.remark);
  const recovered = options.recoverBn === undefined ? null : await recover(read, options.recoverBn, hooks);
  const backbone = recovered?.backbone ?? read;
  const verification = options.verify === false ? null : await verifyBackbone(backbone);
  const { info, existed } = await writeWeights(backbone, {
    name: options.name ?? defaultName(backbone.architecture, backbone.bn),
    source,
    ...(recovered ? { recoveredFrom: recovered.images } : {}),
  });
  return {
    weights: info,
    existed,
    verification,
    recovery: recovered && { images: recovered.images, distance: recovered.distance },
  };
}

const defaultName = (architecture: string, bn: BatchNormState): string =>
  bn === 'live' ? architecture : `${architecture}-${bn}`;

async function recover(
  backbone: Awaited<ReturnType<typeof readWeights>>['backbone'],
  folder: string,
  hooks: ImportHooks,
) {
  const { architecture } = backbone;
  if (architecture !== 'vgg11') {
    throw new FcddError(
      'FCDD_INVALID_ARGUMENT',
      `--recover-bn is for VGG11: how the images of ${architecture} were normalised is not known`,
      { hint: 'export it with batch normalisation kept' },
    );
  }
  const paths = await listPictures(folder, mostImages);
  if (paths.length < fewImages)
    hooks.onNote?.(`few images (${paths.length}): ${fewImages} or more photographs give better estimates`);
  return recoverNorms(backbone, keptLayers(architecture), naturalImages(paths));
}
