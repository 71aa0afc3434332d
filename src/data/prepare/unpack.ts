/**
 * Unpacking what is wanted of an archive into a folder. No member can leave the folder: absolute names, `..`,
 * backslashes and links are refused, and so are links that stand in the way on disk. A file appears under its
 * name only when it is whole, so an unpacking that was killed goes on with what is missing.
 */
import { createHash } from 'node:crypto';
import { type FileHandle, lstat, mkdir, open, rename, stat, unlink } from 'node:fs/promises';
import { dirname, join, sep } from 'node:path';
import { FcddError } from '../../errors.js';
import { diskError } from '../../files.js';
import { type Member, readArchive } from '../archives/members.js';
import { throwIfStopped } from './types.js';

export interface UnpackOptions {
  signal?: AbortSignal | undefined;
  /** Bytes of the archive that are read. */
  onProgress?: ((done: number, total: number) => void) | undefined;
}

export interface Unpacked {
  /** MD5 of the archive. */
  md5: string;
  written: number;
  /** Files that were there already. */
  kept: number;
}

/**
 * @param target where below `folder` a member goes ("train/a.png"), null: not wanted
 * @throws FcddError FCDD_BAD_DATA (unsafe or damaged archive), FCDD_DISK, FCDD_ABORTED
 */
export async function unpack(
  archive: string,
  folder: string,
  target: (name: string) => string | null,
  options: UnpackOptions = {},
): Promise<Unpacked> {
  const { size } = await stat(archive);
  const hash = createHash('md5');
  const writer = createWriter(folder);
  const result = { written: 0, kept: 0 };
  let done = 0;
  const visit = async (member: Member): Promise<void> => {
    throwIfStopped(options.signal);
    checkMember(archive, member);
    const to = member.kind === 'file' ? target(member.name.replace(/^(\.\/)+/, '')) : null;
    if (to === null) return;
    const written = await writer.write(to, member.size, member.content);
    result[written ? 'written' : 'kept']++;
  };
  const onBytes = (bytes: Uint8Array): void => {
    hash.update(bytes);
    done += bytes.length;
    options.onProgress?.(done, size);
  };
  await readArchive(archive, visit, { onBytes });
  // Padding behind the end of a tar is not always read by its parser.
  if (done < size) await hashRest(archive, done, hash);
  await writer.flush();
  return { ...result, md5: hash.digest('hex') };
}

async function hashRest(archive: string, from: number, hash: ReturnType<typeof createHash>): Promise<void> {
  const file = await open(archive, 'r');
  try {
    for await (const bytes of file.createReadStream({ start: from, autoClose: false })) hash.update(bytes);
  } finally {
    await file.close();
  }
}

function checkMember(archive: string, { name, kind }: Member): void {
  const refuse = (what: string) =>
    new FcddError('FCDD_BAD_DATA', `${archive} is not safe to unpack: '${name.slice(0, 200)}' ${what}`, {
      hint: 'get the archive from its owner; nothing outside of the folder was touched',
    });
  if (kind === 'link') throw refuse('is a link');
  if (kind === 'other') throw refuse('is neither file nor folder');
  if (/^([/\\]|[a-z]:)/i.test(name)) throw refuse('is an absolute path');
  if (/[\\\0]/.test(name)) throw refuse('has a character that no path needs');
  if (name.split('/').includes('..')) throw refuse('leaves the folder');
}

/** Puts files below `folder`, each whole or not at all. */
export function createWriter(folder: string) {
  const ready = new Set<string>();
  const written: string[] = [];
  return {
    /** @returns false when the file is there already, with the same size */
    async write(name: string, size: number, content: () => AsyncIterable<Uint8Array>): Promise<boolean> {
      const path = join(folder, name);
      await makeFolders(folder, dirname(name), ready);
      const there = await lstat(path).catch(() => null);
      if (there?.isFile() && there.size === size) return false;
      if (there && (!there.isFile() || there.size > 0)) throw inTheWay(path, there.isFile());
      await writeWhole(path, size, content);
      written.push(path);
      return true;
    },
    /** Everything written is on the disk, not only on its way. */
    async flush(): Promise<void> {
      for (const path of written.splice(0)) {
        const file = await open(path, 'r');
        await file.sync().finally(() => file.close());
      }
    },
  };
}

function inTheWay(path: string, isFile: boolean): FcddError {
  const what = isFile ? 'is there with another size' : 'is there and is no file';
  return new FcddError('FCDD_BAD_DATA', `${path} ${what}`, {
    hint: 'move it away, or prepare into another folder with --data; nothing is overwritten',
  });
}

/** Creates the folders of a path one by one; a link among them would lead out of the folder. */
async function makeFolders(root: string, relative: string, ready: Set<string>): Promise<void> {
  let path = root;
  for (const part of relative === '.' ? [''] : ['', ...relative.split(sep)]) {
    path = join(path, part);
    if (ready.has(path)) continue;
    await mkdir(path, { recursive: path === root }).catch((cause) => {
      if (cause.code !== 'EEXIST') throw diskError(path, cause);
    });
    const info = path === root ? await stat(path) : await lstat(path);
    if (!info.isDirectory()) {
      throw new FcddError('FCDD_BAD_DATA', `${path} is no folder (a link?): nothing is unpacked through it`);
    }
    ready.add(path);
  }
}

async function writeWhole(
  path: string,
  size: number,
  content: () => AsyncIterable<Uint8Array>,
): Promise<void> {
  const temporary = `${path}.part`;
  let file: FileHandle | undefined;
  try {
    await unlink(temporary).catch(() => {});
    file = await open(temporary, 'wx');
    let written = 0;
    for await (const bytes of content()) {
      await file.writeFile(bytes);
      written += bytes.length;
    }
    if (written !== size) throw new Error(`${path} is cut off: ${written} of ${size} bytes`);
    await file.close();
    file = undefined;
    await rename(temporary, path);
  } catch (cause) {
    await file?.close().catch(() => {});
    await unlink(temporary).catch(() => {});
    throw cause instanceof FcddError || !isSystemError(cause) ? cause : diskError(path, cause);
  }
}

const isSystemError = (cause: unknown): boolean =>
  typeof (cause as NodeJS.ErrnoException)?.syscall === 'string';
