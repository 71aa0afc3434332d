import { appendFileSync, existsSync, statSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { openIndex, readPicture } from '../../src/data/archives/open-index.js';
import { openDataSet, openExposure } from '../../src/data/index.js';
import {
  devkit,
  imagenet22kTar,
  otherSynsets,
  tar,
  tarGz,
  vocMembers,
  writeIlsvrc,
} from './fake-archives.js';
import { failure, filesBelow, placesBelow, temporaryFolder, write } from './fixtures.js';

const place = placesBelow(temporaryFolder());

describe('ImageNet, in place', () => {
  it('reads ILSVRC out of its three files', async () => {
    const { data, prepare, notes } = place();
    await writeIlsvrc(join(data, 'in'));
    const made = await prepare('imagenet', join(data, 'in'));
    expect(made).toMatchObject({
      complete: true,
      counts: { trainClasses: 6, train: 18, val: 12 },
      missing: [],
      broken: [],
    });
    expect(made.archives.map(({ published }) => published)).toEqual([false, false, false]);
    expect(filesBelow(join(data, 'imagenet')).sort()).toEqual([
      'labels.json',
      'prepared.json',
      'train.index',
      'val.index',
    ]);
    const set = await openDataSet('imagenet', { dir: data, className: 'ambulance', seed: 0 });
    expect(set.train.records.map(({ name }) => name)).toEqual([
      'train/n02701002_1.JPEG',
      'train/n02701002_11.JPEG',
      'train/n02701002_21.JPEG',
    ]);
    expect(set.train.images.images.map(({ height, width }) => [height, width])).toEqual([
      [256, 341],
      [256, 292],
      [256, 256],
    ]);
    expect(set.test!.records.map(({ type, label }) => `${type} ${label}`)).toEqual([
      'acorn 1',
      'acorn 1',
      'airliner 1',
      'airliner 1',
      'ambulance 0',
      'ambulance 0',
    ]);
    expect(set.warnings.join()).toMatch(/no validation images of 27 of the 30 classes/);
    await prepare('imagenet', join(data, 'in'));
    expect(notes.at(-1)).toMatch(/val\.index was made before/);
  });

  it('takes the parts one by one, and says what each lacks', async () => {
    const { data, prepare } = place();
    await writeIlsvrc(join(data, 'in'));
    const file = (name: string) => join(data, 'in', name);
    const val = await prepare('imagenet', file('ILSVRC2012_img_val.tar'));
    expect(val.complete).toBe(false);
    expect(val.missing.join('\n')).toMatch(/training images.*image-net\.org/);
    expect(val.missing.join('\n')).toMatch(/labels of the validation images.*devkit_t12/);
    await failure(
      openDataSet('imagenet', { dir: data, seed: 0, only: 'test' }),
      'FCDD_BAD_DATA',
      /no labels/,
    );
    await failure(
      openDataSet('imagenet', { dir: data, seed: 0 }),
      'FCDD_BAD_DATA',
      /no training images of 'acorn'/,
    );
    const exposure = { root: data, height: 224, width: 224, channels: 3 as const, seed: 0 };
    await failure(
      openExposure('imagenet', { ...exposure, dataSet: 'pascal-voc' }),
      'FCDD_BAD_DATA',
      /labels of the validation images is not known|not known/,
      /prepare imagenet --from ILSVRC2012_devkit/,
    );
    // Without a data set whose classes it must not show, labels are not needed.
    expect((await openExposure('imagenet', exposure)).images).toHaveLength(12);
    const labelled = await prepare('imagenet', file('ILSVRC2012_devkit_t12.tar.gz'));
    expect(labelled.missing).toHaveLength(1);
    const forVoc = await openExposure('imagenet', { ...exposure, dataSet: 'pascal-voc' });
    // Of six classes the tabby cat is left out, the catamaran is not.
    expect(forVoc.names).toHaveLength(10);
    expect(forVoc.names).not.toContain('ILSVRC2012_val_00000004.JPEG');
    expect(forVoc.names).toContain('ILSVRC2012_val_00000005.JPEG');
    const forImagenet = await openExposure('imagenet', { ...exposure, dataSet: 'imagenet' });
    expect(forImagenet.names).toHaveLength(6);
    expect((await prepare('imagenet', file('ILSVRC2012_img_train.tar'))).complete).toBe(true);
  });

  it('indexes ImageNet-22k, lists what is broken, and draws without the thirty synsets', async () => {
    const { data, prepare, archive } = place();
    const path = archive('fall11_whole.tar', await imagenet22kTar());
    const before = statSync(path).size;
    const made = await prepare('imagenet22k', path);
    expect(made.counts).toEqual({ classes: 4, images: 11 });
    expect(made.broken.map(({ name }) => name)).toEqual([
      'n02981792_90.JPEG',
      'n02981792_91.JPEG',
      'n01440764.tar',
    ]);
    expect(made.warnings.join()).toMatch(/3 broken files are left out/);
    expect(filesBelow(join(data, 'imagenet22k')).sort()).toEqual(['images.index', 'prepared.json']);
    expect(statSync(join(data, 'imagenet22k/images.index')).size).toBeLessThan(before / 10);
    const options = { root: data, height: 256, width: 256, channels: 3 as const, seed: 3, shortSide: true };
    const all = await openExposure('imagenet22k', options);
    expect(all.names).toHaveLength(8);
    expect(all.names.every((name) => otherSynsets.some((wnid) => name.startsWith(wnid)))).toBe(true);
    expect(new Set(all.images.map(({ width }) => width)).size).toBeGreaterThan(1);
    const few = await openExposure('imagenet22k', { ...options, limit: 4 });
    expect(few.names).toHaveLength(4);
    expect((await openExposure('imagenet22k', { ...options, limit: 4 })).names).toEqual(few.names);
  });

  it('skips pictures of the index that do not decode, by name', async () => {
    const { data, prepare, archive } = place();
    const jpeg = Buffer.from([0xff, 0xd8, 0xff, 0xe0, 0, 16, 1, 2, 3]);
    const good = (await vocMembers(1)).find(({ name }) => name.endsWith('.jpg'))!.data!;
    const path = archive(
      'fall11_whole.tar',
      tar([
        {
          name: 'n02123045.tar',
          data: tar([
            { name: 'n02123045_1.JPEG', data: jpeg },
            { name: 'n02123045_2.JPEG', data: good },
          ]),
        },
      ]),
    );
    await prepare('imagenet22k', path);
    const warnings: string[] = [];
    const exposure = await openExposure('imagenet22k', {
      root: data,
      height: 32,
      width: 32,
      channels: 3,
      seed: 0,
      onWarning: (text) => warnings.push(text),
    });
    expect(exposure.names).toEqual(['n02123045_2.JPEG']);
    expect(warnings.join()).toMatch(/n02123045_1\.JPEG cannot be decoded and is left out/);
  });

  it('reads unpacked folders: train/<wnid>, val/<wnid>, and <wnid>/… of ImageNet-22k', async () => {
    const { data, prepare, archive } = place();
    const picture = (await vocMembers(1)).find(({ name }) => name.endsWith('.jpg'))!.data!;
    const [acorn, cat] = ['n12267677', 'n02123045'];
    for (const wnid of [acorn, cat]) {
      archive(`il/train/${wnid}/${wnid}_1.JPEG`, picture);
      archive(`il/val/${wnid}/ILSVRC2012_val_00000001.JPEG`, picture);
      archive(`22k/${wnid}/${wnid}_7.JPEG`, picture);
    }
    const made = await prepare('imagenet', join(data, 'in/il'));
    expect(made.counts).toEqual({ trainClasses: 2, train: 2, val: 2 });
    const set = await openDataSet('imagenet', { dir: data, seed: 0 });
    expect([set.train.records.length, set.test!.records.length]).toEqual([1, 1]);
    // Without data prepare as well.
    expect((await openDataSet('imagenet', { dir: join(data, 'in/il'), seed: 0 })).train.records).toHaveLength(
      1,
    );
    await prepare('imagenet22k', join(data, 'in/22k'));
    // The labels may lie beside the folders, as an archive.
    archive('il/ILSVRC2012_devkit_t12.tar.gz', devkit([acorn, cat]));
    const again = await prepare('imagenet', join(data, 'in/il'));
    expect(again).toMatchObject({ complete: true, counts: { train: 2, val: 2 }, missing: [] });
    const exposure = { root: data, height: 16, width: 16, channels: 3 as const, seed: 0 };
    expect((await openExposure('imagenet22k', exposure)).names).toEqual([`${cat}/${cat}_7.JPEG`]);
  });

  it('indexes a folder of one tar per synset', async () => {
    const { data, prepare, archive } = place();
    const picture = (await vocMembers(1)).find(({ name }) => name.endsWith('.jpg'))!.data!;
    for (const wnid of otherSynsets) {
      const images = [1, 2].map((i) => ({ name: `${wnid}_${i}.JPEG`, data: picture }));
      archive(`synsets/${wnid}.tar`, tar(images));
    }
    const made = await prepare('imagenet22k', join(data, 'in/synsets'));
    expect(made.counts).toEqual({ classes: 3, images: 6 });
    expect(made.archives).toHaveLength(3);
    const exposure = { root: data, height: 16, width: 16, channels: 3 as const, seed: 0 };
    expect((await openExposure('imagenet22k', exposure)).names).toHaveLength(6);
  });

  it('goes on with an index where it was stopped, and with the rest of a download', async () => {
    const { data, prepare, archive, notes } = place();
    const whole = await imagenet22kTar();
    const reference = place();
    await reference.prepare('imagenet22k', reference.archive('fall11_whole.tar', whole));
    const expected = await picturesOf(join(reference.data, 'imagenet22k/images.index'));
    const path = archive('fall11_whole.tar', whole.subarray(0, Math.floor(whole.length / 2)));
    await failure(
      prepare('imagenet22k', path),
      'FCDD_BAD_DATA',
      /cut off.*at byte \d+ of/,
      /goes on with the whole/,
    );
    const part = join(data, 'imagenet22k/images.index.part');
    expect(existsSync(part)).toBe(true);
    // A kill in the middle of a write.
    appendFileSync(part, '{"tar":0,"from":1,"to":2,"by');
    write(path, whole);
    await prepare('imagenet22k', path);
    expect(notes.join()).toMatch(/going on with the index/);
    expect(await picturesOf(join(data, 'imagenet22k/images.index'))).toEqual(expected);
    expect(existsSync(part)).toBe(false);
    // A tar that changes behind the index's back is noticed.
    truncateSync(path, whole.length - 512);
    const exposure = { root: data, height: 16, width: 16, channels: 3 as const, seed: 0 };
    await failure(openExposure('imagenet22k', exposure), 'FCDD_BAD_DATA', /has changed since/);
  });

  it('refuses compressed tars and folders of something else', async () => {
    const { data, prepare, archive } = place();
    const path = archive('winter21_whole.tar.gz', tarGz([{ name: 'n1.tar', data: Buffer.alloc(512) }]));
    await failure(
      prepare('imagenet22k', path),
      'FCDD_BAD_DATA',
      /is compressed \(tar\.gz\)/,
      /decompress it once/,
    );
    archive('other/readme.md', Buffer.from('x'));
    await failure(prepare('imagenet', join(data, 'in/other')), 'FCDD_BAD_DATA', /neither archives nor train/);
  });
});

async function picturesOf(index: string) {
  const { groups, broken } = await openIndex(index);
  const lists: unknown[] = [broken];
  for (const group of groups) {
    for (const { tar: _, ...picture } of await group.pictures()) lists.push([group.wnid, picture]);
  }
  const [first] = await groups[0]!.pictures();
  expect((await readPicture(first!)).subarray(0, 2)).toEqual(Uint8Array.of(0xff, 0xd8));
  return lists;
}
