/** Files that sharp does not write: BMP, and PNG of 16 bits with values given. */
import { deflateSync } from 'node:zlib';
import { pattern } from './fixtures.js';

/** A BMP with a V3 header and the RGB values it must decode to. */
export function bmp(height: number, width: number, bits: 1 | 8 | 24 | 32, topDown: boolean) {
  const colours = bits === 1 ? 2 : bits === 8 ? 256 : 0;
  const stride = Math.ceil((width * bits) / 32) * 4;
  const offset = 54 + 4 * colours;
  const file = Buffer.alloc(offset + stride * height);
  file.write('BM', 0, 'latin1');
  file.writeUInt32LE(file.length, 2);
  file.writeUInt32LE(offset, 10);
  file.writeUInt32LE(40, 14);
  file.writeInt32LE(width, 18);
  file.writeInt32LE(topDown ? -height : height, 22);
  file.writeUInt16LE(1, 26);
  file.writeUInt16LE(bits, 28);
  const palette = pattern(colours, 4, 1, 5);
  for (let i = 0; i < colours; i++)
    file.set([palette[4 * i]!, palette[4 * i + 1]!, palette[4 * i + 2]!, 0], 54 + 4 * i);
  const values = pattern(height, width, 3);
  const rgb = new Uint8Array(height * width * 3);
  for (let y = 0; y < height; y++) {
    const row = offset + stride * (topDown ? y : height - 1 - y);
    for (let x = 0; x < width; x++) {
      const at = (y * width + x) * 3;
      const [blue, green, red] = [values[at]!, values[at + 1]!, values[at + 2]!];
      if (bits >= 24) {
        file.set([blue, green, red], row + (x * bits) / 8);
        rgb.set([red, green, blue], at);
        continue;
      }
      const index = bits === 8 ? blue : blue & 1;
      if (bits === 8) file[row + x] = index;
      else file[row + (x >> 3)]! |= index << (7 - (x & 7));
      rgb.set([palette[4 * index + 2]!, palette[4 * index + 1]!, palette[4 * index]!], at);
    }
  }
  return { file, rgb };
}

/** A PNG of 16 bits, grey or RGB. */
export function wide(height: number, width: number, channels: 1 | 3, values: readonly number[]): Buffer {
  const rows = Array.from({ length: height }, (_, y) => {
    const row = Buffer.alloc(1 + width * channels * 2);
    for (let i = 0; i < width * channels; i++)
      row.writeUInt16BE(values[y * width * channels + i]!, 1 + 2 * i);
    return row;
  });
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([16, channels === 1 ? 0 : 2, 0, 0, 0], 8);
  const signature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
  return Buffer.concat([
    signature,
    chunk('IHDR', header),
    chunk('IDAT', deflateSync(Buffer.concat(rows))),
    chunk('IEND', Buffer.alloc(0)),
  ]);
}

function chunk(type: string, data: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from(type, 'latin1'), data]);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(data.length);
  const checksum = Buffer.alloc(4);
  checksum.writeUInt32BE(crc32(body));
  return Buffer.concat([length, body, checksum]);
}

export function crc32(data: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of data) {
    crc ^= byte;
    for (let k = 0; k < 8; k++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
  }
  return (crc ^ 0xffffffff) >>> 0;
}
