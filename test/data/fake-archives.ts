/**
 * Archives as the owners of the data sets publish them (names, layouts, formats), with a few small pictures
 * in them. Written into a folder that the test names.
 */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { Header } from 'tar';
import { imagenet30 } from '../../src/data/imagenet/classes.js';
import { crc32 } from './encoders.js';
import { cifarRecords, encode, idxImages, idxLabels, write } from './fixtures.js';

export interface TarMember {
  name: string;
  data?: Uint8Array;
  type?: 'File' | 'Directory' | 'SymbolicLink' | 'Link';
  linkpath?: string;
}

const block = 512;

function padded(data: Uint8Array): Buffer {
  return Buffer.concat([data, Buffer.alloc((block - (data.length % block)) % block)]);
}

function header(name: string, size: number, type: string, linkpath?: string): Buffer {
  const made = new Header({ path: name, size, mode: 0o644, mtime: new Date(0), type: type as 'File' });
  if (linkpath !== undefined) made.linkpath = linkpath;
  const bytes = Buffer.alloc(block);
  made.encode(bytes, 0);
  return bytes;
}

/** A tar archive; names of more than 99 characters as GNU tar writes them. */
export function tar(members: readonly TarMember[]): Buffer {
  const parts = members.flatMap(({ name, data = new Uint8Array(0), type = 'File', linkpath }) => {
    const long = Buffer.from(`${name}\0`);
    const before =
      name.length > 99 ? [header('././@LongLink', long.length, 'NextFileHasLongPath'), padded(long)] : [];
    return [...before, header(name.slice(0, 99), data.length, type, linkpath), padded(data)];
  });
  return Buffer.concat([...parts, Buffer.alloc(2 * block)]);
}

export const tarGz = (members: readonly TarMember[]): Buffer => gzipSync(tar(members));

/** Null where there is no xz on this machine. */
export function tarXz(members: readonly TarMember[]): Buffer | null {
  const { stdout, status } = spawnSync('xz', ['--stdout', '-1'], {
    input: tar(members),
    maxBuffer: 1 << 28,
  });
  return status === 0 ? stdout : null;
}

/** A zip archive, stored without compression. */
export function zip(members: readonly { name: string; data: Uint8Array; link?: boolean }[]): Buffer {
  const parts: Buffer[] = [];
  const directory: Buffer[] = [];
  let at = 0;
  for (const { name, data, link } of members) {
    const common = Buffer.alloc(26);
    common.writeUInt16LE(20, 0);
    common.writeUInt32LE(crc32(data), 10);
    common.writeUInt32LE(data.length, 14);
    common.writeUInt32LE(data.length, 18);
    common.writeUInt16LE(Buffer.byteLength(name), 22);
    const local = Buffer.concat([Buffer.from('PK\u0003\u0004'), common, Buffer.from(name), data]);
    const central = Buffer.alloc(14);
    central.writeUInt32LE((link ? 0o120777 : 0o100644) * 2 ** 16, 6);
    central.writeUInt32LE(at, 10);
    directory.push(
      Buffer.concat([
        Buffer.from('PK\u0001\u0002'),
        Buffer.from([20, 3]),
        common,
        central,
        Buffer.from(name),
      ]),
    );
    parts.push(local);
    at += local.length;
  }
  const end = Buffer.alloc(18);
  const size = directory.reduce((sum, { length }) => sum + length, 0);
  end.writeUInt16LE(members.length, 4);
  end.writeUInt16LE(members.length, 6);
  end.writeUInt32LE(size, 8);
  end.writeUInt32LE(at, 12);
  return Buffer.concat([...parts, ...directory, Buffer.from('PK\u0005\u0006'), end]);
}

/** A smooth photograph-like picture: JPEG of noise would be large. */
export function photo(height: number, width: number, seed: number, format: 'jpeg' | 'png' = 'jpeg') {
  const data = new Uint8Array(height * width * 3);
  for (let i = 0; i < height * width; i++) {
    const [y, x] = [Math.floor(i / width), i % width];
    data[3 * i] = 127 + 120 * Math.sin(0.11 * y + seed);
    data[3 * i + 1] = 127 + 120 * Math.sin(0.07 * x + 2 * seed);
    data[3 * i + 2] = 127 + 120 * Math.sin(0.05 * (x + y) + 3 * seed);
  }
  return encode({ height, width, data, format });
}

/** MVTec AD: two categories. */
export async function mvtecMembers(train = 4): Promise<TarMember[]> {
  const members: TarMember[] = [{ name: 'license.txt', data: Buffer.from('CC BY-NC-SA 4.0') }];
  const mask = new Uint8Array(40 * 40).fill(255, 0, 400);
  for (const category of ['bottle', 'own']) {
    members.push({ name: `${category}/`, type: 'Directory' });
    const add = async (name: string, seed: number) =>
      members.push({ name: `${category}/${name}`, data: await photo(40, 40, seed, 'png') });
    for (let i = 0; i < train; i++) await add(`train/good/00${i}.png`, i);
    for (let i = 0; i < 2; i++) await add(`test/good/00${i}.png`, 10 + i);
    for (let i = 0; i < 2; i++) {
      await add(`test/broken/00${i}.png`, 20 + i);
      members.push({
        name: `${category}/ground_truth/broken/00${i}_mask.png`,
        data: await encode({ height: 40, width: 40, channels: 1, data: mask }),
      });
    }
  }
  return members;
}

export const fashionMnistFiles = (count: number): Record<string, Uint8Array> => {
  const labels = Array.from({ length: count }, (_, i) => i % 10);
  return {
    'train-images-idx3-ubyte.gz': gzipSync(idxImages(count, 28, 28)),
    'train-labels-idx1-ubyte.gz': gzipSync(idxLabels(labels)),
    't10k-images-idx3-ubyte.gz': gzipSync(idxImages(count, 28, 28, 3)),
    't10k-labels-idx1-ubyte.gz': gzipSync(idxLabels(labels)),
  };
};

/** The whole of EMNIST's zip, of which the letters are wanted. */
export function emnistZip(): Buffer {
  const labels = Array.from({ length: 52 }, (_, i) => 1 + (i % 26));
  const part = (set: string, split: string, count: number, values: readonly number[]) => [
    { name: `gzip/emnist-${set}-${split}-images-idx3-ubyte.gz`, data: gzipSync(idxImages(count, 28, 28)) },
    { name: `gzip/emnist-${set}-${split}-labels-idx1-ubyte.gz`, data: gzipSync(idxLabels(values)) },
  ];
  return zip([
    ...part('letters', 'train', 52, labels),
    ...part('letters', 'test', 52, labels),
    ...part('digits', 'train', 3, [1, 2, 3]),
    { name: 'gzip/emnist-letters-mapping.txt', data: Buffer.from('1 65 97\n') },
  ]);
}

export function cifar10Archive(count = 20): Buffer {
  const records = (seed: number) =>
    cifarRecords(
      Array.from({ length: count }, (_, i) => i % 10),
      seed,
    );
  return tarGz([
    { name: 'cifar-10-batches-bin/', type: 'Directory' },
    { name: 'cifar-10-batches-bin/data_batch_1.bin', data: records(1) },
    { name: 'cifar-10-batches-bin/test_batch.bin', data: records(2) },
    { name: 'cifar-10-batches-bin/readme.html', data: Buffer.from('<p>hello</p>') },
  ]);
}

export function cifar100Archive(count = 20): Buffer {
  const labels = Array.from({ length: count }, (_, i): [number, number] => [i % 20, (7 * i) % 100]);
  return tarGz([
    { name: 'cifar-100-binary/train.bin', data: cifarRecords(labels, 1) },
    { name: 'cifar-100-binary/test.bin', data: cifarRecords(labels, 2) },
  ]);
}

/** VOC 2007: per split `horses` images with a horse, one where it is difficult, and as many without. */
export async function vocMembers(horses = 4): Promise<TarMember[]> {
  const members: TarMember[] = [];
  const add = (name: string, data: string | Uint8Array) =>
    members.push({ name: `VOCdevkit/VOC2007/${name}`, data: Buffer.from(data) });
  let id = 0;
  for (const split of ['train', 'val']) {
    const lines: [string, number][] = [];
    for (const flag of [...Array(horses).fill(1), 0, ...Array(horses).fill(-1)]) {
      const name = String(++id).padStart(6, '0');
      lines.push([name, flag]);
      add(`JPEGImages/${name}.jpg`, await photo(45, 60, id));
      const shown = flag === -1 ? 'person' : 'horse';
      add(
        `Annotations/${name}.xml`,
        `<annotation><object>\n\t<name>${shown}</name><part><name>head</name></part></object></annotation>`,
      );
    }
    add(`ImageSets/Main/${split}.txt`, lines.map(([name]) => `${name}\n`).join(''));
    add(
      `ImageSets/Main/horse_${split}.txt`,
      lines.map(([name, flag]) => `${name} ${String(flag).padStart(2)}\n`).join(''),
    );
    add(
      `ImageSets/Main/person_${split}.txt`,
      lines.map(([name, flag]) => `${name} ${flag === -1 ? ' 1' : '-1'}\n`).join(''),
    );
  }
  add('SegmentationClass/000001.png', 'not wanted');
  return members;
}

/** Tabby cat, catamaran, tench: classes beside the thirty, the first of which shows what VOC is about. */
export const otherSynsets = ['n02123045', 'n02981792', 'n01440764'] as const;

/**
 * ILSVRC's three files: training images as a tar of tars, validation images in one tar, the development kit.
 */
export async function writeIlsvrc(folder: string, perClass = 3): Promise<void> {
  const shown = [...imagenet30.slice(0, 3).map(({ wordnetId }) => wordnetId), ...otherSynsets];
  const train: TarMember[] = [];
  for (const [k, wnid] of shown.entries()) {
    const inner: TarMember[] = [];
    for (let i = 0; i < perClass; i++) {
      inner.push({ name: `${wnid}_${10 * i + 1}.JPEG`, data: await photo(60 + 10 * i, 80, 10 * k + i) });
    }
    train.push({ name: `${wnid}.tar`, data: tar(inner) });
  }
  write(join(folder, 'ILSVRC2012_img_train.tar'), tar(train));
  // Two images of each class, classes in turn.
  const truth = Array.from({ length: 2 * shown.length }, (_, i) => shown[i % shown.length]!);
  const val: TarMember[] = [];
  for (const i of truth.keys()) {
    val.push({
      name: `ILSVRC2012_val_${String(i + 1).padStart(8, '0')}.JPEG`,
      data: await photo(70, 60, 100 + i),
    });
  }
  write(join(folder, 'ILSVRC2012_img_val.tar'), tar(val));
  write(join(folder, 'ILSVRC2012_devkit_t12.tar.gz'), devkit(truth));
}

/** As the golden meta.mat numbers them (scripts/goldens/imagenet_meta.py). */
const ilsvrcIds = [
  'n02389026',
  'n01440764',
  'n04146614',
  'n02981792',
  'n02123045',
  ...imagenet30.map(({ wordnetId }) => wordnetId).reverse(),
];

export function devkit(truth: readonly string[]): Buffer {
  const meta = readFileSync(join(import.meta.dirname, '../golden/ilsvrc-meta.mat'));
  const ids = truth.map((wnid) => `${ilsvrcIds.indexOf(wnid) + 1}\n`).join('');
  const root = 'ILSVRC2012_devkit_t12';
  return tarGz([
    { name: `${root}/readme.txt`, data: Buffer.from('hello') },
    { name: `${root}/data/meta.mat`, data: meta },
    { name: `${root}/data/ILSVRC2012_validation_ground_truth.txt`, data: Buffer.from(ids) },
  ]);
}

/**
 * ImageNet-22k: a tar of tars, with what is broken in the real one: empty pictures, pages instead of
 * pictures.
 */
export async function imagenet22kTar(perClass = 3): Promise<Buffer> {
  const acorn = imagenet30[0]!.wordnetId;
  const outer: TarMember[] = [];
  for (const [k, wnid] of [...otherSynsets, acorn].entries()) {
    const inner: TarMember[] = [];
    for (let i = 0; i < perClass; i++) {
      inner.push({ name: `${wnid}_${i}.JPEG`, data: await photo(50, 60 + 20 * i, 7 * k + i) });
    }
    if (k === 1) {
      inner.push({ name: `${wnid}_90.JPEG` });
      inner.push({ name: `${wnid}_91.JPEG`, data: Buffer.from('<html>404</html>') });
    }
    const whole = tar(inner);
    outer.push({ name: `${wnid}.tar`, data: k === 2 ? whole.subarray(0, whole.length - 1536) : whole });
  }
  return tar(outer);
}
