import { createHash } from 'node:crypto';
import type { Backbone } from './types.js';

/**
 * SHA-256 of what a network would be given: architecture, state of its batch normalisation, names, shapes and float32
 * values, in the order of names. Equal weights have it in common, whatever file they came from.
 */
export function contentHash({ architecture, channels, bn, tensors }: Backbone): string {
  const sorted = [...tensors].sort(([a], [b]) => (a < b ? -1 : 1));
  const shapes = sorted.map(([name, { shape }]) => [name, shape]);
  const hash = createHash('sha256').update(JSON.stringify({ architecture, channels, bn, tensors: shapes }));
  for (const [, { data }] of sorted)
    hash.update(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
  return hash.digest('hex');
}
