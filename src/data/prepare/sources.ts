/** What `--from` means: archives, single files of a data set, or folders that hold either. */
import { readdir, stat } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { downloadFile } from '../../download.js';
import { FcddError } from '../../errors.js';
import { archiveKind } from '../archives/members.js';
import { catalogue } from './catalogue.js';
import type { Preparing } from './types.js';

export type Source = { kind: 'archive' | 'file' | 'folder'; path: string };

/**
 * Downloads what is a URL and finds out what the rest is. @throws FcddError FCDD_NOT_FOUND,
 * FCDD_INVALID_ARGUMENT
 */
export async function findSources(task: Preparing): Promise<Source[]> {
  const sources: Source[] = [];
  for (const from of task.from) {
    const path = isUrl(from) ? await fetched(from, task) : resolve(from);
    const info = await stat(path).catch(() => null);
    if (!info) throw new FcddError('FCDD_NOT_FOUND', `from: ${path} does not exist`);
    if (info.isDirectory()) sources.push(...(await inFolder(path, task)));
    else sources.push({ kind: await kindOf(path), path });
  }
  return sources;
}

export const isUrl = (from: string): boolean => /^https?:\/\//i.test(from);

async function fetched(url: string, task: Preparing): Promise<string> {
  if (!URL.canParse(url)) throw new FcddError('FCDD_INVALID_ARGUMENT', `from: ${url} is no URL`);
  const address = new URL(url);
  const name = decodeURIComponent(basename(address.pathname)).replace(/[^\w.+-]/g, '_');
  if (name === '' || name.startsWith('.'))
    throw new FcddError('FCDD_INVALID_ARGUMENT', `from: ${url} names no file`);
  const path = join(task.data, '.downloads', name);
  if (await stat(path).catch(() => null)) return path;
  await downloadFile(address, path, {
    signal: task.signal,
    otherwise: 'download the file with a browser, and give its path with --from',
    onProgress: (done, total) => task.onProgress?.('download', done, total ?? 0),
    onNote: task.onNote,
  });
  task.onNote?.(`downloaded ${path}`);
  return path;
}

async function kindOf(path: string): Promise<'archive' | 'file'> {
  const kind = await archiveKind(path);
  return kind === null || kind === 'gz' ? 'file' : 'archive';
}

/**
 * The data set's archives by their published names where some are there, else any archives directly in the
 * folder; else the folder itself is the data.
 */
async function inFolder(folder: string, task: Preparing): Promise<Source[]> {
  const names = (await readdir(folder)).filter((name) => !name.startsWith('.')).sort();
  const known = catalogue[task.name].archives.map(({ name }) => name);
  const found: Source[] = [];
  for (const name of names) {
    if (!known.includes(name) && !/\.(tar|tgz|tar\.(gz|xz)|zip)$/i.test(name)) continue;
    const path = join(folder, name);
    if (!(await stat(path)).isFile()) continue;
    const kind = await kindOf(path);
    if (kind === 'archive' || known.includes(name)) found.push({ kind, path });
  }
  // ImageNet's folders may stand beside the archive of its labels.
  const unpacked = task.name === 'imagenet' && names.some((name) => /^(train|val|ILSVRC)$/.test(name));
  const rest: Source[] = unpacked ? [{ kind: 'folder', path: folder }] : [];
  const published = found.filter(({ path }) => known.includes(basename(path)));
  if (published.length > 0) return [...published, ...rest];
  return found.length > 0 && !unpacked ? found : [{ kind: 'folder', path: folder }];
}
