/** From the archives that owners publish, through `data prepare`, to a trained and evaluated model. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { imagenet30 } from '../../src/data/imagenet/classes.js';
import { prepareData } from '../../src/data/prepare/prepare.js';
import type { TrainOptions } from '../../src/training/config.js';
import { evaluate } from '../../src/training/evaluate.js';
import { train } from '../../src/training/train.js';
import {
  cifar10Archive,
  cifar100Archive,
  devkit,
  emnistZip,
  fashionMnistFiles,
  imagenet22kTar,
  mvtecMembers,
  otherSynsets,
  type TarMember,
  tar,
  tarGz,
  vocMembers,
  writeIlsvrc,
} from '../data/fake-archives.js';
import { encode, failure, write } from '../data/fixtures.js';
import { temporaryFolder } from './helpers.js';

let root: string;
let data: string;
beforeAll(async () => {
  root = await temporaryFolder();
  data = join(root, 'data');
});

const archive = (name: string, content: Uint8Array): string => write(join(root, 'in', name), content);

async function trained(options: TrainOptions, out: string) {
  const notes: string[] = [];
  const result = await train(
    { data, epochs: 1, batchSize: 4, threads: 2, device: 'cpu', ...options },
    { out: join(root, out), onNote: (text) => notes.push(text) },
  );
  expect(result.finished).toBe(true);
  const history = JSON.parse(await readFile(join(result.out, 'history.json'), 'utf8'));
  for (const { loss } of history) expect(Number.isFinite(loss)).toBe(true);
  const evaluated = await evaluate(join(result.out, 'model.safetensors'), {
    data: options.data ?? data,
    threads: 2,
    device: 'cpu',
  });
  expect(evaluated.metrics.sample.rocAuc).toBe(result.metrics!.sample.rocAuc);
  expect(evaluated.metrics.sample.rocAuc).not.toBeNull();
  return { ...result, notes, history, evaluated };
}

describe('archive → data prepare → train → evaluate', () => {
  it('MVTec AD', async () => {
    await prepareData('mvtec', { from: [archive('bottle.tar.gz', tarGz(await mvtecMembers(2)))], data });
    const { metrics } = await trained(
      { dataset: 'mvtec', class: 'bottle', model: 'cnn224', epochs: 1 },
      'mvtec',
    );
    expect(metrics!.pixel.rocAuc).not.toBeNull();
  });

  it('Fashion-MNIST with EMNIST letters, CIFAR-10 with CIFAR-100, and the letters themselves', async () => {
    for (const [name, content] of Object.entries(fashionMnistFiles(40))) archive(`fm/${name}`, content);
    await prepareData('fashion-mnist', { from: [join(root, 'in/fm')], data });
    await prepareData('emnist', { from: [archive('gzip.zip', emnistZip())], data });
    await prepareData('cifar10', { from: [archive('cifar-10-binary.tar.gz', cifar10Archive(40))], data });
    await prepareData('cifar100', { from: [archive('cifar-100-binary.tar.gz', cifar100Archive(40))], data });
    const { notes } = await trained(
      { dataset: 'fashion-mnist', class: '0', model: 'cnn28', oe: 'emnist', holdOut: 0 },
      'fm',
    );
    expect(notes.join('\n')).toMatch(/outlier exposure: 52 pictures of emnist-letters-train/);
    await trained({ dataset: 'cifar10', class: '1', model: 'cnn32', holdOut: 0 }, 'cifar10');
    await trained({ dataset: 'emnist', class: 'B', model: 'cnn28', holdOut: 0 }, 'emnist');
  });

  it('ImageNet-30 with ImageNet-22k', async () => {
    await writeIlsvrc(join(root, 'in/ilsvrc'));
    await prepareData('imagenet', { from: [join(root, 'in/ilsvrc')], data });
    await prepareData('imagenet22k', { from: [archive('fall11_whole.tar', await imagenet22kTar())], data });
    const options = { dataset: 'imagenet', class: 'acorn', model: 'cnn224', holdOut: 0, epochs: 2 };
    const { notes, config, history } = await trained(options, 'imagenet');
    // Three images in two epochs: more exposure images could not be shown.
    expect(notes.join('\n')).toMatch(/at most 6 images of imagenet22k.*as many as the run has samples/);
    expect(notes.join('\n')).toMatch(/outlier exposure: 6 of 8 pictures of .*images\.index \(3 synsets\)/);
    expect(config.oeLimit).toBe(6);
    expect(JSON.parse(await readFile(join(root, 'imagenet/config.json'), 'utf8')).oeLimit).toBe(6);
    expect(history).toHaveLength(2);
    // Going on for another epoch draws the same exposure images: the fingerprint is the same.
    const more = await train({ epochs: 3, threads: 2 }, { out: join(root, 'imagenet'), resume: true });
    expect(more.epochs).toBe(3);
  });

  it('Pascal VOC with ImageNet validation images, labels swapped', async () => {
    // What a horse is: a bright image. The exposure is dark, as is the rest of val.
    const bright = (level: number) =>
      encode({ height: 45, width: 60, format: 'jpeg', data: new Uint8Array(45 * 60 * 3).fill(level) });
    const members: TarMember[] = [];
    for (const member of await vocMembers()) {
      const id = Number(/JPEGImages\/(\d+)/.exec(member.name)?.[1] ?? Number.NaN);
      const horse = (id - 1) % 9 < 5;
      members.push(Number.isNaN(id) ? member : { ...member, data: await bright(horse ? 200 + id : 40 + id) });
    }
    const shown = [imagenet30[0]!.wordnetId, ...otherSynsets];
    const val: TarMember[] = [];
    for (const [i, wnid] of shown.entries()) {
      // The tabby cat, to be left out, is as bright as a horse.
      const content = await (wnid === otherSynsets[0] ? bright(210) : bright(20 + 10 * i));
      val.push({ name: `ILSVRC2012_val_0000000${i + 1}.JPEG`, data: content });
    }
    const own = join(root, 'voc-data');
    const from = [
      archive('ILSVRC2012_img_val.tar', tar(val)),
      archive('ILSVRC2012_devkit_t12.tar.gz', devkit(shown)),
    ];
    await prepareData('voc', { from: [archive('VOCtrainval_06-Nov-2007.tar', tar(members))], data: own });
    await prepareData('imagenet', { from, data: own });
    const options = { dataset: 'pascal-voc', model: 'cnn224', epochs: 12, lr: 0.003, data: own };
    const { out, evaluated, notes, history } = await trained(options, 'voc');
    expect(notes.join('\n')).toMatch(/pushed up/);
    expect(notes.join('\n')).toMatch(/3 pictures of .*validation; 3 of 4 are of other classes/);
    const { normal, anomalous } = history.at(-1);
    expect([normal, anomalous]).not.toContain(null);
    const { records } = evaluated.dataset.test!;
    const mean = (label: number): number => {
      const scores = records.flatMap((record, i) =>
        record.label === label ? [evaluated.scored.scores[i]!] : [],
      );
      return scores.reduce((sum, score) => sum + score, 0) / scores.length;
    };
    // Horses are pushed up, everything else down.
    expect(mean(1)).toBeGreaterThan(2 * mean(0));
    expect(evaluated.metrics.sample.rocAuc).toBe(1);
    expect(evaluated.metrics.threshold).toBeNull();
    expect(await readFile(join(out, 'index.html'), 'utf8')).toMatch(/swapped labels: 5 images of .*horse/);
    await failure(
      train({ ...options, holdOut: 0.1 }, { out: join(root, 'held') }),
      'FCDD_INVALID_ARGUMENT',
      /labels swapped/,
      /--hold-out 0/,
    );
  });
});
