import { createHash } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { downloadFile, parseUrl } from '../download.js';
import { FcddError } from '../errors.js';
import { cacheFolder } from './cache.js';
import { type ImportHooks, type ImportOptions, type ImportResult, importWeights } from './import.js';

/** Torchvision's ImageNet weights (IMAGENET1K_V1) as timm publishes them, 531 MB with batch normalisation. */
const published: Record<string, { url: string; as: string }> = {
  vgg11_bn: {
    url: 'https://huggingface.co/timm/vgg11_bn.tv_in1k/resolve/main/model.safetensors',
    as: 'vgg11',
  },
};

export interface PullOptions extends Omit<ImportOptions, 'recoverBn'> {
  /** Default: $FCDD_WEIGHTS_URL, or where the weights are published. */
  url?: string;
  /** Expected SHA-256 of the file; default: the one that the server names (Hugging Face does), if any. */
  sha256?: string;
  signal?: AbortSignal;
}

export interface PullHooks extends ImportHooks {
  onProgress?: (done: number, total: number | null) => void;
  /** Milliseconds before the second attempt, doubled for each further one; default 1000. */
  retryDelay?: number;
}

export interface PullResult extends ImportResult {
  url: string;
  /** Of the file, and whether it could be compared with an expected one. */
  sha256: string;
  checked: boolean;
}

/**
 * Downloads and imports weights.
 * @param what vgg11_bn
 * @throws FcddError FCDD_NETWORK, FCDD_BAD_DATA for a wrong checksum, and those of importWeights
 */
export async function pullWeights(
  what: string,
  options: PullOptions = {},
  hooks: PullHooks = {},
): Promise<PullResult> {
  const known = published[what];
  if (!known) {
    throw new FcddError('FCDD_INVALID_ARGUMENT', `there are no published weights "${what}"`, {
      hint: `choose one of ${Object.keys(published).join(', ')}; other files: fcdd-native weights import FILE`,
    });
  }
  const { url: given, sha256, signal, ...rest } = options;
  const url = parseUrl(given ?? (process.env.FCDD_WEIGHTS_URL || known.url));
  if (sha256 !== undefined && !/^[0-9a-f]{64}$/i.test(sha256))
    throw new FcddError('FCDD_INVALID_ARGUMENT', `"${sha256}" is not a SHA-256: 64 hexadecimal digits`);
  const folder = join(
    cacheFolder(),
    'downloads',
    createHash('sha256').update(url.href).digest('hex').slice(0, 16),
  );
  const target = join(folder, basename(url.pathname) || 'weights');
  const done = await downloadFile(url, target, {
    ...hooks,
    sha256,
    signal,
    otherwise: '--url or FCDD_WEIGHTS_URL names another address',
  });
  const result = await importWeights(target, { as: known.as, ...rest }, hooks);
  await rm(folder, { recursive: true, force: true });
  return { ...result, url: url.href, ...done };
}
