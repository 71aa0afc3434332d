import type { PreviewClass } from '../data/check/check.js';
import type { CheckedData } from '../data/check/types.js';
import { renderSheet } from './grid.js';

/** A sheet of a data set: a few pictures of each class, with their masks where there are some. */
export function renderDataPreview(checked: CheckedData, preview: readonly PreviewClass[]): Promise<Buffer> {
  const masks = preview.some(({ pictures }) => pictures.some(({ mask }) => mask !== null));
  return renderSheet({
    title: `${checked.dataset}: ${checked.images} pictures`,
    notes: [`First pictures of each class${checked.checked < checked.images ? ' among those drawn' : ''}.`],
    rows: masks ? ['picture', 'mask'] : ['picture'],
    bands: preview.map(({ part, className, pictures }) => ({
      title: `${part}: ${className}`,
      columns: pictures.map(({ name, image, mask }) => ({
        pictures: masks ? [image, mask] : [image],
        captions: [name.split('/').pop()!],
      })),
    })),
  });
}
