/**
 * Labels in pictures as outlines, so that they are there and look the same on machines without fonts (containers).
 * A label with a character that the outlines lack falls back to the system's fonts.
 */
import { readFileSync } from 'node:fs';
import type outlines from './font.json';
import { escapeMarkup } from './markup.js';

export interface TextStyle {
  /** Height of the font in pixels. */
  size: number;
  colour: string;
  bold?: boolean;
  anchor?: 'start' | 'middle' | 'end';
}

// Read, not imported: early releases of Node 20 cannot import JSON, later ones warn.
const font = JSON.parse(readFileSync(new URL('./font.json', import.meta.url), 'utf8')) as typeof outlines;

const glyphs: ReadonlyMap<string, readonly [advance: number, path: string]> = new Map(
  Object.entries(font.glyphs).map(([character, [advance, path]]) => [
    character,
    [Number(advance), String(path)],
  ]),
);

/** Width of the embedded bold: a stroke around each outline, in em. */
const boldStroke = 0.055;

/** An SVG element with the text's baseline at `y`; `x` is where its anchor lies. */
export function textElement(text: string, x: number, y: number, style: TextStyle): string {
  const { size, colour, bold = false, anchor = 'start' } = style;
  const characters = [...text];
  if (!characters.every((character) => glyphs.has(character))) {
    return (
      `<text x="${x}" y="${y}" font-size="${size}" fill="${colour}" text-anchor="${anchor}"` +
      `${bold ? ' font-weight="bold"' : ''}>${escapeMarkup(text)}</text>`
    );
  }
  const scale = size / font.unitsPerEm;
  const left = x - textWidth(text, size, bold) * { start: 0, middle: 0.5, end: 1 }[anchor];
  let pen = 0;
  const outlines = characters.map((character) => {
    const [advance, path] = glyphs.get(character)!;
    const outline = path === '' ? '' : `<path transform="translate(${pen} 0)" d="${path}"/>`;
    pen += advance + (bold ? boldStroke * font.unitsPerEm : 0);
    return outline;
  });
  const stroke = bold ? ` stroke="${colour}" stroke-width="${boldStroke * font.unitsPerEm}"` : '';
  return (
    `<g transform="translate(${left.toFixed(2)} ${y}) scale(${scale} ${-scale})" fill="${colour}"${stroke}>` +
    `${outlines.join('')}</g>`
  );
}

/** Width in pixels; characters without outlines count as an em. */
export function textWidth(text: string, size: number, bold = false): number {
  let em = 0;
  for (const character of text) {
    em += (glyphs.get(character)?.[0] ?? font.unitsPerEm) / font.unitsPerEm + (bold ? boldStroke : 0);
  }
  return em * size;
}

/** The text, cut with an ellipsis where it would be wider than `width` pixels. */
export function shorten(text: string, size: number, width: number): string {
  if (textWidth(text, size) <= width) return text;
  const characters = [...text];
  while (characters.length > 0 && textWidth(`${characters.join('')}…`, size) > width) characters.pop();
  return `${characters.join('')}…`;
}
