/** Real exports of torch.onnx (scripts/goldens/vgg_onnx.py) read by walking the graph. */
import { copyFile, mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { openDevice } from '../../src/index.js';
import { writeChain } from '../../src/onnx/write-chain.js';
import { blockOutputs } from '../../src/weights/activations.js';
import { foldAll } from '../../src/weights/fold.js';
import { readBackbone, readWeights } from '../../src/weights/read.js';
import type { Backbone } from '../../src/weights/types.js';
import { type GoldenTensor, golden, relativeDistance, tolerances } from '../golden/files.js';
import { values } from '../golden/formula.js';
import { temporaryFolder } from '../training/helpers.js';
import { formulaBackbone, onnxGolden, thin, type thinLayers } from '../weights/helpers.js';
import { WireWriter } from './wire-writer.js';

const read = (name: string): Promise<Backbone> => readBackbone(onnxGolden(name), 'onnx', [thin]);
const data = ({ tensors }: Backbone, name: string): Float32Array => tensors.get(name)!.data as Float32Array;

let kept: Backbone;
let folder: string;
beforeAll(async () => {
  kept = await read('vgg-thin-kept.onnx');
  folder = await temporaryFolder();
});

describe('a VGG11-bn that torch.onnx exported', () => {
  it('has batch normalisation live and every tensor of the layers before the head', () => {
    expect(kept).toMatchObject({ bn: 'live', channels: 3, architecture: 'vgg-thin' });
    expect(kept.tensors.size).toBe(6 * 6);
    expect(kept.tensors.get('features.18.weight')!.shape).toEqual([10, 10, 3, 3]);
    expect(data(kept, 'features.1.weight')[0]).toBeLessThan(0); // the sign of γ survives
  });

  it('gives PyTorch’s activations after every block', async () => {
    const { blocks } = golden<{ blocks: Record<string, GoldenTensor> }>('onnx/vgg-thin.json');
    using device = openDevice('reference');
    const image = { batch: 1, height: 32, width: 32, channels: 3, data: values('x/0', 32 * 32 * 3, 1.75) };
    const expected = Object.values(blocks);
    let at = 0;
    for await (const { name, output } of blockOutputs(device, kept.layers, kept.tensors, image)) {
      const block = expected[at++]!;
      expect([output.height, output.width, output.channels]).toEqual(block.shape);
      expect(relativeDistance(output.data, block.data), name).toBeLessThan(tolerances.opFloat64);
    }
    expect(at).toBe(6);
  });

  it.each([
    ['with operator set 9 and weights listed as inputs', 'opset9'],
    ['with Constant nodes', 'constants'],
    ['with float_data', 'float-data'],
    ['with external data', 'external'],
  ])('is the same %s', async (_, variant) => {
    const other = await read(`vgg-thin-${variant}.onnx`);
    expect(other.bn).toBe('live');
    expect([...other.tensors.keys()]).toEqual([...kept.tensors.keys()]);
    for (const name of kept.tensors.keys()) expect(data(other, name), name).toEqual(data(kept, name));
  });

  it('is the same in training mode but for the running statistics, which the exporter’s tracing moved', async () => {
    const other = await read('vgg-thin-training.onnx');
    expect(other.remark).toMatch(/training mode/);
    expect(kept.remark).toBeUndefined();
    for (const name of kept.tensors.keys()) {
      if (!name.includes('running_')) expect(data(other, name), name).toEqual(data(kept, name));
    }
    // One image of zeros, whose features are the biases of the first convolution.
    const [mean, bias] = [data(kept, 'features.1.running_mean'), data(kept, 'features.0.bias')];
    const moved = mean.map((value, k) => 0.9 * value + 0.1 * bias[k]!);
    expect(relativeDistance(data(other, 'features.1.running_mean'), moved)).toBeLessThan(
      tolerances.foldFloat32,
    );
  });

  it('is the same in float16, to its eleven bits', async () => {
    const half = await read('vgg-thin-half.onnx');
    for (const name of kept.tensors.keys()) {
      expect(relativeDistance(data(half, name), data(kept, name)), name).toBeLessThan(
        tolerances.halfPrecision,
      );
      expect(data(half, name).every(fitsFloat16), name).toBe(true);
    }
  });

  it('is recognised as folded where the exporter folded it, and its values are those of our own folding', async () => {
    const folded = await read('vgg-thin-folded.onnx');
    expect(folded.bn).toBe('folded');
    expect(folded.layers.some(({ kind }) => kind === 'batchnorm')).toBe(false);
    const ours = foldAll(kept.layers, kept.tensors);
    expect([...folded.tensors.keys()].sort()).toEqual([...ours.keys()].sort());
    for (const [name, { data: values }] of ours) {
      expect(relativeDistance(data(folded, name), values as Float32Array), name).toBeLessThan(
        tolerances.foldFloat32,
      );
    }
  });

  it('reads back what we write', async () => {
    const path = join(folder, 'own.onnx');
    const { layers, tensors } = kept;
    await writeFile(path, Buffer.concat(writeChain(layers, tensors, { channels: 3, height: 32, width: 32 })));
    const again = await readBackbone(path, 'onnx', [thin]);
    for (const name of tensors.keys()) expect(data(again, name)).toEqual(data(kept, name));
  });

  it('finds the architecture by itself, and keeps nothing of a head', async () => {
    const { backbone, source } = await readWeights(onnxGolden('cnn28-kept.onnx'));
    expect(backbone).toMatchObject({ architecture: 'cnn28', channels: 1, bn: 'live' });
    expect([...backbone.tensors.keys()].some((name) => name.startsWith('conv_final'))).toBe(false);
    expect(source).toMatchObject({ file: 'cnn28-kept.onnx', format: 'onnx' });
    expect((await readWeights(onnxGolden('cnn28-folded.onnx'))).backbone.bn).toBe('folded');
  });

  it('says where another network differs, and which fitted best', async () => {
    const wrong = readWeights(onnxGolden('cnn28-kept.onnx'), { as: 'cnn28-w' });
    await expect(wrong).rejects.toThrow(/cnn28-kept.onnx.*not cnn28-w.*filters 8, expected 128/);
    await expect(readWeights(onnxGolden('vgg-thin-kept.onnx'))).rejects.toThrow(
      /features.0.*filters 4, expected 64/,
    );
  });
});

/** Eleven bits, or a multiple of the smallest float16. */
function fitsFloat16(value: number): boolean {
  const exponent = Math.max(-14, Math.floor(Math.log2(Math.abs(value) || 1)));
  return Number.isInteger(value / 2 ** (exponent - 10));
}

/** The same file with another name for an initialiser, which nodes go on asking for under the old one. */
function renamed(file: Buffer, name: string): Buffer {
  file.write('X', file.lastIndexOf(name));
  return file;
}

/** A small model: cnn28's layers, changed by the test. */
function model(change: (parts: Parts) => void = () => {}): Buffer {
  const { layers, tensors } = formulaBackbone('cnn28', 1);
  const parts: Parts = { layers: structuredClone(layers), tensors: new Map(tensors), opset: 13 };
  change(parts);
  const bytes = Buffer.concat(
    writeChain(parts.layers, parts.tensors, { channels: 1, height: 28, width: 28 }),
  );
  if (parts.opset !== 13) bytes[bytes.length - 1] = parts.opset;
  return bytes;
}

interface Parts {
  layers: ReturnType<typeof thinLayers>;
  tensors: Backbone['tensors'];
  opset: number;
}

/** An ONNX file whose only tensor is described by `tensor`: the weights of a convolution. */
function withTensor(tensor: WireWriter): Buffer {
  const node = new WireWriter().text(1, 'image').text(1, 'w').text(2, 'y').text(4, 'Conv');
  const pads = new WireWriter().text(1, 'pads');
  for (let i = 0; i < 4; i++) pads.varint(8, 2);
  node.message(5, pads.varint(20, 7));
  const image = new WireWriter().text(1, 'image');
  const graph = new WireWriter().message(1, node).message(5, tensor).message(11, image);
  const opset = new WireWriter().varint(2, 17);
  return Buffer.concat(new WireWriter().message(7, graph).message(8, opset).parts);
}

const weightTensor = (type: number, name = 'w'): WireWriter => {
  const tensor = new WireWriter();
  for (const extent of [8, 1, 5, 5]) tensor.varint(1, extent);
  return tensor.varint(2, type).text(8, name);
};

const external = (entries: Record<string, string>): WireWriter => {
  const tensor = weightTensor(1);
  for (const [key, value] of Object.entries(entries))
    tensor.message(13, new WireWriter().text(1, key).text(2, value));
  return tensor.varint(14, 1);
};

const oneConv = {
  name: 'one',
  layers: [{ kind: 'conv', name: 'c', filters: 8, kernel: 5, padding: 2, bias: false }],
};

async function refusal(bytes: Buffer, candidate: unknown = oneConv): Promise<Error> {
  const path = join(folder, 'bad.onnx');
  await writeFile(path, bytes);
  return readBackbone(path, 'onnx', [candidate as typeof thin]).then(
    () => Promise.reject(new Error('it was read')),
    (error: Error) => error,
  );
}

describe('what cannot be read gives one clear error', () => {
  const cnn28 = { name: 'cnn28', layers: formulaBackbone('cnn28', 1).layers };

  it.each<[string, Buffer, RegExp]>([
    [
      'an old operator set',
      model((parts) => void Object.assign(parts, { opset: 8 })),
      /operator set is 8; 9 and later/,
    ],
    ['a missing initialiser', renamed(model(), 'conv2.weight'), /conv2.weight.*neither an init/],
    [
      'other filters',
      model(
        (parts) =>
          Object.assign(parts.layers[0]!, { filters: 9 }) &&
          parts.tensors.set('conv1.weight', { shape: [9, 1, 5, 5], data: new Float32Array(225) }),
      ),
      /filters 9, expected 8/,
    ],
    [
      'another slope',
      model((parts) => Object.assign(parts.layers[2]!, { slope: 0.2 })),
      /slope 0.2\d*, expected 0.01/,
    ],
    ['another epsilon', model((parts) => Object.assign(parts.layers[1]!, { eps: 1e-3 })), /epsilon/],
    [
      'another padding',
      model((parts) => Object.assign(parts.layers[0]!, { padding: 1 })),
      /padding 1,1,1,1, expected 2,2,2,2/,
    ],
    [
      'another window',
      model((parts) => Object.assign(parts.layers[3]!, { kernel: 3 })),
      /window 3×3, expected 2×2/,
    ],
    [
      'another activation',
      model((parts) => Object.assign(parts.layers[2]!, { kind: 'relu' })),
      /expected LeakyRelu, found Relu/,
    ],
    [
      'a graph that ends early',
      model((parts) => void parts.layers.splice(4)),
      /ends where Conv \(5×5, 16 filters\) should follow/,
    ],
    [
      'a negative variance',
      model((parts) => void (parts.tensors.get('bn2d1.running_var')!.data as Float32Array).fill(-1, 3)),
      /bn2d1.running_var holds the value -1/,
    ],
    [
      'a value that is not finite',
      model((parts) => void (parts.tensors.get('conv1.bias')!.data as Float32Array).fill(Number.NaN)),
      /conv1.bias holds the value NaN/,
    ],
  ])('%s', async (_, bytes, message) => {
    const error = await refusal(bytes, cnn28);
    expect(error).toMatchObject({ code: 'FCDD_BAD_MODEL' });
    expect(error.message).toMatch(message);
  });

  it.each<[string, Buffer, RegExp]>([
    ['integers', withTensor(weightTensor(7).bytes(9, new Uint8Array(1600))), /"w" is int64/],
    ['bfloat16', withTensor(weightTensor(16).bytes(9, new Uint8Array(400))), /"w" is bfloat16/],
    ['a type that does not exist', withTensor(weightTensor(99).bytes(9, new Uint8Array(800))), /type 99/],
    ['too few values', withTensor(weightTensor(1).bytes(9, new Uint8Array(796))), /796 bytes instead of 800/],
    ['no values', withTensor(weightTensor(1)), /has no values/],
    [
      'doubles stored as floats',
      withTensor(weightTensor(11).bytes(4, new Uint8Array(1600))),
      /stored as float_data/,
    ],
    [
      'a path that leaves the folder',
      withTensor(external({ location: '../secret' })),
      /outside the model's folder/,
    ],
    ['an absolute path', withTensor(external({ location: '/etc/passwd' })), /outside the model's folder/],
    ['a path that climbs', withTensor(external({ location: 'a/../../x' })), /outside the model's folder/],
    [
      'a link that leaves the folder',
      withTensor(external({ location: 'link' })),
      /outside the model's folder/,
    ],
    [
      'a missing external file',
      withTensor(external({ location: 'absent.bin' })),
      /absent.bin, which is missing/,
    ],
    ['a folder as external file', withTensor(external({ location: 'sub' })), /not a file/],
    ['no location', withTensor(external({})), /does not say in which file/],
    ['a short external file', withTensor(external({ location: 'short.bin' })), /beyond the end of short.bin/],
    ['a wrong offset', withTensor(external({ location: 'short.bin', offset: '-4' })), /external offset "-4"/],
    [
      'another length',
      withTensor(external({ location: 'short.bin', length: '12' })),
      /12 bytes instead of 800/,
    ],
    ['an empty file', Buffer.alloc(0), /holds no graph/],
    ['text', Buffer.from('not a model at all, just some text'), /not a usable ONNX file/],
  ])('%s', async (_, bytes, message) => {
    await mkdir(join(folder, 'sub'), { recursive: true });
    await writeFile(join(folder, 'short.bin'), Buffer.alloc(400));
    await symlink('/etc/passwd', join(folder, 'link')).catch(() => {});
    const error = await refusal(bytes);
    expect(error).toMatchObject({ code: 'FCDD_BAD_MODEL' });
    expect(error.message).toMatch(message);
  });

  it.each([
    ['vgg.pth', Buffer.from('PK\x03\x04rest of an archive'), /pickle/, /weights_only=True.*vgg\.safetensors/],
    ['old.pth', Buffer.from([0x80, 0x02, 0x8a, 0x0a, 0x6c]), /pickle/, /save_file/],
    ['page.onnx', Buffer.from('<!DOCTYPE html><html>'), /web page/, /download/],
    ['lfs.onnx', Buffer.from('version https://git-lfs.github.com/spec/v1\n'), /Git LFS/, /git lfs pull/],
    ['empty.onnx', Buffer.alloc(0), /empty file/, /download/],
  ])('%s by its content', async (name, bytes, message, hint) => {
    const path = join(folder, name);
    await writeFile(path, bytes);
    const error = await readWeights(path).catch((caught: unknown) => caught as Error & { hint: string });
    expect(error).toMatchObject({ code: 'FCDD_BAD_MODEL' });
    expect((error as Error).message).toMatch(message);
    expect((error as { hint: string }).hint).toMatch(hint);
  });

  it('a missing file', async () => {
    await expect(readWeights(join(folder, 'absent.onnx'))).rejects.toMatchObject({ code: 'FCDD_NOT_FOUND' });
  });

  it('external data truncated beside a good model', async () => {
    const nested = join(folder, 'nested');
    await mkdir(nested);
    await copyFile(onnxGolden('vgg-thin-external.onnx'), join(nested, 'model.onnx'));
    const bytes = await readFile(onnxGolden('vgg-thin-external.bin'));
    await writeFile(join(nested, 'vgg-thin-external.bin'), bytes.subarray(0, 9000));
    await expect(readBackbone(join(nested, 'model.onnx'), 'onnx', [thin])).rejects.toThrow(/truncated/);
  });
});

/** A small generator with a seed, so that a failing variant can be made again. */
function random(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

/** Byte ranges of `file` that are not values of tensors, so that damage there can be seen. */
function structure(file: Buffer, tensors: Backbone['tensors']): number[] {
  const inside = new Uint8Array(file.length);
  for (const { data: values } of tensors.values()) {
    const bytes = Buffer.from(values.buffer, values.byteOffset, values.byteLength);
    for (let at = file.indexOf(bytes); bytes.length > 100 && at >= 0; at = file.indexOf(bytes, at + 1))
      inside.fill(1, at, at + bytes.length);
  }
  return [...inside.keys()].filter((index) => inside[index] === 0);
}

describe('fuzzed variants', () => {
  it('each of 50 damaged files gives one clear error or the untouched weights', async () => {
    const file = await readFile(onnxGolden('vgg-thin-kept.onnx'));
    const places = structure(file, kept.tensors);
    const path = join(folder, 'fuzzed.onnx');
    let refused = 0;
    for (let seed = 1; seed <= 50; seed++) {
      const draw = random(seed);
      let bytes = Buffer.from(file);
      const edits = 1 + draw(8);
      for (let i = 0; i < edits; i++) bytes[places[draw(places.length)]!] = draw(256);
      if (seed % 5 === 0) bytes = bytes.subarray(0, draw(bytes.length));
      if (seed % 7 === 0) bytes = Buffer.concat([bytes.subarray(0, draw(2000)), bytes.subarray(draw(4000))]);
      await writeFile(path, bytes);
      const outcome = await readBackbone(path, 'onnx', [thin]).catch((error: Error) => error);
      if (outcome instanceof Error) {
        refused++;
        expect(outcome, `seed ${seed}`).toMatchObject({ code: 'FCDD_BAD_MODEL' });
        expect(outcome.message, `seed ${seed}`).toContain('fuzzed.onnx');
        expect(outcome.message.length, `seed ${seed}`).toBeLessThan(4500);
      } else {
        // Damage to a name or to the head that nobody reads.
        for (const [name, { shape }] of kept.tensors) expect(outcome.tensors.get(name)!.shape).toEqual(shape);
      }
    }
    expect(refused).toBeGreaterThan(30);
  });
});
