import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { scoresCsv } from '../../src/reports/csv.js';
import { npy, npyHeader } from '../../src/reports/npy.js';

const folder = mkdtempSync(join(tmpdir(), 'fcdd-reports-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** NumPy's format, version 1.0, read back by its specification. */
function parse(file: Buffer) {
  expect(file.subarray(0, 8)).toEqual(Buffer.from('\x93NUMPY\x01\x00', 'latin1'));
  const end = 10 + file.readUInt16LE(8);
  expect(end % 64).toBe(0);
  const header = file.toString('latin1', 10, end);
  const match = /^\{'descr': '([<|]\w\d)', 'fortran_order': False, 'shape': \(([^)]*)\), \} *\n$/.exec(
    header,
  );
  const shape = match![2]!
    .split(',')
    .filter((s) => s.trim() !== '')
    .map(Number);
  return { type: match![1], shape, data: file.subarray(end) };
}

function findNumpy(): string | null {
  for (const python of ['python3', '/usr/bin/python3']) {
    try {
      execFileSync(python, ['-c', 'import numpy'], { stdio: 'ignore' });
      return python;
    } catch {}
  }
  return null;
}

describe('npy', () => {
  it('writes what its specification says', () => {
    const data = Float32Array.from({ length: 24 }, (_, i) => i / 7);
    const { type, shape, data: bytes } = parse(npy(data, [2, 3, 4]));
    expect([type, shape]).toEqual(['<f4', [2, 3, 4]]);
    expect(new Float32Array(Uint8Array.from(bytes).buffer)).toEqual(data);
    expect(parse(npy(Uint8Array.of(1, 2), [2]))).toMatchObject({ type: '|u1', shape: [2] });
    expect(parse(npy(Float64Array.of(0.1), [])).shape).toEqual([]);
    expect(parse(npy(new Float32Array(0), [0, 5])).data).toHaveLength(0);
    expect(parse(npyHeader('float32', new Array<number>(30).fill(1_000_000)))).toMatchObject({ type: '<f4' });
    expect(() => npy(data, [2, 3])).toThrow(/2×3 values/);
    expect(() => npy(data, [-1])).toThrow(/whole numbers/);
  });

  it('is read by NumPy, or by the specification where there is none', () => {
    const values = Float32Array.from({ length: 6 }, (_, i) => Math.fround(Math.exp(i)));
    const path = join(folder, 'maps.npy');
    // A view into a larger buffer: only its own part may be written.
    const view = new Float32Array([9, ...values, 9]).subarray(1, 7);
    writeFileSync(path, npy(view, [1, 2, 3]));
    const python = findNumpy();
    if (python === null) {
      expect(parse(npy(view, [1, 2, 3])).data).toEqual(Buffer.from(values.buffer));
      return;
    }
    const script =
      'import json,sys,numpy; a=numpy.load(sys.argv[1]); print(json.dumps([a.dtype.str,a.shape,a.ravel().tolist()]))';
    const read = JSON.parse(execFileSync(python, ['-c', script, path], { encoding: 'utf8' }));
    expect(read).toEqual(['<f4', [1, 2, 3], Array.from(values)]);
  });
});

/** RFC 4180. */
function readCsv(text: string): string[][] {
  const rows: string[][] = [[]];
  for (const [, quoted, plain, end] of text.matchAll(/(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r\n)/g)) {
    rows.at(-1)!.push(quoted === undefined ? plain! : quoted.replaceAll('""', '"'));
    if (end === '\r\n') rows.push([]);
  }
  rows.pop();
  return rows;
}

describe('scoresCsv', () => {
  it('gives every text and number back', () => {
    const text = fc.string({ unit: 'grapheme' });
    const odd = fc.constantFrom('a,b', 'say "x"', 'two\nlines', 'cr\rlf\r\n', ' padded ', '', '"');
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.oneof(text, odd), fc.double({ noNaN: true }))), (rows) => {
        const csv = scoresCsv(
          rows.map(([file, score]) => ({ file, label: 1, type: 'x', score, verdict: null })),
        );
        const read = readCsv(csv);
        expect(read[0]).toEqual(['file', 'label', 'type', 'score', 'verdict']);
        rows.forEach(([file, score], i) => {
          const expected = /^[=+\-@\t\r]/.test(file) ? `'${file}` : file;
          expect(read[i + 1]!.slice(0, 3)).toEqual([expected, '1', 'x']);
          expect(Number(read[i + 1]![3])).toBe(score + 0);
        });
      }),
    );
  });

  it('disarms formulas and leaves what is unknown empty', () => {
    const csv = scoresCsv([
      { file: '=HYPERLINK("http://x","y")', label: null, type: null, score: -1.5e-7, verdict: null },
      { file: '@x', label: 0, type: '+1', score: 2, verdict: 'anomalous' },
    ]);
    expect(csv).toBe(
      'file,label,type,score,verdict\r\n' +
        `"'=HYPERLINK(""http://x"",""y"")",,,-1.5e-7,\r\n` +
        "'@x,0,'+1,2,anomalous\r\n",
    );
    expect(scoresCsv([])).toBe('file,label,type,score,verdict\r\n');
  });
});
