import { createHash, randomBytes } from 'node:crypto';
import { open, rename, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import { FcddError } from './errors.js';

/**
 * Writes a file so that a crash, a kill or a full disk at any moment leaves either the old content or the new one:
 * a temporary name in the same folder, flushed, then renamed, and the folder flushed.
 */
export async function writeFileAtomic(
  path: string,
  content: string | Uint8Array | readonly Uint8Array[],
): Promise<void> {
  const temporary = `${path}.${process.pid}-${randomBytes(4).toString('hex')}.tmp`;
  try {
    const file = await open(temporary, 'wx');
    try {
      const parts = typeof content === 'string' || content instanceof Uint8Array ? [content] : content;
      for (const part of parts) await file.writeFile(part);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
    await syncFolder(dirname(path));
  } catch (cause) {
    await unlink(temporary).catch(() => {});
    throw diskError(path, cause);
  }
}

/**
 * Checksum of a file in hexadecimal, read piece by piece.
 * @param onBytes called with the number of bytes read so far; what it throws ends the reading
 */
export async function fileHash(
  path: string,
  algorithm: 'sha256' | 'md5' = 'sha256',
  onBytes?: (done: number) => void,
): Promise<string> {
  const hash = createHash(algorithm);
  const file = await open(path, 'r');
  const buffer = Buffer.allocUnsafeSlow(1 << 18);
  let done = 0;
  try {
    for (;;) {
      const { bytesRead } = await file.read(buffer, 0, buffer.length);
      if (bytesRead === 0) return hash.digest('hex');
      hash.update(buffer.subarray(0, bytesRead));
      done += bytesRead;
      onBytes?.(done);
    }
  } finally {
    await file.close();
  }
}

/** Makes the rename itself durable; not every file system allows it, and then there is nothing more to do. */
async function syncFolder(path: string): Promise<void> {
  try {
    const folder = await open(path, 'r');
    try {
      await folder.sync();
    } finally {
      await folder.close();
    }
  } catch {}
}

/** One clear sentence for what the file system refused. */
export function diskError(path: string, cause: unknown): FcddError {
  const code = (cause as NodeJS.ErrnoException | undefined)?.code;
  const reasons: Record<string, [string, string]> = {
    ENOSPC: ['the disk is full', 'free some space, then run the same command with --resume'],
    EDQUOT: ['the disk quota is used up', 'free some space, then run the same command with --resume'],
    EACCES: ['permission denied', 'choose another folder with --out'],
    EPERM: ['permission denied', 'choose another folder with --out'],
    EROFS: ['the file system is read-only', 'choose another folder with --out'],
    ENOENT: ['the folder does not exist', 'create it first'],
    ENOTDIR: ['a part of the path is a file, not a folder', 'choose another folder with --out'],
    EISDIR: ['it is a folder', 'choose another name'],
  };
  const [reason, hint] = reasons[code ?? ''] ?? [
    cause instanceof Error ? cause.message : String(cause),
    undefined,
  ];
  return new FcddError('FCDD_DISK', `cannot write ${path}: ${reason}`, hint ? { hint, cause } : { cause });
}
