import { mkdir, readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { FcddError } from '../errors.js';
import { diskError, writeFileAtomic } from '../files.js';

/** Where a run keeps its things. Every file is replaced atomically, so that a reader never sees half of one. */
export const runFiles = {
  config: 'config.json',
  history: 'history.json',
  metrics: 'metrics.json',
  scores: 'scores.csv',
  model: 'model.safetensors',
  checkpoint: 'checkpoint.safetensors',
  preview: 'preview.png',
  foreground: 'foreground.png',
  heatmaps: 'heatmaps',
  maps: 'maps',
  loss: 'loss.svg',
  roc: 'roc.svg',
  page: 'index.html',
} as const;

/** A folder for a new run: `out`, or runs/<name>-<n> with the first free n. Refuses one that holds a run already. */
export async function createRunFolder(out: string | undefined, name: string): Promise<string> {
  if (out !== undefined) {
    if (await holdsRun(out)) {
      throw new FcddError('FCDD_INVALID_ARGUMENT', `${out} already holds a run`, {
        hint: 'go on with it (--resume), or choose another folder with --out',
      });
    }
    await makeFolder(out);
    return out;
  }
  const slug = name
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-|-$/g, '');
  for (let n = 1; ; n++) {
    const candidate = join('runs', `${slug}-${n}`);
    await makeFolder('runs');
    try {
      // mkdir is atomic: two runs started at once never share a folder.
      await mkdir(candidate);
      return candidate;
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code !== 'EEXIST') throw diskError(candidate, cause);
    }
  }
}

/** The folder that --resume means: `out`, or the run of runs/ that was written to last. */
export async function findRunFolder(out: string | undefined): Promise<string> {
  if (out !== undefined) return out;
  const candidates = await readdir('runs', { withFileTypes: true }).catch(() => []);
  let latest: { path: string; time: number } | undefined;
  for (const entry of candidates) {
    const path = join('runs', entry.name);
    const config = await stat(join(path, runFiles.config)).catch(() => undefined);
    const checkpoint = await stat(join(path, runFiles.checkpoint)).catch(() => undefined);
    if (!config) continue;
    const time = Math.max(config.mtimeMs, checkpoint?.mtimeMs ?? 0);
    if (!latest || time > latest.time) latest = { path, time };
  }
  if (latest) return latest.path;
  throw new FcddError('FCDD_NOT_FOUND', 'there is no run to resume under runs/', {
    hint: 'name its folder with --out',
  });
}

export async function holdsRun(folder: string): Promise<boolean> {
  return (await stat(join(folder, runFiles.config)).catch(() => undefined)) !== undefined;
}

export async function makeFolder(path: string): Promise<void> {
  try {
    await mkdir(path, { recursive: true });
  } catch (cause) {
    throw diskError(path, cause);
  }
}

export async function writeJson(folder: string, name: string, value: unknown): Promise<void> {
  await writeFileAtomic(join(folder, name), `${JSON.stringify(value, null, 2)}\n`);
}

/** Reads a JSON file of a run; undefined when it is not there. */
export async function readJson(path: string): Promise<unknown> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new FcddError('FCDD_NOT_FOUND', `cannot read ${path}: ${(cause as Error).message}`, { cause });
  }
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new FcddError('FCDD_BAD_DATA', `${path} is not JSON: ${(cause as Error).message}`, { cause });
  }
}
