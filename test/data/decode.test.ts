import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { decodeImage, openPicture } from '../../src/data/decode.js';
import type { StoredSize } from '../../src/data/types.js';
import { FcddError } from '../../src/errors.js';
import { bmp, crc32, wide } from './encoders.js';
import { encode, failure, pattern, temporaryFolder, write, writePicture } from './fixtures.js';

const folder = temporaryFolder();
const exact = (
  height: number,
  width: number,
  interpolation: StoredSize['interpolation'] = 'nearest',
): StoredSize => ({
  fit: 'exact',
  height,
  width,
  interpolation,
});

describe('formats', () => {
  it.each(['png', 'tiff'] as const)(
    'decodes colour %s without loss, whatever its extension',
    async (format) => {
      const path = await writePicture(join(folder, `${format}.jpg`), { format });
      const image = await decodeImage(path, { channels: 3, stored: exact(12, 16) });
      expect(image.pixels).toEqual(pattern(12, 16, 3));
      expect(image).toMatchObject({
        height: 12,
        width: 16,
        originalHeight: 12,
        originalWidth: 16,
        grey: false,
      });
      expect(image.warnings).toEqual([]);
    },
  );

  it('decodes jpeg and webp closely', async () => {
    const data = new Uint8Array(32 * 32 * 3).fill(100);
    for (const format of ['jpeg', 'webp'] as const) {
      const { pixels } = await decodeImage(await encode({ height: 32, width: 32, format, data }), {
        channels: 3,
        stored: exact(32, 32),
      });
      for (const value of pixels) expect(Math.abs(value - 100)).toBeLessThanOrEqual(2);
    }
  });

  it.each([1, 8, 24, 32] as const)(
    'decodes BMP of %i bits, rows padded, bottom up and top down',
    async (bits) => {
      for (const topDown of [false, true]) {
        const { file, rgb } = bmp(5, 7, bits, topDown);
        const { pixels } = await decodeImage(file, { channels: 3, stored: exact(5, 7) });
        expect(pixels).toEqual(rgb);
      }
    },
  );

  it('turns grey into three equal channels and says that it is grey', async () => {
    const grey = await encode({ height: 4, width: 5, channels: 1 });
    const image = await decodeImage(grey, { channels: 3, stored: exact(4, 5) });
    expect(image.grey).toBe(true);
    expect([...image.pixels]).toEqual([...pattern(4, 5, 1)].flatMap((value) => [value, value, value]));
    expect((await decodeImage(grey, { channels: 1, stored: exact(4, 5) })).pixels).toEqual(pattern(4, 5, 1));
  });

  it('calls colour files with equal channels grey too', async () => {
    const data = Uint8Array.from([...pattern(4, 4, 1)].flatMap((value) => [value, value, value]));
    const file = await encode({ height: 4, width: 4, data });
    expect((await decodeImage(file, { channels: 3, stored: exact(4, 4) })).grey).toBe(true);
  });

  it('takes ITU-R 601 luma for one channel', async () => {
    const file = await encode({
      height: 1,
      width: 3,
      data: Uint8Array.from([255, 0, 0, 0, 255, 0, 0, 0, 255]),
    });
    const { pixels } = await decodeImage(file, { channels: 1, stored: exact(1, 3) });
    expect([...pixels]).toEqual([76, 150, 29]);
  });
});

describe('what a picture file may carry', () => {
  it.each([
    [1, (y: number, x: number) => [y, x]],
    [3, (y: number, x: number) => [2 - y, 3 - x]],
    [6, (y: number, x: number) => [2 - x, y]],
    [8, (y: number, x: number) => [x, 3 - y]],
    [5, (y: number, x: number) => [x, y]],
  ] as const)('applies EXIF orientation %i', async (orientation, source) => {
    const file = await encode({ height: 3, width: 4, channels: 1, orientation });
    const turned = orientation > 4;
    const [height, width] = turned ? [4, 3] : [3, 4];
    const image = await decodeImage(file, { channels: 1, stored: exact(height, width) });
    expect([image.originalHeight, image.originalWidth]).toEqual([height, width]);
    const original = pattern(3, 4, 1);
    const expected = Array.from({ length: 12 }, (_, i) => {
      const [y, x] = source(Math.floor(i / width), i % width);
      return original[y! * 4 + x!];
    });
    expect([...image.pixels]).toEqual(expected);
  });

  it('lays transparency over black and says so', async () => {
    const file = await encode({
      height: 1,
      width: 2,
      channels: 4,
      data: Uint8Array.from([200, 100, 50, 128, 9, 8, 7, 255]),
    });
    const image = await decodeImage(file, { channels: 3, stored: exact(1, 2) });
    expect([...image.pixels]).toEqual([100, 50, 25, 9, 8, 7]);
    expect(image.warnings.join()).toMatch(/transparent.*black/);
  });

  it('drops an alpha channel that hides nothing, without a word', async () => {
    const data = pattern(3, 3, 4).map((value, i) => (i % 4 === 3 ? 255 : value));
    const image = await decodeImage(await encode({ height: 3, width: 3, channels: 4, data }), {
      channels: 3,
      stored: exact(3, 3),
    });
    expect(image.warnings).toEqual([]);
    expect([...image.pixels]).toEqual([...data].filter((_, i) => i % 4 !== 3));
  });

  it('scales 16 bits to 8 and reports it', async () => {
    const values = [0, 257, 32768, 65535, 65278, 128];
    for (const channels of [1, 3] as const) {
      const file = wide(1, 6 / channels, channels, values);
      const image = await decodeImage(file, { channels, stored: exact(1, 6 / channels) });
      expect([...image.pixels]).toEqual([0, 1, 128, 255, 254, 0]);
      expect(image.warnings.join()).toMatch(/16 bits/);
    }
  });

  it('maps the range of a 12-bit camera, and proposes it when the values look like one', async () => {
    const file = wide(1, 5, 1, [0, 100, 2098, 4095, 4000]);
    const plain = await decodeImage(file, { channels: 1, stored: exact(1, 5) });
    expect(plain.warnings.join()).toMatch(/--bit-range 0:4095/);
    const ranged = await decodeImage(file, {
      channels: 1,
      stored: exact(1, 5),
      bitRange: { low: 100, high: 4095 },
    });
    expect([...ranged.pixels]).toEqual([0, 0, 128, 255, 249]);
    expect(ranged.warnings.join()).not.toMatch(/bit-range/);
  });

  it('converts colour profiles to sRGB', async () => {
    const flat = sharp({
      create: { width: 8, height: 8, channels: 3, background: { r: 200, g: 80, b: 40 } },
    });
    const file = await flat.withIccProfile('p3').png().toBuffer();
    const coded = await sharp(file, { ignoreIcc: true }).raw().toBuffer();
    const { pixels } = await decodeImage(file, { channels: 3, stored: exact(8, 8) });
    expect(Math.abs(coded[0]! - 200)).toBeGreaterThan(5);
    for (const [c, value] of [200, 80, 40].entries())
      expect(Math.abs(pixels[c]! - value)).toBeLessThanOrEqual(2);
  });

  it('reads CMYK as colour', async () => {
    const file = await sharp({
      create: { width: 8, height: 8, channels: 3, background: { r: 30, g: 160, b: 60 } },
    })
      .toColourspace('cmyk')
      .jpeg({ quality: 100 })
      .toBuffer();
    const { pixels } = await decodeImage(file, { channels: 3, stored: exact(8, 8) });
    expect(pixels[1]!).toBeGreaterThan(pixels[0]! + 60);
  });
});

describe('what is refused', () => {
  const decode = (content: Uint8Array | string) => decodeImage(content, { channels: 3, stored: exact(8, 8) });

  it.each(['png', 'jpeg', 'tiff', 'webp'] as const)('a truncated %s', async (format) => {
    const file = await encode({ height: 64, width: 64, format });
    for (const share of [0.2, 0.5, 0.9]) {
      const path = write(join(folder, `cut-${share}.${format}`), file.subarray(0, file.length * share));
      await failure(decode(path), 'FCDD_BAD_IMAGE', new RegExp(`cut-${share}`), /cannot be decoded/);
    }
  });

  it('a truncated BMP', async () => {
    const { file } = bmp(20, 20, 24, false);
    for (const length of [10, 30, 200, file.length - 20]) {
      await failure(decode(file.subarray(0, length)), 'FCDD_BAD_IMAGE');
    }
  });

  it.each([
    ['empty', '', /empty/],
    ['zeros', Buffer.alloc(2000), /only zero bytes/],
    ['text', 'hello', /no picture/],
    ['page', '<!DOCTYPE html><html>404', /HTML/],
    ['lfs', 'version https://git-lfs.github.com/spec/v1\noid sha256:0', /Git LFS/],
    ['svg', '<svg xmlns="http://www.w3.org/2000/svg" width="1" height="1"/>', /SVG/],
    ['gif', 'GIF89a\u0001\u0000', /GIF/],
    ['phone', Buffer.from('\0\0\0\u0018ftypheic0000'), /HEIC/],
    ['zip', 'PK\u0003\u0004xxxx', /archive/],
  ])('%s instead of a picture', async (name, content, reason) => {
    const path = write(join(folder, `${name}.png`), content);
    await failure(decode(path), 'FCDD_BAD_IMAGE', new RegExp(`${name}.png`), reason);
  });

  it('a picture of too many pixels, before decoding it', async () => {
    const png = await encode({ height: 4, width: 4 });
    png.writeUInt32BE(200_000, 16);
    png.writeUInt32BE(100_000, 20);
    // The header's checksum, which the decoder verifies first.
    png.writeUInt32BE(crc32(png.subarray(12, 29)), 29);
    await failure(decode(png), 'FCDD_BAD_IMAGE', /200000×100000 pixels/);
    const { file } = bmp(4, 4, 24, false);
    file.writeInt32LE(100_000, 18);
    file.writeInt32LE(-100_000, 22);
    await failure(decode(file), 'FCDD_BAD_IMAGE', /100000×100000 pixels/);
  });

  it('floating-point values', async () => {
    await failure(decode(floatTiff()), 'FCDD_BAD_IMAGE', /type float/);
  });

  it('a file that is not there, and a folder', async () => {
    await failure(decode(join(folder, 'nowhere.png')), 'FCDD_NOT_FOUND', /nowhere\.png does not exist/);
    await failure(decode(folder), 'FCDD_BAD_IMAGE', /folder/);
  });

  it('damaged bytes never do more than fail', { timeout: 120_000 }, async () => {
    const files = [
      await encode({ height: 16, width: 16 }),
      await encode({ height: 16, width: 16, format: 'jpeg' }),
      await encode({ height: 16, width: 16, format: 'tiff' }),
      bmp(16, 16, 8, false).file,
      bmp(16, 16, 24, true).file,
    ];
    const damage = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 4 });
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...files), damage, async (file, changes) => {
        const damaged = Buffer.from(file);
        for (const [at, value] of changes) damaged[at % Math.min(damaged.length, 120)] = value;
        try {
          await decode(damaged);
        } catch (error) {
          expect(error).toBeInstanceOf(FcddError);
        }
      }),
      { numRuns: 150, seed: 5 },
    );
  });
});

describe('sizes', () => {
  it('takes source index ⌊i·in/out⌋ for nearest', async () => {
    const data = Uint8Array.from({ length: 10 }, (_, i) => i);
    const file = await encode({ height: 1, width: 10, channels: 1, data });
    const { pixels } = await decodeImage(file, { channels: 1, stored: exact(1, 4) });
    expect([...pixels]).toEqual([0, 2, 5, 7]);
  });

  it('keeps the aspect with short-side, the long side rounded down', async () => {
    const stored = { fit: 'short-side', height: 5, width: 5, interpolation: 'bilinear' } as const;
    const wideImage = await decodeImage(await encode({ height: 6, width: 10 }), { channels: 3, stored });
    expect([wideImage.height, wideImage.width]).toEqual([5, 8]);
    const tall = await decodeImage(await encode({ height: 10, width: 6 }), { channels: 3, stored });
    expect([tall.height, tall.width]).toEqual([8, 5]);
  });

  it('gives the same bytes for a path and for its content', async () => {
    const path = await writePicture(join(folder, 'Größe 你好 (1).png'), { height: 30, width: 40 });
    const options = { channels: 3, stored: exact(8, 8, 'area') } as const;
    expect((await decodeImage(path, options)).pixels).toEqual(
      (await decodeImage(readFileSync(path), options)).pixels,
    );
  });

  it('reads a file anew when it has changed under the same name', async () => {
    const path = await writePicture(join(folder, 'same.png'), { seed: 1 });
    await openPicture(path);
    await writePicture(path, { seed: 3 });
    expect((await openPicture(path)).data).toEqual(pattern(12, 16, 3, 3));
  });
});

/** A TIFF of 2×2 float values, little endian, uncompressed. */
function floatTiff(): Buffer {
  const tags: [number, number, number, number][] = [
    [256, 3, 1, 2],
    [257, 3, 1, 2],
    [258, 3, 1, 32],
    [259, 3, 1, 1],
    [262, 3, 1, 1],
    [273, 4, 1, 8],
    [277, 3, 1, 1],
    [278, 3, 1, 2],
    [279, 4, 1, 16],
    [339, 3, 1, 3],
  ];
  const file = Buffer.alloc(24 + 2 + tags.length * 12 + 4);
  file.write('II*\0', 0, 'latin1');
  file.writeUInt32LE(24, 4);
  file.writeUInt16LE(tags.length, 24);
  tags.forEach(([tag, type, count, value], i) => {
    const at = 26 + 12 * i;
    file.writeUInt16LE(tag, at);
    file.writeUInt16LE(type, at + 2);
    file.writeUInt32LE(count, at + 4);
    file.writeUInt32LE(value, at + 8);
  });
  return file;
}
