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
import { openPicture } from './decode.js';
import { openDemo } from './demo/index.js';
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
}

const namedSets: Record<string, ImageArray['kind']> = {
  cifar10: 'cifar10',
  cifar100: 'cifar100',
  'fashion-mnist': 'idx',
  emnist: 'idx',
};

/**
 * @param spec 'cifar10', 'cifar100', 'fashion-mnist', 'emnist', 'demo', a folder of pictures (sub-folders included),
 *   or a folder of idx or CIFAR files, of which the training part counts if there is one
 * @throws FcddError FCDD_NOT_FOUND with remedies, FCDD_BAD_DATA, FCDD_BAD_IMAGE
 */
export async function openExposure(spec: string, options: ExposureOptions): Promise<Exposure> {
  const remarks = createRemarks();
  const source = await findSource(spec, options, remarks);
  const indices = draw(source.count, options);
  const { height, width, channels } = options;
  const builder = createStoreBuilder(channels, indices.length * height * width * channels);
  let done = 0;
  for await (const picture of inOrder(indices, source.picture)) {
    const small = resizeBilinear(picture, height, width);
    const { data } = toChannels(options.grey ? toChannels(small, 1) : small, channels);
    builder.add({ pixels: data, height, width, label: 1 });
    options.onProgress?.(++done, indices.length);
  }
  for (const line of remarks.lines()) options.onWarning?.(line);
  const limited = indices.length < source.count ? `${indices.length} of ` : '';
  return {
    ...builder.finish(),
    names: indices.map(source.name),
    summary: [`outlier exposure: ${limited}${source.count} pictures of ${source.what}`],
  };
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

/** EMNIST comes in several selections; the letters are the published choice. */
function lettersOnly(arrays: ImageArray[]): ImageArray[] {
  const letters = arrays.filter(({ files }) => /emnist.*letters/i.test(files[0]!));
  return letters.length > 0 ? letters : arrays;
}

function imageOf(array: ImageArray, at: number): Raster {
  const { height, width, channels } = array;
  const size = height * width * channels;
  const data = array.pixels.subarray(at * size, (at + 1) * size);
  // EMNIST's files hold their images transposed.
  return /emnist/i.test(array.files[0]!)
    ? transpose({ height, width, channels, data })
    : { height, width, channels, data };
}

function transpose({ height, width, channels, data }: Raster): Raster {
  const turned = new Uint8Array(data.length);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      for (let c = 0; c < channels; c++) {
        turned[(x * height + y) * channels + c] = data[(y * width + x) * channels + c]!;
      }
    }
  }
  return { height: width, width: height, channels, data: turned };
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
