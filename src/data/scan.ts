/** What lies in a folder: pictures, other files by extension, sub-folders. Hidden files do not count. */
import { open, readdir, realpath, stat } from 'node:fs/promises';
import { extname, join, relative, sep } from 'node:path';
import { FcddError } from '../errors.js';
import { compareNatural } from './natural-order.js';
import { pictureFormat, pictureFormats, signatureBytes } from './picture-format.js';

export interface FolderContent {
  /** Paths relative to the folder, in natural order. */
  pictures: string[];
  /** Files that are no pictures, relative to the folder. */
  others: string[];
  /** Names of the direct sub-folders, in natural order. */
  folders: string[];
}

/**
 * A file is a picture if its name says so (then it must decode) or, whatever its name, its first bytes do.
 * @param depth 'all' descends into sub-folders
 */
export async function scanFolder(folder: string, depth: 'direct' | 'all'): Promise<FolderContent> {
  const content: FolderContent = { pictures: [], others: [], folders: [] };
  await scanInto(content, folder, '', depth, new Set());
  content.pictures.sort(compareNatural);
  content.others.sort(compareNatural);
  content.folders.sort(compareNatural);
  return content;
}

async function scanInto(
  content: FolderContent,
  root: string,
  prefix: string,
  depth: 'direct' | 'all',
  seen: Set<string>,
): Promise<void> {
  const folder = join(root, prefix);
  const real = await realpath(folder);
  // Links may lead back here, or to a folder above, and so around for ever.
  const above = [...seen].some((path) => path.startsWith(real + sep));
  if (seen.has(real) || above) return;
  seen.add(real);
  for (const name of await names(folder)) {
    const path = join(prefix, name);
    const info = await stat(join(root, path)).catch(() => null);
    if (info?.isDirectory()) {
      if (prefix === '') content.folders.push(name);
      if (depth === 'all') await scanInto(content, root, path, depth, seen);
    } else if (info?.isFile()) {
      ((await isPicture(join(root, path))) ? content.pictures : content.others).push(path);
    }
  }
}

async function names(folder: string): Promise<string[]> {
  try {
    const all = await readdir(folder);
    return all.filter((name) => !name.startsWith('.') && !/^(thumbs\.db|desktop\.ini)$/i.test(name));
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code;
    throw new FcddError('FCDD_NOT_FOUND', `${folder} cannot be read (${code})`, { cause });
  }
}

async function isPicture(path: string): Promise<boolean> {
  if (/\.(png|jpe?g|bmp|tiff?|webp)$/i.test(path)) return true;
  const file = await open(path, 'r').catch(() => null);
  if (!file) return false;
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(signatureBytes), 0, signatureBytes, 0);
    return pictureFormat(buffer.subarray(0, bytesRead)) !== null;
  } finally {
    await file.close();
  }
}

/** "3 .txt, 1 .heic": what the files are that are no pictures. */
export function describeOthers(others: readonly string[]): string {
  const counts = new Map<string, number>();
  for (const path of others) {
    const extension = extname(path).toLowerCase() || 'without extension';
    counts.set(extension, (counts.get(extension) ?? 0) + 1);
  }
  return [...counts].map(([extension, count]) => `${count} ${extension}`).join(', ');
}

/** Why a folder that should hold pictures holds none. */
export function describeEmpty(content: FolderContent): string {
  if (content.others.length > 0) {
    return `none of its ${content.others.length} files is a picture (${describeOthers(content.others)}); expected ${pictureFormats}`;
  }
  return content.folders.length > 0 ? `it holds only folders (${listNames(content.folders)})` : 'it is empty';
}

export function listNames(names: readonly string[], limit = 10): string {
  const shown = names.slice(0, limit).join(', ');
  return names.length > limit ? `${shown} and ${names.length - limit} more` : shown;
}

/** A path without extension, in the Unicode form in which equal names are equal bytes (macOS writes another). */
export function stemOf(path: string): string {
  return path.slice(0, path.length - extname(path).length).normalize('NFC');
}

/** Paths of all files below a folder, relative to it, in natural order; neither links nor hidden files. */
export async function scanEverything(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile() && !entry.name.startsWith('.'))
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)))
    .sort(compareNatural);
}
