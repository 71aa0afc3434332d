import { createReadStream } from 'node:fs';
import { readFile, realpath, stat } from 'node:fs/promises';
import { basename, join, relative, resolve, sep } from 'node:path';
import { FcddError } from '../../errors.js';
import { fileHash, writeFileAtomic } from '../../files.js';
import { makeFolder } from '../../training/run-folder.js';
import { scanEverything } from '../scan.js';
import { catalogue, whereToGet } from './catalogue.js';
import { countUnpacked } from './counts.js';
import { prepareImagenet } from './imagenet.js';
import { targets } from './members.js';
import { findSources, type Source } from './sources.js';
import {
  type PrepareDataOptions,
  type PreparedData,
  type Preparing,
  preparableNames,
  throwIfStopped,
  type UsedArchive,
} from './types.js';
import { createWriter, unpack } from './unpack.js';

export const markerFile = 'prepared.json';

/**
 * @param name one of `preparableNames`
 * @throws FcddError FCDD_INVALID_ARGUMENT, FCDD_NOT_FOUND, FCDD_BAD_DATA (archive), FCDD_DISK, FCDD_ABORTED
 */
export async function prepareData(name: string, options: PrepareDataOptions): Promise<PreparedData> {
  try {
    return await prepareKnown(name, options);
  } catch (cause) {
    if (!(cause instanceof FcddError) || cause.code !== 'FCDD_DISK') throw cause;
    throw new FcddError('FCDD_DISK', cause.message, {
      hint: 'what is done stays: make room (or choose another folder with --data), and run the same command again',
      cause,
    });
  }
}

async function prepareKnown(name: string, options: PrepareDataOptions): Promise<PreparedData> {
  const known = preparableNames.find((one) => one === (name === 'pascal-voc' ? 'voc' : name));
  if (!known) {
    const list = preparableNames.join(', ');
    throw new FcddError('FCDD_INVALID_ARGUMENT', `data set: expected one of ${list}, received '${name}'`);
  }
  const set = catalogue[known];
  if (options.from.length === 0) {
    throw new FcddError('FCDD_INVALID_ARGUMENT', 'from: name an archive, a folder or a URL', {
      hint: whereToGet(set),
    });
  }
  const warnings: string[] = [];
  const warn = (text: string): void => {
    warnings.push(text);
    options.onWarning?.(text);
  };
  const folder = resolve(options.data, set.folder);
  await makeFolder(folder);
  const noted = await readMarker(folder);
  const task: Preparing = {
    ...options,
    name: known,
    folder,
    before: noted?.archives ?? [],
    complete: noted?.complete ?? false,
    warn,
  };
  const sources = await findSources(task);
  const made =
    known === 'imagenet' || known === 'imagenet22k'
      ? await prepareImagenet(known, sources, task)
      : await prepareUnpacked(known, sources, task);
  compareCounts(known, made.counts, warn);
  const prepared: PreparedData = {
    dataset: known,
    folder,
    complete: made.missing.length === 0,
    counts: made.counts,
    archives: [
      ...task.before.filter(({ path }) => !made.archives.some((archive) => archive.path === path)),
      ...made.archives,
    ],
    missing: made.missing,
    warnings,
    broken: made.broken.slice(0, 1000),
  };
  await writeFileAtomic(join(folder, markerFile), `${JSON.stringify({ format: 1, ...prepared }, null, 2)}\n`);
  return prepared;
}

/** What an earlier run wrote; null when there was none, or none that can be read. */
async function readMarker(folder: string): Promise<PreparedData | null> {
  const content = await readFile(join(folder, markerFile), 'utf8').catch(() => 'null');
  try {
    const marker = JSON.parse(content) as PreparedData | null;
    return Array.isArray(marker?.archives) ? marker : null;
  } catch {
    return null;
  }
}

export interface Made {
  counts: Record<string, number>;
  archives: UsedArchive[];
  missing: string[];
  broken: PreparedData['broken'];
}

async function prepareUnpacked(
  name: Exclude<Preparing['name'], 'imagenet' | 'imagenet22k'>,
  sources: readonly Source[],
  task: Preparing,
): Promise<Made> {
  const archives: UsedArchive[] = [];
  for (const source of sources) {
    throwIfStopped(task.signal);
    if (source.kind === 'folder') await copyFolder(source.path, targets[name], task);
    else if (source.kind === 'file') archives.push(await copyFile(source.path, targets[name], task));
    else archives.push(await unpackInto(source.path, targets[name], task));
  }
  const { counts, missing } = await countUnpacked(name, task.folder);
  if (Object.values(counts).every((count) => count === 0)) {
    const read = sources.map(({ path }) => path).join(', ');
    throw new FcddError('FCDD_BAD_DATA', `nothing of ${catalogue[name].title} was found in ${read}`, {
      hint: whereToGet(catalogue[name]),
    });
  }
  return { counts, archives, missing, broken: [] };
}

async function unpackInto(
  path: string,
  target: (name: string) => string | null,
  task: Preparing,
): Promise<UsedArchive> {
  const before = await alreadyUnpacked(path, task);
  if (before) {
    task.onNote?.(`${path} was unpacked before`);
    return before;
  }
  const { md5, written, kept } = await unpack(path, task.folder, target, {
    signal: task.signal,
    onProgress: (done, total) => task.onProgress?.(`unpack ${basename(path)}`, done, total),
  });
  task.onNote?.(`${path}: ${written} files unpacked${kept > 0 ? `, ${kept} were there already` : ''}`);
  if (written + kept === 0) task.warn(`${path} holds nothing of ${catalogue[task.name].title}`);
  return used(path, md5, task);
}

/** What an earlier run noted about this very archive. */
async function alreadyUnpacked(path: string, task: Preparing): Promise<UsedArchive | null> {
  const { size } = await stat(path);
  return (task.complete && task.before.find((one) => one.path === path && one.size === size)) || null;
}

/** A single file of a data set (Fashion-MNIST's idx files come as such). */
async function copyFile(
  path: string,
  target: (name: string) => string | null,
  task: Preparing,
): Promise<UsedArchive> {
  const to = target(basename(path));
  if (to === null) {
    throw new FcddError('FCDD_BAD_DATA', `${path} is no part of ${catalogue[task.name].title}`, {
      hint: `${whereToGet(catalogue[task.name])}`,
    });
  }
  const { size } = await stat(path);
  const md5 = await fileHash(path, 'md5');
  if (resolve(path) !== join(task.folder, to)) {
    const writer = createWriter(task.folder);
    await writer.write(to, size, () => createReadStream(path) as AsyncIterable<Uint8Array>);
    await writer.flush();
  }
  return used(path, md5, task);
}

/** Data that is unpacked already: copied, unless it lies where it belongs. */
async function copyFolder(
  path: string,
  target: (name: string) => string | null,
  task: Preparing,
): Promise<void> {
  const writer = createWriter(task.folder);
  const own = (await realpath(path)) === (await realpath(task.folder));
  const files = await scanEverything(path);
  let done = 0;
  for (const name of files) {
    throwIfStopped(task.signal);
    const source = join(path, name);
    const to = target(`${basename(path)}/${name.split(sep).join('/')}`);
    task.onProgress?.('copy', ++done, files.length);
    if (to === null || (own && relative(task.folder, source) === to)) continue;
    const { size } = await stat(source);
    await writer.write(to, size, () => createReadStream(source) as AsyncIterable<Uint8Array>);
  }
  await writer.flush();
}

/** Compares an archive with the published one, and says so when it is another. */
export async function used(path: string, md5: string | null, task: Preparing): Promise<UsedArchive> {
  const { size } = await stat(path);
  const archive = catalogue[task.name].archives.find(({ name }) => name === basename(path));
  const differs =
    md5 !== null && archive?.md5 && archive.md5 !== md5
      ? `its MD5 is ${md5}, not ${archive.md5}`
      : archive?.size !== undefined && archive.size !== size
        ? `it has ${size} bytes, not ${archive.size}`
        : null;
  if (differs) task.warn(`${path} is not the published ${archive!.name}: ${differs}; used all the same`);
  if (md5 !== null && !archive?.md5) {
    task.onNote?.(`${path}: MD5 ${md5}; there is no published sum to compare it with`);
  }
  const same = md5 !== null && archive?.md5 === md5;
  return { path, size, md5, published: differs ? false : same ? true : null };
}

function compareCounts(
  name: Preparing['name'],
  counts: Record<string, number>,
  warn: (text: string) => void,
): void {
  const differing = Object.entries(catalogue[name].counts).filter(([key, count]) => counts[key] !== count);
  if (differing.length === 0) return;
  const list = differing.map(([key, count]) => `${key} ${counts[key] ?? 0} of ${count}`).join(', ');
  warn(`this is not the whole published ${catalogue[name].title}: ${list}`);
}
