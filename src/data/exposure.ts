/**
 * Outlier exposure: pictures that are certainly not normal, from another data set or any folder, brought to the size
 * and channels of the samples they replace: bilinear with antialiasing, then grey (ITU-R 601) for one channel.
 * A limit is drawn once per run, from the seed; the pictures stay in file order.
 */
import { join, sep } from 'node:path';
import type { StoredImages } from '../engine/types.js';
import { FcddError } from '../errors.js';
import { drawWithoutReplacement, seededRandom } from '../evaluation/random.js';
import { type ImageArray, readArrayFolder } from './array-files.js';
import { openPicture, shortSide } from './decode.js';
import { openDemo } from './demo/index.js';
import { isTransposed, lettersOnly, transpose } from './emnist.js';
import { type ImagenetExposure, isImagenetExposure, openPool } from './imagenet/exposure.js';
import { isFolder, namedNear } from './locate.js';
import { inOrder } from './pictures.js';
import { createRemarks, type Remarks } from './remarks.js';
import { type Raster, resizeBilinear, toChannels } from './resample.js';
import { describeEmpty, scanFolder } from './scan.js';
import { createStoreBuilder } from './store.js';

export interface ExposureOptions {
  /** Folder given for the data set: other data sets are sought below and beside it, and below FCDD_DATA. */
  root?: string;
  /** Size and channels of the training images as stored. */
  height: number;
  width: number;
  channels: 1 | 3;
  /** At most so many pictures, drawn at random. */
  limit?: number;
  seed: number;
  /** Pictures keep their proportions, their short side becomes `height` (the samples have no common size either). */
  shortSide?: boolean;
  /** The data set that is trained on: `imagenet` leaves out classes that it is about. */
  dataSet?: string;
  /** Three equal channels: colour would give an anomaly away among grey pictures. */
  grey?: boolean;
  onWarning?: (text: string) => void;
  onProgress?: (done: number, total: number) => void;
}

export interface Exposure extends StoredImages {
  /** File names, or "train.bin[17]", parallel to `images`. */
  names: string[];
  summary: string[];
}

/** Pictures by number, at their own size. */
interface Source {
  what: string;
  count: number;
  name: (index: number) => string;
  picture: (index: number) => Promise<Raster>;
  /** Pictures that cannot be decoded are left out: among millions some always are. */
  lenient?: boolean;
}

const namedSets: Record<string, ImageArray['kind']> = {
  cifar10: 'cifar10',
  cifar100: 'cifar100',
  'fashion-mnist': 'idx',
  emnist: 'idx',
};

/**
 * @param spec 'cifar10', 'cifar100', 'fashion-mnist', 'emnist', 'imagenet', 'imagenet22k', 'demo', a folder of pictures (sub-folders included),
 *   or a folder of idx or CIFAR files, of which the training part counts if there is one
 * @throws FcddError FCDD_NOT_FOUND with remedies, FCDD_BAD_DATA, FCDD_BAD_IMAGE
 */
export async function openExposure(spec: string, options: ExposureOptions): Promise<Exposure> {
  const remarks = createRemarks();
  const source = await findSource(spec, options, remarks);
  const indices = draw(source.count, options);
  const { height, width, channels } = options;
  const widest = options.shortSide ? Math.ceil(width * 1.4) : width;
  const builder = createStoreBuilder(channels, indices.length * height * widest * channels);
  const names: string[] = [];
  let done = 0;
  const work = async (index: number) => ({ index, picture: await takePicture(source, index, remarks) });
  for await (const { index, picture } of inOrder(indices, work)) {
    options.onProgress?.(++done, indices.length);
    if (!picture) continue;
    const [rows, columns] = options.shortSide ? shortSide(picture, height) : [height, width];
    const small = resizeBilinear(picture, rows, columns);
    const { data } = toChannels(options.grey ? toChannels(small, 1) : small, channels);
    builder.add({ pixels: data, height: rows, width: columns, label: 1 });
    names.push(source.name(index));
  }
  for (const line of remarks.lines()) options.onWarning?.(line);
  if (names.length === 0) {
    throw new FcddError('FCDD_BAD_DATA', `outlier exposure '${spec}': none of ${source.what} can be decoded`);
  }
  const limited = indices.length < source.count ? `${indices.length} of ` : '';
  return {
    ...builder.finish(),
    names,
    summary: [`outlier exposure: ${limited}${source.count} pictures of ${source.what}`],
  };
}

/** Null: it cannot be decoded, and that is no reason to stop. */
async function takePicture(source: Source, index: number, remarks: Remarks): Promise<Raster | null> {
  try {
    return await source.picture(index);
  } catch (error) {
    if (!source.lenient || (error as FcddError).code !== 'FCDD_BAD_IMAGE') throw error;
    remarks.about(source.name(index), 'cannot be decoded and is left out of the outlier exposure');
    return null;
  }
}

function draw(count: number, { limit, seed }: ExposureOptions): number[] {
  if (limit !== undefined && (!Number.isInteger(limit) || limit < 1)) {
    throw new FcddError(
      'FCDD_INVALID_ARGUMENT',
      `oe-limit: expected a whole number of at least 1, received ${limit}`,
    );
  }
  return drawWithoutReplacement(count, Math.min(limit ?? count, count), seededRandom(seed));
}

async function findSource(spec: string, options: ExposureOptions, remarks: Remarks): Promise<Source> {
  if (spec === 'demo') return demoSource(options);
  if (isImagenetExposure(spec)) return imagenetSource(spec, options);
  const kind = Object.hasOwn(namedSets, spec) ? namedSets[spec]! : null;
  const folders =
    kind === null ? await unnamedFolders(spec, options.root) : await namedNear(spec, options.root);
  for (const folder of folders) {
    const source =
      (kind === null ? await pictureSource(folder, remarks) : null) ?? (await arraySource(folder, kind));
    if (source) return source;
  }
  // A folder of that name in the current directory is the last thing a name can mean.
  if (kind !== null && (await isFolder(spec))) {
    const source = await arraySource(spec, kind);
    if (source) return source;
  }
  throw await notFound(spec, kind, folders, options.root);
}

async function unnamedFolders(spec: string, root: string | undefined): Promise<string[]> {
  if (await isFolder(spec)) return [spec];
  return namedNear(spec, root);
}

async function demoSource({ seed }: ExposureOptions): Promise<Source> {
  const { train } = await openDemo({ seed, only: 'train' });
  const { bytes, images } = train.images;
  return {
    what: 'the demo',
    count: images.length,
    name: (index) => train.records[index]!.name,
    picture: async (index) => {
      const { pixels, height, width } = images[index]!;
      return { height, width, channels: 3, data: bytes.subarray(pixels, pixels + height * width * 3) };
    },
  };
}

/** All pictures below a folder, masks excepted. */
async function pictureSource(folder: string, remarks: Remarks): Promise<Source | null> {
  const content = await scanFolder(folder, 'all');
  const isMask = (path: string) =>
    /^(ground_truth|(train|test)_maps)[/\\]/.test(path) || path.includes(`${sep}ground_truth${sep}`);
  const pictures = content.pictures.filter((path) => !isMask(path));
  const masks = content.pictures.length - pictures.length;
  if (masks > 0) remarks.add(`outlier exposure: ${masks} masks in ${folder} are not used`);
  if (pictures.length === 0) return null;
  return {
    what: folder,
    count: pictures.length,
    name: (index) => pictures[index]!.split(sep).join('/'),
    picture: async (index) => {
      const picture = await openPicture(join(folder, pictures[index]!));
      for (const warning of picture.warnings) remarks.about(pictures[index]!, warning);
      return picture;
    },
  };
}

async function arraySource(folder: string, kind: ImageArray['kind'] | null): Promise<Source | null> {
  const all = (await readArrayFolder(folder)).arrays.filter((array) => kind === null || array.kind === kind);
  const training = all.filter(({ part }) => part === 'train');
  const arrays = lettersOnly(training.length > 0 ? training : all);
  const places = arrays.flatMap((array) => Array.from({ length: array.count }, (_, at) => ({ array, at })));
  if (places.length === 0) return null;
  return {
    what: `${arrays.map(({ files }) => files[0]).join(', ')} in ${folder}`,
    count: places.length,
    name: (index) => `${places[index]!.array.files[0]!.replace(/\.gz$/, '')}[${places[index]!.at}]`,
    picture: async (index) => imageOf(places[index]!.array, places[index]!.at),
  };
}

/** Read where the pictures lie, one by one: there may be millions. */
async function imagenetSource(spec: ImagenetExposure, { root, dataSet }: ExposureOptions): Promise<Source> {
  const pool = await openPool(spec, root, dataSet);
  const names = new Map<number, string>();
  return {
    what: pool.what,
    count: pool.count,
    name: (index) => names.get(index) ?? String(index),
    picture: async (index) => {
      const { name, path, read } = await pool.file(index);
      names.set(index, name);
      return openPicture(read ? await read() : path, { name: path });
    },
    lenient: true,
  };
}

function imageOf(array: ImageArray, at: number): Raster {
  const { height, width, channels } = array;
  const size = height * width * channels;
  const data = array.pixels.subarray(at * size, (at + 1) * size);
  return isTransposed(array)
    ? transpose({ height, width, channels, data })
    : { height, width, channels, data };
}

async function notFound(
  spec: string,
  kind: string | null,
  folders: readonly string[],
  root: string | undefined,
): Promise<FcddError> {
  const hint =
    'pass --oe with a folder of pictures or of CIFAR or idx files, or train on synthetic anomalies: --noise confetti';
  const sought = [...(root === undefined ? [] : [`below and beside ${root}`]), 'below FCDD_DATA'].join(', ');
  if (folders.length > 0) {
    const folder = folders[0]!;
    const found =
      kind === null ? describeEmpty(await scanFolder(folder, 'all')) : `it holds no ${spec} files`;
    return new FcddError(
      'FCDD_NOT_FOUND',
      `outlier exposure '${spec}': nothing usable in ${folder}: ${found}`,
      { hint },
    );
  }
  const unset = process.env.FCDD_DATA ? '' : ' (which is not set)';
  return new FcddError(
    'FCDD_NOT_FOUND',
    `outlier exposure '${spec}' was not found: sought ${sought}${unset}`,
    { hint },
  );
}
