/**
 * An index of the pictures inside of tar files, so that they are read in place: ImageNet's tars of tars (a
 * terabyte of 14 million pictures) are never unpacked.
 *
 * The file: one line of JSON that names the tars, then chunks, then one line that ends it. A chunk is a line
 * of JSON (which tar, which bytes of it, WordNet id, how many pictures, which are broken, `bytes`) and
 * `bytes` bytes: the pictures' names, offsets and sizes, deflated. Opening it reads the lines alone.
 */
import type { FileHandle } from 'node:fs/promises';

export const indexFormat = 1;

export interface BrokenEntry {
  name: string;
  reason: string;
}

export interface ChunkLine {
  tar: number;
  from: number;
  to: number;
  wnid: string | null;
  count: number;
  broken: BrokenEntry[];
  bytes: number;
}

export interface EndLine {
  complete: true;
  images: number;
  broken: number;
  sizes: number[];
}

/** A line's content, by what it is; all absent: it is none of these. */
export interface Line {
  text: string;
  head?: { format: number; tars: string[] };
  chunk?: ChunkLine;
  end?: EndLine;
  /** Where a chunk's content begins, and where the next line does. */
  body: number;
  next: number;
}

/** The lines of an index, skipping over the content of chunks; ends before what is cut off. */
export async function* lines(file: FileHandle): AsyncGenerator<Line> {
  const { size } = await file.stat();
  for (let at = 0; at < size; ) {
    const text = await lineAt(file, at, size);
    if (text === null) return;
    const body = at + Buffer.byteLength(text) + 1;
    const kind = kindOf(text);
    const next = body + (kind.chunk?.bytes ?? 0);
    if (next > size) return;
    yield { text, ...kind, body, next };
    at = next;
  }
}

async function lineAt(file: FileHandle, at: number, size: number): Promise<string | null> {
  for (let length = 1024; ; length *= 8) {
    const wanted = Math.min(length, size - at);
    const { buffer, bytesRead } = await file.read(Buffer.alloc(wanted), 0, wanted, at);
    const end = buffer.subarray(0, bytesRead).indexOf(10);
    if (end >= 0) return buffer.toString('utf8', 0, end);
    if (length >= size - at) return null;
  }
}

function kindOf(text: string): Pick<Line, 'head' | 'chunk' | 'end'> {
  try {
    const line = JSON.parse(text);
    if (line.format === indexFormat) return { head: line };
    if (line.complete === true) return { end: line };
    return typeof line.bytes === 'number' ? { chunk: line } : {};
  } catch {
    return {};
  }
}
