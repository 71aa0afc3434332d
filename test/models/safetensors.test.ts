import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readSafetensors, type Tensor, writeSafetensors } from '../../src/models/safetensors.js';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fcdd-safetensors-'));
});
afterAll(() => rm(folder, { recursive: true }));

const example = (): Map<string, Tensor> =>
  new Map<string, Tensor>([
    ['conv1.weight', { shape: [2, 1, 3], data: Float32Array.from([1, -2.5, 3, Number.NaN, 0, 1e-30]) }],
    ['exact', { shape: [2], data: Float64Array.from([Math.PI, -0]) }],
    ['labels', { shape: [3], data: Uint8Array.from([0, 1, 255]) }],
    ['empty', { shape: [0], data: new Float32Array(0) }],
  ]);

/** A file with this JSON header and this many bytes of data. */
async function craft(name: string, header: unknown, dataBytes: number): Promise<string> {
  const json = Buffer.from(typeof header === 'string' ? header : JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(json.length));
  const path = join(folder, name);
  await writeFile(path, Buffer.concat([length, json, Buffer.alloc(dataBytes)]));
  return path;
}

describe('safetensors', () => {
  it('reads back what it wrote, bit for bit', async () => {
    const path = join(folder, 'round-trip.safetensors');
    await writeSafetensors(path, example(), { note: 'ä "quoted"' });
    const { tensors, metadata } = await readSafetensors(path);
    expect(metadata).toEqual({ note: 'ä "quoted"' });
    for (const [name, { shape, data }] of example()) {
      expect(tensors.get(name)?.shape).toEqual(shape);
      expect(Object.is(tensors.get(name)?.data.constructor, data.constructor)).toBe(true);
      expect(Buffer.from(tensors.get(name)!.data.buffer)).toEqual(Buffer.from(data.buffer));
    }
  });

  it('is a pure function of its arguments', async () => {
    const [a, b] = [join(folder, 'a.safetensors'), join(folder, 'b.safetensors')];
    await writeSafetensors(a, example());
    await writeSafetensors(b, example());
    expect(await readFile(a)).toEqual(await readFile(b));
  });

  it.each([
    ['a missing file', async () => join(folder, 'absent'), /no such file/],
    [
      'an empty file',
      async () => {
        await writeFile(join(folder, 'e'), '');
        return join(folder, 'e');
      },
      /shorter than 8 bytes/,
    ],
    ['a header that is not JSON', () => craft('j', '{nonsense', 0), /not JSON/],
    ['a header that is a list', () => craft('l', [], 0), /not an object/],
    [
      'an unknown type',
      () => craft('t', { x: { dtype: 'BF16', shape: [1], data_offsets: [0, 2] } }, 2),
      /BF16/,
    ],
    [
      'a type named like a property',
      () => craft('p', { x: { dtype: 'constructor', shape: [1], data_offsets: [0, 2] } }, 2),
      /constructor/,
    ],
    [
      'data beyond the end',
      () => craft('d', { x: { dtype: 'F32', shape: [4], data_offsets: [0, 16] } }, 8),
      /truncated/,
    ],
    [
      'a size unlike the shape',
      () => craft('s', { x: { dtype: 'F32', shape: [3], data_offsets: [0, 16] } }, 16),
      /does not match its shape/,
    ],
    [
      'a negative offset',
      () => craft('n', { x: { dtype: 'F32', shape: [1], data_offsets: [-4, 0] } }, 16),
      /data_offsets/,
    ],
    [
      'a fractional shape',
      () => craft('f', { x: { dtype: 'F32', shape: [0.5], data_offsets: [0, 2] } }, 16),
      /wrong shape/,
    ],
    ['no description', () => craft('o', { x: null }, 0), /no description/],
    [
      'overlapping tensors',
      () =>
        craft(
          'v',
          {
            a: { dtype: 'F32', shape: [2], data_offsets: [0, 8] },
            b: { dtype: 'F32', shape: [2], data_offsets: [4, 12] },
          },
          12,
        ),
      /overlap/,
    ],
  ])('refuses %s with a clear error', async (_, make, message) => {
    await expect(readSafetensors(await make())).rejects.toThrow(message);
  });

  it('refuses an implausible header length without allocating it', async () => {
    const path = join(folder, 'huge');
    const prefix = Buffer.alloc(16);
    prefix.writeBigUInt64LE(2n ** 60n);
    await writeFile(path, prefix);
    await expect(readSafetensors(path)).rejects.toThrow(/not plausible/);
  });

  it('never crashes and never invents data on damaged files', async () => {
    const good = join(folder, 'good.safetensors');
    await writeSafetensors(good, example(), { a: 'b' });
    const bytes = await readFile(good);
    const path = join(folder, 'fuzzed.safetensors');
    await fc.assert(
      fc.asyncProperty(
        fc.nat(bytes.length - 1),
        fc.array(fc.record({ at: fc.nat(bytes.length - 1), to: fc.nat(255) }), { maxLength: 6 }),
        async (cut, edits) => {
          const damaged = Buffer.from(bytes.subarray(0, bytes.length - cut));
          for (const { at, to } of edits) if (at < damaged.length) damaged[at] = to;
          await writeFile(path, damaged);
          const outcome = await readSafetensors(path).catch((error: Error & { code?: string }) => error);
          if (outcome instanceof Error) expect(outcome).toMatchObject({ code: 'FCDD_BAD_MODEL' });
          else
            for (const { data } of outcome.tensors.values())
              expect(data.byteLength).toBeLessThanOrEqual(damaged.length);
        },
      ),
      { numRuns: 200 },
    );
  });

  it('says what is wrong when a file cannot be written, and leaves nothing behind', async () => {
    const taken = join(folder, 'taken');
    await mkdir(taken);
    await expect(writeSafetensors(taken, example())).rejects.toMatchObject({ code: 'FCDD_DISK' });
    await expect(writeSafetensors(join(folder, 'absent', 'x'), example())).rejects.toMatchObject({
      code: 'FCDD_DISK',
    });
    expect((await readdir(folder)).filter((name) => name.endsWith('.tmp'))).toEqual([]);
  });
});
