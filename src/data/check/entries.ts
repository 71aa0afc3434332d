import { openPicture } from '../decode.js';
import type { PictureFile } from '../pictures.js';
import type { CheckEntry } from './types.js';

/** A picture file as an entry; `masked`: it should have a mask. */
export const entryOf = (file: PictureFile, part: string, className: string, masked: boolean): CheckEntry => ({
  part,
  className,
  name: file.name,
  open: async () => openPicture(file.read ? await file.read() : file.path, { name: file.path }),
  ...(masked ? { mask: file.maskPath } : {}),
});
