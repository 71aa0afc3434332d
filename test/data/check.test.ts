import { join } from 'node:path';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { checkData } from '../../src/data/check/check.js';
import { prepareData } from '../../src/data/prepare/prepare.js';
import { renderDataPreview } from '../../src/reports/data-preview.js';
import {
  cifar100Archive,
  fashionMnistFiles,
  imagenet22kTar,
  mvtecMembers,
  tar,
  vocMembers,
  writeIlsvrc,
} from './fake-archives.js';
import { failure, temporaryFolder, write, writeMask, writePicture } from './fixtures.js';

describe('data check', () => {
  const data = temporaryFolder();

  it('lists classes, sizes, unreadable files and missing masks of mvtec, and shows them', async () => {
    for (const { name, data: content } of await mvtecMembers()) {
      if (content) write(join(data, 'mvtec', name), content);
    }
    write(join(data, 'mvtec/own/train/good/009.png'), 'no picture');
    await writePicture(join(data, 'mvtec/own/test/broken/009.png'), { height: 20, width: 30 });
    const { checked, preview } = await checkData('mvtec', { data });
    expect(checked.classes).toContainEqual({ part: 'train', className: 'own/good', images: 5 });
    expect(checked.classes).toContainEqual({ part: 'test', className: 'bottle/broken', images: 2 });
    expect(checked).toMatchObject({
      images: 18,
      checked: 18,
      sizes: { '40×40': 16, '30×20': 1 },
      missingMasks: ['own/test/broken/009.png'],
      unreadable: [{ name: 'own/train/good/009.png', reason: expect.stringMatching(/no picture/) }],
    });
    const sheet = await sharp(await renderDataPreview(checked, preview)).metadata();
    expect(sheet.format).toBe('png');
    expect(sheet.height).toBeGreaterThan(6 * 2 * 112);
    const one = await checkData('mvtec', { data, className: 'bottle' });
    expect(one.checked.images).toBe(8);
    await failure(
      checkData('mvtec', { data: join(data, 'mvtec/own/train') }),
      'FCDD_NOT_FOUND',
      /train folder/,
    );
  });

  it('knows the array sets', async () => {
    for (const [name, content] of Object.entries(fashionMnistFiles(20))) {
      write(join(data, 'fashion-mnist', name), content);
    }
    const { checked, preview } = await checkData('fashion-mnist', { data });
    expect(checked.classes).toHaveLength(20);
    expect(checked.classes).toContainEqual({ part: 'test', className: 'Sandal', images: 2 });
    expect(checked.sizes).toEqual({ '28×28': 40 });
    expect(preview).toHaveLength(20);
    const archive = write(join(data, 'in/cifar-100-binary.tar.gz'), cifar100Archive());
    await prepareData('cifar100', { from: [archive], data });
    expect((await checkData('cifar100', { data })).checked.sizes).toEqual({ '32×32': 40 });
  });

  it("knows the user's own folders in each layout", async () => {
    const flat = join(data, 'flat');
    await writePicture(join(flat, 'a.png'));
    await writePicture(join(flat, 'b.jpg'), { format: 'jpeg' });
    expect((await checkData('folder', { data: flat })).checked).toMatchObject({ images: 2, unreadable: [] });
    const own = join(data, 'labelled');
    for (const name of ['nut', 'bolt']) {
      await writePicture(join(own, 'train', name, 'normal/a.png'));
      await writePicture(join(own, 'test', name, 'anomalous/scratch/b.png'));
      await writePicture(join(own, 'test', name, 'anomalous/scratch/c.png'));
      await writeMask(join(own, 'test_maps', name, 'anomalous/scratch/b.png'), 12, 16);
    }
    const { checked } = await checkData('folder', { data: own });
    expect(checked.classes).toContainEqual({ part: 'test', className: 'nut/scratch', images: 2 });
    expect(checked.missingMasks).toEqual([
      'test/bolt/anomalous/scratch/c.png',
      'test/nut/anomalous/scratch/c.png',
    ]);
  });

  it('knows voc and ImageNet', async () => {
    const voc = write(join(data, 'in/VOCtrainval_06-Nov-2007.tar'), tar(await vocMembers()));
    await prepareData('voc', { from: [voc], data });
    const found = await checkData('pascal-voc', { data });
    expect(found.checked.classes).toContainEqual({ part: 'val', className: 'horse', images: 5 });
    expect(found.checked).toMatchObject({ images: 18, sizes: { '60×45': 18 } });
    await writeIlsvrc(join(data, 'ilsvrc'));
    await prepareData('imagenet', { from: [join(data, 'ilsvrc')], data });
    const imagenet = await checkData('imagenet', { data });
    expect(imagenet.checked.classes).toContainEqual({ part: 'val', className: 'acorn', images: 2 });
    expect(imagenet.checked.warnings.join()).toMatch(/15 further images/);
    const whole = write(join(data, 'in/fall11_whole.tar'), await imagenet22kTar());
    await prepareData('imagenet22k', { from: [whole], data });
    expect((await checkData('imagenet22k', { data })).checked).toMatchObject({ images: 11, checked: 11 });
    await failure(checkData('cats', { data }), 'FCDD_INVALID_ARGUMENT', /expected one of mvtec/);
  });
});
