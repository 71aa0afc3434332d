/**
 * A sheet of pictures: bands of columns, each column one image with its captions, each row one view of it (input,
 * heatmap, mask). Every picture is fitted into a square of `cellSize`.
 */
import {
  type Canvas,
  type Colour,
  canvasPng,
  createCanvas,
  drawPicture,
  drawText,
  faintInk,
  fillRectangle,
  fitPicture,
  type Picture,
} from './canvas.js';
import { jet, jetOffset } from './colour.js';
import type { Scale } from './normalise.js';
import { formatNumber } from './numbers.js';
import { shorten } from './text.js';

export interface Column {
  /** One per row of the sheet; null where there is none (an image without a mask). */
  pictures: (Picture | null)[];
  /** Lines below the column. */
  captions: string[];
  /** Frame around the column's pictures. */
  frame?: Colour;
}

export interface Band {
  title?: string;
  columns: Column[];
}

export interface Sheet {
  title: string;
  /** Lines below the title. */
  notes: string[];
  rows: string[];
  bands: Band[];
  /** Shows a colour bar with the values of its ends; 'local': without values. */
  scale?: Scale | 'local';
}

export const cellSize = 112;
const layout = {
  margin: 16,
  gutter: 70,
  gap: 8,
  frame: 3,
  line: 15,
  title: 24,
  header: 46,
  bandTitle: 26,
  bar: 150,
};
const empty: Colour = [240, 242, 245];
const hairline: Colour = [208, 215, 222];

export async function renderSheet(sheet: Sheet): Promise<Buffer> {
  const columns = Math.max(6, ...sheet.bands.map((band) => band.columns.length));
  const width = 2 * layout.margin + layout.gutter + columns * (cellSize + layout.gap) - layout.gap;
  const heights = sheet.bands.map((band) => bandHeight(band, sheet.rows.length));
  const header =
    layout.title + Math.max(sheet.notes.length * layout.line, sheet.scale ? layout.header : 0) + 10;
  const height = 2 * layout.margin + header + heights.reduce((a, b) => a + b, 0);
  const canvas = createCanvas(height, width);
  drawHeader(canvas, sheet);
  let top = layout.margin + header;
  for (const [i, band] of sheet.bands.entries()) {
    await drawBand(canvas, sheet.rows, band, top);
    top += heights[i]!;
  }
  return canvasPng(canvas);
}

function drawHeader(canvas: Canvas, { title, notes, scale }: Sheet): void {
  const { margin, line } = layout;
  drawText(canvas, title, margin, margin + 14, { size: 17, bold: true });
  notes.forEach((note, i) => {
    drawText(canvas, note, margin, margin + 14 + 6 + (i + 1) * line, { size: 12, colour: faintInk });
  });
  if (scale) drawColourBar(canvas, scale);
}

function drawColourBar(canvas: Canvas, scale: Scale | 'local'): void {
  const { margin, bar } = layout;
  const left = canvas.width - margin - bar;
  const top = margin + 24;
  for (let x = 0; x < bar; x++) {
    const at = jetOffset(x / (bar - 1));
    const colour: Colour = [jet[at]!, jet[at + 1]!, jet[at + 2]!];
    fillRectangle(canvas, { top, left: left + x, height: 10, width: 1 }, colour);
  }
  const ends =
    scale === 'local' ? ['least', 'most'] : [`≤ ${formatNumber(scale.min)}`, `≥ ${formatNumber(scale.max)}`];
  drawText(canvas, 'pixel score', left + bar / 2, top - 6, { size: 11, colour: faintInk, anchor: 'middle' });
  drawText(canvas, ends[0]!, left, top + 23, { size: 11, colour: faintInk });
  drawText(canvas, ends[1]!, left + bar, top + 23, { size: 11, colour: faintInk, anchor: 'end' });
}

function bandHeight(band: Band, rows: number): number {
  const captions = Math.max(0, ...band.columns.map((c) => c.captions.length));
  return (
    (band.title ? layout.bandTitle : 0) +
    rows * (cellSize + layout.gap) +
    captions * layout.line +
    layout.margin
  );
}

async function drawBand(canvas: Canvas, rows: string[], band: Band, bandTop: number): Promise<void> {
  const { margin, gutter, gap, line } = layout;
  let top = bandTop;
  if (band.title) {
    drawText(canvas, band.title, margin, top + 14, { size: 14, bold: true });
    top += layout.bandTitle;
  }
  rows.forEach((label, row) => {
    const y = top + row * (cellSize + gap) + cellSize / 2 + 4;
    drawText(canvas, label, margin + gutter - 12, y, { size: 12, colour: faintInk, anchor: 'end' });
  });
  for (const [i, column] of band.columns.entries()) {
    const left = margin + gutter + i * (cellSize + gap);
    for (const [row, picture] of column.pictures.entries()) {
      await drawCell(canvas, picture, top + row * (cellSize + gap), left, column.frame);
    }
    column.captions.forEach((caption, k) => {
      const y = top + rows.length * (cellSize + gap) + 7 + k * line;
      const style = k === 0 ? { bold: true } : { colour: faintInk };
      drawText(canvas, shorten(caption, 11, cellSize), left + cellSize / 2, y, {
        size: 11,
        anchor: 'middle',
        ...style,
      });
    });
  }
}

async function drawCell(
  canvas: Canvas,
  picture: Picture | null,
  top: number,
  left: number,
  frame: Colour | undefined,
): Promise<void> {
  const f = frame ? layout.frame : 0;
  if (frame) {
    fillRectangle(
      canvas,
      { top: top - f, left: left - f, height: cellSize + 2 * f, width: cellSize + 2 * f },
      frame,
    );
  }
  fillRectangle(canvas, { top, left, height: cellSize, width: cellSize }, empty);
  if (picture === null) {
    drawText(canvas, 'none', left + cellSize / 2, top + cellSize / 2 + 4, {
      size: 11,
      colour: faintInk,
      anchor: 'middle',
    });
    return;
  }
  const fitted = await fitPicture(picture, cellSize);
  const y = top + Math.floor((cellSize - fitted.height) / 2);
  const x = left + Math.floor((cellSize - fitted.width) / 2);
  // A hairline around it, so that a white mask does not run into the white page.
  fillRectangle(
    canvas,
    { top: y - 1, left: x - 1, height: fitted.height + 2, width: fitted.width + 2 },
    hairline,
  );
  drawPicture(canvas, fitted, y, x);
}
