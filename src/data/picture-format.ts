/** What kind of file this is, from its first bytes: names lie. */
export type PictureFormat = 'png' | 'jpeg' | 'bmp' | 'tiff' | 'webp';

export const pictureFormats = 'png, jpeg, bmp, tiff or webp';

/** Bytes that `pictureFormat` and `whatElse` need. */
export const signatureBytes = 64;

const startsWith = (data: Uint8Array, ...bytes: number[]) => bytes.every((byte, i) => data[i] === byte);
const text = (data: Uint8Array, start: number, end: number) =>
  Buffer.from(data.subarray(start, end)).toString('latin1');

/** The picture format these bytes begin, or null. */
export function pictureFormat(data: Uint8Array): PictureFormat | null {
  if (startsWith(data, 0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a)) return 'png';
  if (startsWith(data, 0xff, 0xd8, 0xff)) return 'jpeg';
  if (startsWith(data, 0x42, 0x4d) && data.length > 18 && data[15] === 0 && data[16] === 0) return 'bmp';
  // Magic 42, and 43 for BigTIFF, in either byte order.
  if (startsWith(data, 0x49, 0x49) && (data[2] === 42 || data[2] === 43) && data[3] === 0) return 'tiff';
  if (startsWith(data, 0x4d, 0x4d, 0) && (data[3] === 42 || data[3] === 43)) return 'tiff';
  if (text(data, 0, 4) === 'RIFF' && text(data, 8, 12) === 'WEBP') return 'webp';
  return null;
}

/** For bytes that begin no picture format: what they look like, for the error message. */
export function whatElse(data: Uint8Array): string {
  const start = text(data, 0, signatureBytes);
  if (data.length === 0) return 'the file is empty';
  if (data.every((byte) => byte === 0)) return 'the file holds only zero bytes (an interrupted copy?)';
  if (start.startsWith('version https://git-lfs'))
    return 'it is a Git LFS pointer, not the picture: run git lfs pull';
  if (start.slice(4, 8) === 'ftyp') return `it is a HEIC, AVIF or video file; expected ${pictureFormats}`;
  if (start.startsWith('GIF8')) return `it is a GIF; expected ${pictureFormats}`;
  if (/^\s*<(!doctype|html|\?xml|svg)/i.test(start))
    return `it is an HTML, XML or SVG file; expected ${pictureFormats}`;
  if (startsWith(data, 0x1f, 0x8b) || start.startsWith('PK')) return 'it is an archive: unpack it first';
  return `its content is no picture; expected ${pictureFormats}`;
}
