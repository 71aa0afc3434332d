/** The members of a tar that arrives as a stream (compressed tars have no other way), one after the other. */
import { createHeaderReader, tarBlock, tarPadded } from './tar-header.js';

export interface StreamedMember {
  name: string;
  kind: 'file' | 'folder' | 'link' | 'other';
  size: number;
  /** Of a file; may be left unread, in whole or in part. */
  content: () => AsyncIterable<Uint8Array>;
}

/**
 * Calls `visit` for each member in turn, which reads its content meanwhile or never.
 * @throws Error when the archive is no tar, or ends early
 */
export async function streamTar(
  source: AsyncIterable<Uint8Array>,
  visit: (member: StreamedMember) => Promise<void>,
): Promise<void> {
  const headers = createHeaderReader();
  const bytes = createByteReader(source);
  try {
    for (;;) {
      const block = await bytes.take(tarBlock);
      const header = headers.parse(block);
      if (header === null) break;
      const { name, kind, size, meta, type } = header;
      if (meta) {
        headers.note(type, await bytes.take(size));
        await bytes.skip(tarPadded(size) - size);
        continue;
      }
      let left = size;
      await visit({
        name,
        kind,
        size,
        content: async function* () {
          while (left > 0) {
            const part = await bytes.some(left);
            left -= part.length;
            yield part;
          }
        },
      });
      await bytes.skip(left + tarPadded(size) - size);
    }
    await bytes.drain();
  } finally {
    await bytes.close();
  }
}

/** Exact numbers of bytes out of parts of any size. */
function createByteReader(source: AsyncIterable<Uint8Array>) {
  const parts = source[Symbol.asyncIterator]();
  let part: Uint8Array = new Uint8Array(0);
  const fill = async (): Promise<boolean> => {
    while (part.length === 0) {
      const next = await parts.next();
      if (next.done) return false;
      part = next.value;
    }
    return true;
  };
  const reader = {
    /** At least one byte, at most `most`. */
    async some(most: number): Promise<Uint8Array> {
      if (!(await fill())) throw new Error('it ends early');
      const taken = part.subarray(0, most);
      part = part.subarray(taken.length);
      return taken;
    },
    async take(count: number): Promise<Buffer> {
      const taken = Buffer.alloc(count);
      for (let at = 0; at < count; ) {
        const some = await reader.some(count - at);
        taken.set(some, at);
        at += some.length;
      }
      return taken;
    },
    async skip(count: number): Promise<void> {
      for (let left = count; left > 0; ) left -= (await reader.some(left)).length;
    },
    /** Reads to the end, so that what is wrong with the compressed data after the last member is noticed. */
    async drain(): Promise<void> {
      part = new Uint8Array(0);
      while (await fill()) part = new Uint8Array(0);
    },
    async close(): Promise<void> {
      await parts.return?.();
    },
  };
  return reader;
}
