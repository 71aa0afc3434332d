/** preview.png: training samples as the network gets them, after augmentation and supervision, with their masks. */
import { renderSheet } from './grid.js';
import { maskPicture } from './sheets.js';

export interface PreviewSamples {
  count: number;
  height: number;
  width: number;
  channels: 1 | 3;
  /** count × height × width × channels, before normalisation. */
  bytes: Uint8Array;
  /** 0|1 per sample. */
  labels: Uint8Array;
  /** count × height × width, 0|1; null for training from labels alone. */
  masks: Uint8Array | null;
}

const perLine = 8;

/** @param description what was done to the samples, one line */
export function renderPreview(samples: PreviewSamples, description: string): Promise<Buffer> {
  const { count, height, width, channels, bytes, labels, masks } = samples;
  const area = height * width;
  const columns = Array.from({ length: count }, (_, i) => ({
    pictures: [
      { data: bytes.subarray(i * area * channels, (i + 1) * area * channels), height, width, channels },
      ...(masks ? [maskPicture({ data: masks.subarray(i * area, (i + 1) * area), height, width })] : []),
    ],
    captions: [labels[i] === 1 ? 'anomalous' : 'normal'],
  }));
  const bands = [];
  for (let i = 0; i < count; i += perLine) bands.push({ columns: columns.slice(i, i + perLine) });
  return renderSheet({
    title: 'Training samples after augmentation',
    notes: [description],
    rows: masks ? ['sample', 'mask'] : ['sample'],
    bands,
  });
}
