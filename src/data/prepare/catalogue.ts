/**
 * The data sets that `data prepare` knows: how their owners publish them, under which licence, and what is in
 * them. Sums are those that torchvision checks (fashion-mnist, EMNIST, VOC, ImageNet) or that the owner
 * prints (CIFAR's page).
 */
import type { PreparableName } from './types.js';

export interface KnownArchive {
  name: string;
  /** Bytes, where they are known for certain: tells a download that was cut off without reading it. */
  size?: number;
  md5?: string;
  what: string;
}

export interface KnownSet {
  title: string;
  /** The owner's page: deep links rot. */
  page: string;
  licence: string;
  /** Sub-folder of --data. */
  folder: string;
  archives: readonly KnownArchive[];
  /** Published numbers, by the names that `counts` of the result uses. */
  counts: Readonly<Record<string, number>>;
}

export const catalogue: Record<PreparableName, KnownSet> = {
  mvtec: {
    title: 'MVTec AD',
    page: 'https://www.mvtec.com/company/research/datasets/mvtec-ad',
    licence: 'CC BY-NC-SA 4.0 (no commercial use)',
    folder: 'mvtec',
    archives: [{ name: 'mvtec_anomaly_detection.tar.xz', what: 'all 15 categories' }],
    counts: { categories: 15, train: 3629, test: 1725, masks: 1258 },
  },
  'fashion-mnist': {
    title: 'Fashion-MNIST',
    page: 'https://github.com/zalandoresearch/fashion-mnist',
    licence: 'MIT',
    folder: 'fashion-mnist',
    archives: [
      {
        name: 'train-images-idx3-ubyte.gz',
        size: 26_421_880,
        md5: '8d4fb7e6c68d591d4c3dfef9ec88bf0d',
        what: 'training images',
      },
      {
        name: 'train-labels-idx1-ubyte.gz',
        size: 29_515,
        md5: '25c81989df183df01b3e8a0aad5dffbe',
        what: 'training labels',
      },
      {
        name: 't10k-images-idx3-ubyte.gz',
        size: 4_422_102,
        md5: 'bef4ecab320f06d8554ea6380940ec79',
        what: 'test images',
      },
      {
        name: 't10k-labels-idx1-ubyte.gz',
        size: 5_148,
        md5: 'bb300cfdad3c16e7a12a480ee83cd310',
        what: 'test labels',
      },
    ],
    counts: { train: 60_000, test: 10_000 },
  },
  cifar10: {
    title: 'CIFAR-10',
    page: 'https://www.cs.toronto.edu/~kriz/cifar.html',
    licence: 'none stated; for research, cite Krizhevsky 2009',
    folder: 'cifar10',
    archives: [
      {
        name: 'cifar-10-binary.tar.gz',
        md5: 'c32a1d4ab5d03f1284b67883e8d87530',
        what: 'the binary version (not the Python or Matlab one)',
      },
    ],
    counts: { train: 50_000, test: 10_000 },
  },
  cifar100: {
    title: 'CIFAR-100',
    page: 'https://www.cs.toronto.edu/~kriz/cifar.html',
    licence: 'none stated; for research, cite Krizhevsky 2009',
    folder: 'cifar100',
    archives: [
      {
        name: 'cifar-100-binary.tar.gz',
        md5: '03b5dce01913d631647c71ecec9e9cb8',
        what: 'the binary version (not the Python or Matlab one)',
      },
    ],
    counts: { train: 50_000, test: 10_000 },
  },
  emnist: {
    title: 'EMNIST (letters)',
    page: 'https://www.nist.gov/itl/products-and-services/emnist-dataset',
    licence: 'none stated by NIST; cite Cohen et al. 2017',
    folder: 'emnist',
    archives: [
      { name: 'gzip.zip', md5: '58c8d27c78d21e728a6bc7b3cc06412e', what: 'the binary (idx) version' },
    ],
    counts: { train: 124_800, test: 20_800 },
  },
  voc: {
    title: 'Pascal VOC 2007',
    page: 'http://host.robots.ox.ac.uk/pascal/VOC/voc2007/',
    licence: "Flickr's terms of use for the images",
    folder: 'pascal-voc',
    archives: [
      {
        name: 'VOCtrainval_06-Nov-2007.tar',
        size: 460_032_000,
        md5: 'c52e279531787c972589f7e41ab4ae64',
        what: 'training/validation data',
      },
    ],
    counts: { train: 2501, val: 2510 },
  },
  imagenet: {
    title: 'ImageNet (ILSVRC 2012)',
    page: 'https://www.image-net.org/download.php (after registration)',
    licence: "ImageNet's terms of access: non-commercial research and education",
    folder: 'imagenet',
    archives: [
      {
        name: 'ILSVRC2012_img_train.tar',
        size: 147_897_477_120,
        md5: '1d675b47d978889d74fa0da5fadfb00e',
        what: 'training images (138 GB)',
      },
      {
        name: 'ILSVRC2012_img_val.tar',
        size: 6_744_924_160,
        md5: '29b22e2961454d5413ddabcf34fc5622',
        what: 'validation images (6.3 GB)',
      },
      {
        name: 'ILSVRC2012_devkit_t12.tar.gz',
        md5: 'fa75699e90414af021442c21a62c3abf',
        what: 'development kit (task 1 & 2): labels of the validation images and names of the classes',
      },
    ],
    counts: { trainClasses: 1000, train: 1_281_167, val: 50_000 },
  },
  imagenet22k: {
    title: 'ImageNet-22k (fall 2011 release)',
    page: 'https://www.image-net.org/download.php (after registration)',
    licence: "ImageNet's terms of access: non-commercial research and education",
    folder: 'imagenet22k',
    archives: [{ name: 'fall11_whole.tar', what: 'a tar of one tar per synset (1.3 TB)' }],
    counts: { classes: 21_841, images: 14_197_122 },
  },
};

/** "get X (what) from PAGE; licence: …": what to do about a part that is missing. */
export function whereToGet(set: KnownSet, names?: readonly string[]): string {
  const wanted = set.archives.filter(({ name }) => !names || names.includes(name));
  const list = wanted.map(({ name, what }) => `${name} (${what})`).join(', ');
  return `${set.title} is published by its owner at ${set.page}: get ${list}. Licence: ${set.licence}`;
}
