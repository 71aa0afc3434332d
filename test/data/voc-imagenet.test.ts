import { rmSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { imagenet30, showsVocClass, wordNetId } from '../../src/data/imagenet/classes.js';
import { addLabelFile, readLabels, validationClass } from '../../src/data/imagenet/labels.js';
import { readMatFile } from '../../src/data/imagenet/mat-file.js';
import { openDataSet, publishedConstants, trainingDefaults } from '../../src/data/index.js';
import { imagenetPipelines, vocPipelines } from '../../src/data/pipelines.js';
import { vocMembers } from './fake-archives.js';
import { failure, temporaryFolder, write } from './fixtures.js';

describe('Pascal VOC', () => {
  const root = temporaryFolder();
  const voc = join(root, 'VOCdevkit/VOC2007');
  beforeAll(async () => {
    for (const { name, data } of await vocMembers()) write(join(root, name), data!);
  });

  it('trains on images with a horse, difficult ones included, and tests on val', async () => {
    for (const dir of [root, join(root, 'VOCdevkit'), voc]) {
      const set = await openDataSet('pascal-voc', { dir, seed: 0, anomalies: true });
      expect(set).toMatchObject({ className: 'horse', classIndex: 12, nominalLabel: 1, pixelwise: false });
      // Nominal in the store; the engine swaps.
      expect(set.train.records.map(({ name, label }) => [name, label])).toEqual(
        [1, 2, 3, 4, 5].map((id) => [`JPEGImages/00000${id}.jpg`, 0]),
      );
      expect(
        set.train.images.images.every(
          ({ label, height, width }) => !label && height === 224 && width === 224,
        ),
      ).toBe(true);
      expect(set.test!.records.map(({ label }) => label)).toEqual([1, 1, 1, 1, 1, 0, 0, 0, 0]);
      expect(set.test!.records.map(({ type }) => type).slice(4, 6)).toEqual(['horse', 'no horse']);
      expect(set.anomalies!.records.map(({ label, type }) => `${type} ${label}`)).toEqual(
        Array(4).fill('no horse 1'),
      );
      expect(set.constants!.mean).toEqual([0.4469, 0.4227, 0.3906]);
      expect(set.summary.join('\n')).toMatch(/labels swapped/);
    }
  });

  it('knows the other classes, by list or by annotation', async () => {
    const person = await openDataSet('pascal-voc', { dir: root, seed: 0, className: 'person', only: 'test' });
    expect(person.test!.records.filter(({ label }) => label === 1)).toHaveLength(4);
    // There is no list of sheep: the annotations say that there is none; parts are not objects.
    await failure(
      openDataSet('pascal-voc', { dir: root, seed: 0, className: 'sheep' }),
      'FCDD_BAD_DATA',
      /no training image with a sheep/,
    );
    rmSync(join(voc, 'ImageSets/Main/horse_val.txt'));
    const horse = await openDataSet('pascal-voc', { dir: root, seed: 0, only: 'test' });
    expect(horse.test!.records.filter(({ label }) => label === 1)).toHaveLength(5);
  });

  it('names what is wrong', async () => {
    await failure(
      openDataSet('pascal-voc', { dir: root, seed: 0, className: 'unicorn' }),
      'FCDD_INVALID_ARGUMENT',
      /unicorn/,
    );
    await failure(
      openDataSet('pascal-voc', { dir: temporaryFolder(), seed: 0 }),
      'FCDD_NOT_FOUND',
      /ImageSets\/Main/,
      /data prepare voc/,
    );
    const open = () => openDataSet('pascal-voc', { dir: root, seed: 0, className: 'cow' });
    const list = join(voc, 'ImageSets/Main/cow_train.txt');
    write(list, '../../../etc/passwd 1\n');
    await failure(open(), 'FCDD_BAD_DATA', /is no name of an image/);
    write(list, '000001 2\n');
    await failure(open(), 'FCDD_BAD_DATA', /expected "<image> -1\|0\|1"/);
    write(list, '000099 1\n');
    await failure(open(), 'FCDD_NOT_FOUND', /000099\.jpg/);
  });

  it('has the published settings', () => {
    expect(trainingDefaults('pascal-voc')).toMatchObject({
      batch: 200,
      epochs: 600,
      optimizer: 'adam',
      lr: 1e-3,
      weightDecay: 1e-6,
      schedule: { kind: 'milestones', at: [400, 500], factor: 0.1 },
      model: 'vgg11-nopt',
      preprocessing: 'aug1',
      sigma: 8,
      quantile: 0.99,
      supervise: 'noise',
      noise: 'imagenet',
      holdOut: 0,
    });
    const { train, test } = vocPipelines('aug1');
    const amount = { brightness: 0.01, contrast: 0.01, saturation: 0.01, hue: 0.01 };
    expect(test).toMatchObject({ height: 224, width: 224, channels: 3, lcn: false });
    expect(train).toEqual({ ...test, jitter: [amount], jitterFirst: true, noise: { sigma: 0.001 } });
  });
});

describe('ImageNet', () => {
  it('has the published settings and constants', async () => {
    expect(trainingDefaults('imagenet')).toMatchObject({
      batch: 200,
      model: 'vgg11-nopt',
      sigma: 8,
      quantile: 0.97,
      supervise: 'noise',
      noise: 'imagenet22k',
    });
    const { train, test } = imagenetPipelines('aug1');
    expect(train).toMatchObject({ flip: true, randomCrop: true, jitterFirst: true, noise: { sigma: 0.001 } });
    expect(test.resize).toBeUndefined();
    expect(imagenet30).toHaveLength(30);
    expect(imagenet30.map(({ wordnetId }) => wordNetId(wordnetId))).not.toContain(null);
    expect(publishedConstants('mvtec', 'acorn')).toBeNull();
  });

  it.each([
    ['n01440764.tar', 'n01440764'],
    ['a/n01440764/x.JPEG', 'n01440764'],
    ['n01440764_10026.JPEG', 'n01440764'],
    ['ILSVRC2012_val_00000001.JPEG', null],
    ['n014407640.tar', null],
    ['xn01440764.tar', null],
  ])('finds the WordNet id of %s', (name, wnid) => {
    expect(wordNetId(name)).toBe(wnid);
  });

  it.each([
    ['tabby, tabby cat', true],
    ['Persian cat', true],
    ['school bus', true],
    ['catamaran', false],
    ['television, TV', true],
    ['tench, Tinca tinca', false],
    ['sports car, sport car', true],
    ['cardigan', false],
    ['flowerpot plant', true],
  ])('takes %s for what VOC is about: %s', (name, shows) => {
    expect(showsVocClass(name)).toBe(shows);
  });

  it('reads labels of every known kind', async () => {
    const folder = temporaryFolder();
    const of = async (files: Record<string, string>) => {
      const root = join(folder, String(Math.random()));
      for (const [name, content] of Object.entries(files)) write(join(root, name), content);
      return readLabels(root);
    };
    const list = await of({ 'imagenet_2012_validation_synset_labels.txt': 'n01440764\nn02123045\n' });
    expect(list.validation).toEqual(['n01440764', 'n02123045']);
    expect(validationClass(list, 'x/ILSVRC2012_val_00000002.JPEG')).toBe('n02123045');
    expect(validationClass(list, 'ILSVRC2012_val_00000003.JPEG')).toBeNull();
    const kaggle = await of({
      'LOC_val_solution.csv':
        'ImageId,PredictionString\nILSVRC2012_val_00000002,n02123045 1 2 3 4 n02123045 5 6 7 8\n',
      'LOC_synset_mapping.txt': 'n01440764 tench, Tinca tinca\n',
    });
    expect(kaggle.validation).toEqual([null, 'n02123045']);
    expect(kaggle.names.get('n01440764')).toBe('tench, Tinca tinca');
    expect((await of({ 'words.txt': 'n00001740\tentity\n' })).names.get('n00001740')).toBe('entity');
    const empty = await of({ 'readme.txt': 'nothing' });
    expect([empty.validation, empty.names.size]).toEqual([null, 0]);
    expect(await addLabelFile(empty, write(join(folder, 'notes.txt'), 'hello'))).toBe(false);
    const truth = write(join(folder, 'ILSVRC2012_validation_ground_truth.txt'), '490\n361\n');
    await failure(addLabelFile(empty, truth), 'FCDD_BAD_DATA', /devkit_t12\.tar\.gz/);
    await failure(of({ 'labels.json': '{' }), 'FCDD_BAD_DATA', /damaged/);
  });

  it('reads meta.mat as SciPy writes it, and survives damage', async () => {
    const file = await readFile(join(import.meta.dirname, '../golden/ilsvrc-meta.mat'));
    const synsets = readMatFile(file, 'meta.mat').get('synsets') as Record<string, unknown>[];
    expect(synsets).toHaveLength(36);
    expect(synsets[0]).toMatchObject({
      ILSVRC2012_ID: [1],
      WNID: 'n02389026',
      words: 'sorrel',
      children: [],
    });
    expect(synsets[1]).toMatchObject({ ILSVRC2012_ID: [2], num_train_images: [1300] });
    expect(synsets[35]).toMatchObject({ WNID: 'n00001740', num_children: [2], children: [1, 2] });
    expect(synsets[0]!.gloss).toMatch(/^naïve/);
    for (let length = 0; length < file.length; length += 97) {
      try {
        readMatFile(file.subarray(0, length), 'meta.mat');
      } catch (error) {
        expect(error).toMatchObject({ code: 'FCDD_BAD_DATA' });
      }
    }
    for (let at = 128; at < file.length; at += 31) {
      const broken = Buffer.from(file);
      broken[at]! ^= 0xff;
      try {
        readMatFile(broken, 'meta.mat');
      } catch (error) {
        expect(error).toMatchObject({
          code: 'FCDD_BAD_DATA',
          message: expect.stringMatching(/^meta\.mat: /),
        });
      }
    }
  });
});
