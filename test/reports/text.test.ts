import fc from 'fast-check';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { escapeMarkup } from '../../src/reports/markup.js';
import { formatNumber, formatRate } from '../../src/reports/numbers.js';
import { shorten, textElement, textWidth } from '../../src/reports/text.js';

describe('textElement', () => {
  it('draws without any font, inside the width it claims', async () => {
    const width = Math.ceil(textWidth('Heatmap 0.93', 20));
    const element = textElement('Heatmap 0.93', 10, 25, { size: 20, colour: '#000' });
    expect(element).not.toContain('<text');
    const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="${width + 20}" height="40">${element}</svg>`;
    const { data, info } = await sharp(Buffer.from(svg))
      .extractChannel('alpha')
      .raw()
      .toBuffer({ resolveWithObject: true });
    const columns = Array.from({ length: info.width }, (_, x) =>
      Math.max(...Array.from({ length: info.height }, (_, y) => data[y * info.width + x]!)),
    );
    const inked = columns.map((v, x) => (v > 0 ? x : -1)).filter((x) => x >= 0);
    expect(inked[0]).toBeGreaterThanOrEqual(10);
    expect(inked.at(-1)).toBeLessThanOrEqual(10 + width);
    expect(inked.length).toBeGreaterThan(width / 2);
  });

  it('is well-formed for any text, so that a label never breaks a picture', async () => {
    const samples = [
      ...fc.sample(fc.string({ unit: 'binary' }), 30),
      '<b>&"\'',
      '\u0000\u001b\uD800',
      '裂纹',
      '😀',
    ];
    for (const text of samples) {
      const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="50" height="20">${textElement(text, 0, 15, { size: 12, colour: '#000', bold: true })}</svg>`;
      await expect(sharp(Buffer.from(svg)).png().toBuffer()).resolves.toBeInstanceOf(Buffer);
    }
  });
});

describe('shorten', () => {
  it('cuts only what does not fit', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), fc.integer({ min: 20, max: 200 }), (text, width) => {
        const short = shorten(text, 11, width);
        expect(textWidth(short, 11)).toBeLessThanOrEqual(width);
        if (short !== text) expect(text.startsWith(short.slice(0, -1)) && short.endsWith('…')).toBe(true);
      }),
    );
  });
});

describe('escapeMarkup', () => {
  it('leaves no character that markup or XML would stumble over', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        const escaped = escapeMarkup(text);
        expect(escaped).not.toMatch(/[<>"']/);
        expect(escaped.replace(/[\n\t]/g, '')).not.toMatch(/[\p{Cc}\p{Cs}]/u);
        expect(escaped.replace(/&(amp|lt|gt|quot|#39);/g, '')).not.toContain('&');
      }),
    );
    expect(escapeMarkup('a < b & "c"')).toBe('a &lt; b &amp; &quot;c&quot;');
  });
});

describe('numbers', () => {
  it('are short', () => {
    expect([0, 0.123456, 12.3456, 99999, 0.001, 1e-9, 123456, -2.5].map(formatNumber)).toEqual([
      '0',
      '0.123',
      '12.3',
      '100000',
      '0.001',
      '1.00e-9',
      '1.23e+5',
      '-2.5',
    ]);
    expect([formatRate(0.95), formatRate(null)]).toEqual(['0.9500', 'n/a']);
  });
});
