import { mkdir, readdir, stat } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { FcddError } from '../errors.js';
import { diskError } from '../files.js';
import { readSafetensors, writeSafetensors } from '../models/safetensors.js';
import { keptLayers, withoutNorms } from './architecture.js';
import { checkValues } from './check.js';
import { contentHash } from './content.js';
import type { Backbone, WeightsInfo } from './types.js';

/**
 * Imported weights in the user's cache folder, one safetensors file each: <name>-<first 16 digits of the content's
 * SHA-256>.safetensors, written atomically, checked when read.
 */

const infoSchema = z.object({
  format: z.literal(1),
  name: z.string(),
  architecture: z.string(),
  channels: z.number().int().positive(),
  bn: z.enum(['live', 'folded', 'recovered']),
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
  source: z.object({ file: z.string(), sha256: z.string(), format: z.enum(['onnx', 'safetensors']) }),
  recoveredFrom: z.number().int().positive().optional(),
});

/** Key of the description in a file's metadata. */
const metadataKey = 'fcdd_weights';

export interface CachedWeights extends WeightsInfo {
  path: string;
  bytes: number;
}

/** A file of the cache that cannot be used. */
export interface DamagedWeights {
  path: string;
  reason: string;
}

/** $FCDD_CACHE/weights, $XDG_CACHE_HOME/fcdd-native/weights, or ~/.cache/fcdd-native/weights. */
export function weightsFolder(): string {
  return join(cacheFolder(), 'weights');
}

export function cacheFolder(): string {
  const { FCDD_CACHE: own, XDG_CACHE_HOME: xdg } = process.env;
  if (own) return own;
  // The specification wants relative paths in XDG_CACHE_HOME ignored.
  return join(xdg?.startsWith('/') ? xdg : join(homedir(), '.cache'), 'fcdd-native');
}

/** What the cache holds, by name. Values are not read: see readCached and verifyWeights. */
export async function listWeights(): Promise<{ weights: CachedWeights[]; damaged: DamagedWeights[] }> {
  const folder = weightsFolder();
  const names = (await readdir(folder).catch(() => []))
    .filter((name) => name.endsWith('.safetensors'))
    .sort();
  const weights: CachedWeights[] = [];
  const damaged: DamagedWeights[] = [];
  for (const name of names) {
    const path = join(folder, name);
    try {
      weights.push(await readInfo(path));
    } catch (error) {
      if (!(error instanceof FcddError)) throw error;
      damaged.push({ path, reason: error.message });
    }
  }
  return { weights, damaged };
}

async function readInfo(path: string): Promise<CachedWeights> {
  const { metadata } = await readSafetensors(path, { keep: () => false });
  const { size } = await stat(path);
  return { ...parseInfo(path, metadata), path, bytes: size };
}

/** Whether a safetensors file is one of ours: then its description, else undefined. */
export async function infoOf(path: string): Promise<WeightsInfo | undefined> {
  const { metadata } = await readSafetensors(path, { keep: () => false });
  return metadata[metadataKey] === undefined ? undefined : parseInfo(path, metadata);
}

function parseInfo(path: string, metadata: Record<string, string>): WeightsInfo {
  const bad = (reason: string): FcddError =>
    new FcddError('FCDD_BAD_MODEL', `${path} is not a weights file of this version: ${reason}`, {
      hint: 'delete it and import the weights again',
    });
  let value: unknown;
  try {
    value = JSON.parse(metadata[metadataKey] ?? 'null');
  } catch {
    throw bad('its description is not JSON');
  }
  const parsed = infoSchema.safeParse(value);
  if (!parsed.success)
    throw bad(`${parsed.error.issues[0]?.path.join('.')}: ${parsed.error.issues[0]?.message}`);
  const { format: _, recoveredFrom, ...info } = parsed.data;
  return recoveredFrom === undefined ? info : { ...info, recoveredFrom };
}

/** Reads weights that `writeWeights` wrote and checks every value. @throws FcddError FCDD_BAD_MODEL when damaged */
export async function readCached(path: string): Promise<{ info: WeightsInfo; backbone: Backbone }> {
  const { tensors, metadata } = await readSafetensors(path);
  const info = parseInfo(path, metadata);
  const kept = keptLayers(info.architecture);
  const backbone: Backbone = {
    architecture: info.architecture,
    channels: info.channels,
    bn: info.bn,
    layers: info.bn === 'folded' ? withoutNorms(kept) : kept,
    tensors,
  };
  if (contentHash(backbone) !== info.sha256) {
    throw new FcddError(
      'FCDD_BAD_MODEL',
      `${path} is damaged: its content does not have the checksum it was written with`,
      {
        hint: 'delete it and import the weights again',
      },
    );
  }
  for (const [name, { data }] of tensors) checkValues(path, name, data as Float32Array);
  return { info, backbone };
}

/**
 * Puts weights into the cache. Equal ones that are there already stay as they are, under their name.
 * @throws FcddError FCDD_INVALID_ARGUMENT when the name is taken by others, FCDD_DISK
 */
export async function writeWeights(
  backbone: Backbone,
  given: Pick<WeightsInfo, 'name' | 'source' | 'recoveredFrom'>,
): Promise<{ info: CachedWeights; existed: boolean }> {
  checkName(given.name);
  const sha256 = contentHash(backbone);
  const { weights } = await listWeights();
  const same = weights.find((candidate) => candidate.sha256 === sha256);
  if (same && (await isWhole(same.path))) return { info: same, existed: true };
  const taken = weights.find((candidate) => candidate.name === given.name && candidate.sha256 !== sha256);
  if (taken) {
    throw new FcddError('FCDD_INVALID_ARGUMENT', `the cache holds other weights called ${given.name}`, {
      hint: `choose another --name, or delete ${taken.path}`,
    });
  }
  const path = join(weightsFolder(), `${given.name}-${sha256.slice(0, 16)}.safetensors`);
  await mkdir(weightsFolder(), { recursive: true }).catch((cause) => {
    throw diskError(weightsFolder(), cause);
  });
  const info = await saveWeights(path, backbone, given);
  return { info: { ...info, path, bytes: (await stat(path)).size }, existed: false };
}

/** Writes one weights file, which readCached reads. */
export async function saveWeights(
  path: string,
  backbone: Backbone,
  given: Pick<WeightsInfo, 'name' | 'source' | 'recoveredFrom'>,
): Promise<WeightsInfo> {
  const { architecture, channels, bn, tensors } = backbone;
  const info: WeightsInfo = { ...given, architecture, channels, bn, sha256: contentHash(backbone) };
  await writeSafetensors(path, tensors, {
    format: 'pt',
    [metadataKey]: JSON.stringify({ format: 1, ...info }),
  });
  return info;
}

async function isWhole(path: string): Promise<boolean> {
  return readCached(path).then(
    () => true,
    () => false,
  );
}

export function checkName(name: string): void {
  if (/^[A-Za-z0-9][\w.-]{0,63}$/.test(name) && name !== 'random') return;
  throw new FcddError('FCDD_INVALID_ARGUMENT', `"${name}" cannot be the name of weights`, {
    hint: 'use letters, digits, dots, dashes and underscores, at most 64; "random" means no weights',
  });
}

export interface VerifiedWeights extends CachedWeights {
  /** Null: whole. */
  problem: string | null;
}

/** Reads weights of the cache again and compares their checksum: all, or those of one name. */
export async function verifyWeights(
  name?: string,
): Promise<{ weights: VerifiedWeights[]; damaged: DamagedWeights[] }> {
  const { weights, damaged } = await listWeights();
  const chosen = weights.filter((info) => name === undefined || info.name === name);
  if (name !== undefined && chosen.length === 0) throw unknownWeights(name, weights);
  const verified: VerifiedWeights[] = [];
  for (const info of chosen) {
    const problem = await readCached(info.path).then(
      () => null,
      (error: Error) => error.message,
    );
    verified.push({ ...info, problem });
  }
  return { weights: verified, damaged: name === undefined ? damaged : [] };
}

export function unknownWeights(name: string, weights: readonly CachedWeights[]): FcddError {
  const names = weights.map((info) => info.name).join(', ');
  return new FcddError(
    'FCDD_NOT_FOUND',
    `there are no weights "${name}", neither in the cache nor as a file`,
    {
      hint: names
        ? `the cache holds ${names} (fcdd-native weights list)`
        : 'the cache is empty: fcdd-native weights pull vgg11_bn, or fcdd-native weights import FILE',
    },
  );
}
