/** NumPy's array files (.npy, format version 1.0, C order, little endian). */
import { FcddError } from '../errors.js';

export type NpyArray = Float32Array | Float64Array | Uint8Array;

const descriptions = { float32: '<f4', float64: '<f8', uint8: '|u1' } as const;

/**
 * The bytes before the data, padded so that the data start at a multiple of 64. Write them first and the values after
 * them to stream an array that does not fit into memory.
 */
export function npyHeader(type: keyof typeof descriptions, shape: readonly number[]): Buffer {
  for (const extent of shape) {
    if (!Number.isSafeInteger(extent) || extent < 0) {
      throw new FcddError('FCDD_INVALID_ARGUMENT', `expected a shape of whole numbers, received [${shape}]`);
    }
  }
  const tuple = shape.length === 1 ? `${shape[0]},` : shape.join(', ');
  const text = `{'descr': '${descriptions[type]}', 'fortran_order': False, 'shape': (${tuple}), }`;
  const magic = Buffer.from('\x93NUMPY\x01\x00', 'latin1');
  const length = Math.ceil((magic.length + 2 + text.length + 1) / 64) * 64 - magic.length - 2;
  const size = Buffer.alloc(2);
  size.writeUInt16LE(length);
  return Buffer.concat([magic, size, Buffer.from(text.padEnd(length - 1) + '\n', 'latin1')]);
}

/**
 * A whole array as a file's content.
 * @throws FCDD_INVALID_ARGUMENT when the shape does not multiply to the number of values
 */
export function npy(data: NpyArray, shape: readonly number[]): Buffer {
  const header = npyHeader(typeOf(data), shape);
  if (shape.reduce((product, extent) => product * extent, 1) !== data.length) {
    throw new FcddError(
      'FCDD_INVALID_ARGUMENT',
      `expected ${shape.join('×')} values for this shape, received ${data.length}`,
    );
  }
  return Buffer.concat([header, Buffer.from(data.buffer, data.byteOffset, data.byteLength)]);
}

function typeOf(data: NpyArray): keyof typeof descriptions {
  if (data instanceof Float32Array) return 'float32';
  return data instanceof Float64Array ? 'float64' : 'uint8';
}
