/**
 * The `demo` data set: pictures of four surfaces, generated in under two seconds, with five kinds of faint defects and
 * their exact masks. It needs no file, shows in minutes what the method does, and is the same on every machine.
 * docs/demo.md says how it is made, why it is a task, and why the defaults are what they are.
 */
import type { Pipeline, StoredImages } from '../../engine/types.js';
import { FcddError } from '../../errors.js';
import type {
  DataSet,
  ImageRecord,
  Mask,
  OpenOptions,
  Preprocessing,
  Split,
  TestSplit,
  TrainingDefaults,
} from '../types.js';
import { demoDefects } from './defects.js';
import { createAnomalous, createClean, createDefective, demoSurfaces, type Surface } from './generate.js';
import { CHANNELS, SIZE } from './image.js';

export { type DefectKind, demoDefects } from './defects.js';
export { demoSurfaces, type Surface } from './generate.js';

/** The generator seed of the data set. Fixed before anything was trained on it. */
export const DEMO_SEED = 1;

/** Normal training images, synthetic anomalies to train on, normal test images, test images of each defect kind. */
export const TRAIN_IMAGES = 240;
export const TRAIN_ANOMALIES = 240;
export const TEST_NORMALS = 80;
export const TEST_DEFECTS_PER_KIND = 16;

const PIXELS = SIZE * SIZE;
const IMAGE_BYTES = PIXELS * CHANNELS;

/** A class name as it was understood: `metal@7` is the surface `metal` with generator seed 7, so all pictures differ. */
interface DemoClass {
  surface: Surface;
  index: number;
  seed: number;
}

/** Reads "fabric", "1" or "fabric@7". Undefined: surface 0. */
function parseClass(name: string | undefined): DemoClass {
  const [surfaceName = '', seedText, ...rest] = (name ?? demoSurfaces[0]!).split('@');
  const index = /^\d+$/.test(surfaceName)
    ? Number(surfaceName)
    : (demoSurfaces as readonly string[]).indexOf(surfaceName.toLowerCase());
  const surface = demoSurfaces[index];
  const seed = seedText === undefined ? DEMO_SEED : Number(seedText);
  const goodSeed = seedText === undefined || (/^\d+$/.test(seedText) && seed < 2 ** 31);
  if (surface === undefined || !goodSeed || rest.length > 0) {
    const surfaces = demoSurfaces.map((known, at) => `${known} (${at})`).join(', ');
    throw new FcddError(
      'FCDD_INVALID_ARGUMENT',
      `expected a surface of the demo for class, received "${name}"`,
      {
        hint: `Surfaces: ${surfaces}. Add @N to draw the pictures from another generator seed: ${demoSurfaces[0]}@7.`,
      },
    );
  }
  return { surface, index, seed };
}

/** Room for `pictures` pictures with a mask each, and the place of each in it. */
function createStore(labels: readonly (0 | 1)[], withMasks: boolean): StoredImages {
  const bytes = new Uint8Array(labels.length * (IMAGE_BYTES + (withMasks ? PIXELS : 0)));
  const images = labels.map((label, i) => ({
    pixels: i * IMAGE_BYTES,
    mask: withMasks ? labels.length * IMAGE_BYTES + i * PIXELS : null,
    height: SIZE,
    width: SIZE,
    label,
  }));
  return { channels: CHANNELS, bytes, images };
}

function createTrain({ surface, seed }: DemoClass): Split {
  const images = createStore(new Array<0>(TRAIN_IMAGES).fill(0), false);
  const records = images.images.map((_, index): ImageRecord => {
    images.bytes.set(createClean({ seed, surface, part: 'train', index }), index * IMAGE_BYTES);
    return { name: `train/${surface}-${index}`, label: 0, type: 'good' };
  });
  return { images, records };
}

/** Synthetic anomalies with their masks, on pictures that are not among the normal ones. */
function createAnomalies({ surface, seed }: DemoClass): Split {
  const images = createStore(new Array<1>(TRAIN_ANOMALIES).fill(1), true);
  const records = images.images.map((place, index): ImageRecord => {
    const made = createAnomalous({ seed, surface, part: 'trainAnomaly', index });
    images.bytes.set(made.pixels, place.pixels);
    images.bytes.set(made.mask, place.mask!);
    return { name: `train/synthetic-${index}`, label: 1, type: 'synthetic' };
  });
  return { images, records };
}

/** Normal pictures first, then the defects kind by kind. */
function createTest({ surface, seed }: DemoClass): TestSplit {
  const defects = demoDefects.flatMap((kind) => new Array<typeof kind>(TEST_DEFECTS_PER_KIND).fill(kind));
  const kinds = [...new Array<null>(TEST_NORMALS).fill(null), ...defects];
  const images = createStore(
    kinds.map((kind) => (kind === null ? 0 : 1)),
    true,
  );
  const records: ImageRecord[] = [];
  const masks: Mask[] = [];
  for (const [i, kind] of kinds.entries()) {
    const place = images.images[i]!;
    const data = images.bytes.subarray(place.mask!, place.mask! + PIXELS);
    masks.push({ height: SIZE, width: SIZE, data });
    if (kind === null) {
      images.bytes.set(createClean({ seed, surface, part: 'testNormal', index: i }), place.pixels);
      records.push({ name: `test/good-${i}`, label: 0, type: 'good' });
    } else {
      const index = i - TEST_NORMALS;
      const made = createDefective({ seed, surface, part: 'testDefect', index }, kind);
      images.bytes.set(made.pixels, place.pixels);
      data.set(made.mask);
      records.push({ name: `test/${kind}-${index % TEST_DEFECTS_PER_KIND}`, label: 1, type: kind });
    }
  }
  return { images, records, masks, masksMissing: null };
}

function pipelines(preprocessing: Preprocessing): { train: Pipeline; test: Pipeline } {
  const lcn = preprocessing === 'lcnaug1';
  const test: Pipeline = {
    height: SIZE,
    width: SIZE,
    channels: CHANNELS,
    lcn,
    offset: new Array<number>(CHANNELS).fill(0),
    scale: new Array<number>(CHANNELS).fill(1),
  };
  const train: Pipeline = {
    ...test,
    flip: true,
    noise: { sigma: 0.005 },
  };
  return { train, test };
}

/** Settings found on generator seed 1, surface 0; see docs/demo.md. */
export const demoDefaults: TrainingDefaults = {
  batch: 20,
  epochs: 40,
  optimizer: 'adam',
  lr: 3e-3,
  weightDecay: 1e-6,
  schedule: { kind: 'milestones', at: [27, 36], factor: 0.1 },
  model: 'cnn32-s',
  preprocessing: 'lcnaug1',
  sigma: 1.2,
  quantile: 0.99,
  supervise: 'other',
  noise: 'confetti',
  holdOut: 0.1,
};

/**
 * Generates the demo for one surface. `options.seed` (the training's) does not change the pictures.
 *
 * @throws FcddError FCDD_INVALID_ARGUMENT for an unknown surface
 */
export async function openDemo(options: OpenOptions): Promise<DataSet> {
  const chosen = parseClass(options.className);
  const className = chosen.seed === DEMO_SEED ? chosen.surface : `${chosen.surface}@${chosen.seed}`;
  const nothing: Split = { images: createStore([], false), records: [] };
  const train = options.only === 'test' ? nothing : createTrain(chosen);
  const wanted = options.only !== 'test' && options.anomalies !== false;
  const anomalies = wanted ? createAnomalies(chosen) : null;
  const test = options.only === 'train' ? null : createTest(chosen);
  const synthetic = wanted ? `, ${TRAIN_ANOMALIES} with synthetic anomalies` : '';
  const defects = `${TEST_DEFECTS_PER_KIND} each of ${demoDefects.join(', ')}`;
  return {
    name: 'demo',
    className,
    classIndex: chosen.index,
    channels: CHANNELS,
    grey: false,
    stored: { fit: 'native', height: SIZE, width: SIZE, interpolation: 'nearest' },
    train,
    anomalies,
    test,
    testMissing: test === null ? 'only the training images were asked for' : null,
    pixelwise: true,
    constants: null,
    repeat: 1,
    preprocessing: demoDefaults.preprocessing,
    pipelines,
    summary: [
      `demo, surface "${className}" (generated, ${SIZE}×${SIZE}, colour)`,
      `train: ${TRAIN_IMAGES} normal${synthetic}; test: ${TEST_NORMALS} normal, ${defects}`,
    ],
    warnings: [],
  };
}
