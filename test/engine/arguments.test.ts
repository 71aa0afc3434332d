/** Wrong arguments: one sentence that says what was expected, for which argument, and what was received. */
import { afterAll, describe, expect, test } from 'vitest';
import { openDevice, ops } from '../../src/engine/index.js';
import type { Layer, Pipeline, TrainerOptions } from '../../src/engine/types.js';
import { failure, smallBatch, smallImages, smallInput, smallLayers, smallPipeline } from './helpers.js';

const device = openDevice('cpu');
const other = openDevice('reference');
const network = device.createNetwork(smallLayers, smallInput);
const images = device.createImageStore(smallImages(1, 4));
const trainerOptions: TrainerOptions = {
  batch: 2,
  objective: { pixelwise: true },
  optimiser: { kind: 'sgd' },
  seed: 1,
  images,
  pipeline: smallPipeline,
  supervision: { mode: 'malformed-normal', source: 'confetti' },
};
const trainer = network.createTrainer(trainerOptions);
afterAll(() => {
  device.dispose();
  other.dispose();
});

/** JavaScript callers have no types: the same value as any type. */
const untyped = (value: unknown): never => value as never;

async function expectRefusal(call: () => unknown, message: string | RegExp, code = 'FCDD_INVALID_ARGUMENT') {
  const error = await failure((async () => call())());
  expect(error.message).toMatch(message);
  expect(error).toMatchObject({ name: 'FcddError', code });
}

const conv: Layer = { kind: 'conv', name: 'c', filters: 2, kernel: 3 };

describe('devices', () => {
  test.each<[string, () => unknown, RegExp, string?]>([
    [
      'an unknown name',
      () => openDevice(untyped('gpu')),
      /'auto', 'cpu', 'cuda', .* or 'reference' for name but received "gpu"/,
    ],
    ['no name', () => openDevice(untyped(3)), /for name but received 3/],
    ['CUDA without a number', () => openDevice(untyped('cuda:x')), /for name but received "cuda:x"/],
    [
      'a precision',
      () => openDevice('cpu', untyped({ precision: 'fp16' })),
      /one of "float32", "tf32", "bf16" for options.precision/,
    ],
    [
      'a precision of the GPU',
      () => openDevice('cpu', { precision: 'tf32' }),
      /the cpu device has no such precision: expected float32, bf16 or none/,
    ],
    [
      'threads',
      () => openDevice('cpu', { threads: 0 }),
      /an integer from 1 to 1024 for options.threads but received 0/,
    ],
    [
      'isa',
      () => openDevice('cpu', untyped({ isa: 'sse' })),
      /one of "baseline", "avx2", "avx512" for options.isa/,
    ],
    ['an unknown option', () => openDevice('cpu', untyped({ thread: 2 })), /the property thread/],
    ['options', () => openDevice('cpu', untyped(null)), /an object for options but received null/],
    [
      'another object',
      () => ops.conv2d(untyped({}), untyped({}), untyped({})),
      /a device \(from openDevice\)/,
    ],
  ])('%s', async (_what, call, message, code) => expectRefusal(call, message, code));
});

describe('networks', () => {
  const make =
    (layers: unknown, input: unknown = smallInput) =>
    () =>
      device.createNetwork(untyped(layers), untyped(input));
  test.each<[string, () => unknown, RegExp]>([
    ['no layers', make([]), /at least one layer for layers but received an empty array/],
    ['layers that are no array', make({}), /an array for layers but received an object/],
    [
      'an unknown kind',
      make([{ kind: 'dense' }]),
      /one of "conv".* for layers\[0\].kind but received "dense"/,
    ],
    [
      'no kernel',
      make([{ kind: 'conv', name: 'c', filters: 2 }]),
      /for layers\[0\].kernel but received undefined/,
    ],
    ['half a filter', make([{ ...conv, filters: 1.5 }]), /for layers\[0\].filters but received 1.5/],
    ['NaN', make([{ ...conv, padding: Number.NaN }]), /for layers\[0\].padding but received nan/i],
    [
      'a misspelt property',
      make([{ ...conv, pading: 1 }]),
      /for layers\[0\] but received the property pading/,
    ],
    ['a stride of 3', make([{ ...conv, stride: 3 }]), /'c'.* stride of 1 or 2, got 3/],
    ['equal names', make([conv, conv]), /'c'.*names must be unique/],
    ['an input too small', make([{ ...conv, kernel: 40 }]), /'c'/],
    [
      'an unfrozen prefix',
      make([conv, { ...conv, name: 'd', frozen: true }]),
      /'d'.*frozen layers must come first/,
    ],
    ['no width', make([conv], { channels: 1, height: 4 }), /for input.width but received undefined/],
    [
      'a huge network',
      make([{ ...conv, filters: 1 << 20 }], { channels: 1 << 20, height: 9, width: 9 }),
      /weights/,
    ],
    [
      'layers for the receptive field',
      () => ops.receptiveField(untyped('x'), smallInput),
      /for layers but received "x"/,
    ],
    ['sigma', () => ops.gaussianTaps(5, 0), /a number above 0 for sigma but received 0/],
  ])('%s', async (_what, call, message) => expectRefusal(call, message));

  const pixels = smallBatch(1, 1).pixels;
  const withNaN = pixels.slice().fill(Number.NaN, 5, 6);
  test.each<[string, () => unknown, RegExp]>([
    ['an unknown tensor', () => network.get('conv9.weight'), /no tensor 'conv9.weight'/],
    ['a name of another type', () => network.get(untyped(1)), /a string for name but received 1/],
    [
      'too few values',
      () => network.set('head.bias', new Float32Array(2)),
      /'head.bias' has 1 values, got 2/,
    ],
    [
      'values that are no array',
      () => network.set('head.bias', untyped([1])),
      /a Float32Array or Float64Array for values/,
    ],
    [
      'values of integers',
      () => network.set('head.bias', untyped(new Int32Array(1))),
      /received Int32Array of 1/,
    ],
    ['NaN weights', () => network.set('head.bias', Float64Array.of(Number.NaN)), /finite numbers for values/],
    ['a negative seed', () => network.initialise(-1), /for seed but received -1/],
    ['a seed beyond 2^53', () => network.initialise(2 ** 60), /for seed/],
    [
      'half an image',
      () => network.infer(pixels.slice(7)),
      /multiple of 576 values .* for pixels but received 569/,
    ],
    ['no pixels', () => network.infer(new Float32Array(0)), /multiple of 576 values .* but received 0/],
    ['NaN pixels', () => network.infer(withNaN), /finite numbers for pixels but received nan at index 5/i],
    ['a negative sigma', () => network.infer(pixels, { sigma: -1 }), /for options.sigma but received -1/],
    ['a signal', () => network.infer(pixels, untyped({ signal: {} })), /an AbortSignal for signal/],
    ['a batch of nothing', () => network.inferenceBytes(0), /for batch but received 0/],
    ['a detached array', () => network.infer(detached()), /but received 0/],
  ])('%s', async (_what, call, message) => expectRefusal(call, message));
});

function detached(): Float32Array {
  const array = new Float32Array(576);
  structuredClone(array, { transfer: [array.buffer] });
  return array;
}

describe('stores and pipelines', () => {
  const store = (change: object) => () => device.createImageStore({ ...smallImages(1, 2), ...change });
  const image = { pixels: 0, mask: null, height: 16, width: 12, label: 0 };
  const statistics = (change: object) => () => images.statistics({ ...smallPipeline, ...change });
  test.each<[string, () => unknown, RegExp]>([
    ['two channels', store({ channels: 2 }), /1 or 3 for images.channels but received 2/],
    [
      'bytes of another type',
      store({ bytes: new Float32Array(3) }),
      /a Uint8Array for images.bytes but received Float32Array of 3/,
    ],
    ['no images', store({ images: [] }), /at least one image/],
    [
      'pixels beyond the bytes',
      store({ images: [{ ...image, pixels: 577 }] }),
      /for images.images\[0\].pixels but received 577/,
    ],
    ['a mask beyond the bytes', store({ images: [{ ...image, mask: 1e15 }] }), /for images.images\[0\].mask/],
    [
      'a foreground beyond the bytes',
      store({ images: [{ ...image, foreground: 1e15 }] }),
      /for images.images\[0\].foreground/,
    ],
    [
      'a foreground of other values',
      store({ images: [{ ...image, foreground: 0 }] }),
      /foreground of image 0 .* only 0 and 1/,
    ],
    ['a mask of other values', store({ images: [{ ...image, mask: 0 }] }), /mask of image 0 .* only 0 and 1/],
    [
      'a label',
      store({ images: [{ ...image, label: 256 }] }),
      /for images.images\[0\].label but received 256/,
    ],
    [
      'nothing',
      () => device.createImageStore(untyped(undefined)),
      /an object for images but received undefined/,
    ],
    ['a pipeline without scale', statistics({ scale: undefined }), /an array of numbers for pipeline.scale/],
    ['a scale of zero', statistics({ scale: [1, 0, 1] }), /numbers other than 0 for pipeline.scale/],
    [
      'two offsets',
      statistics({ offset: [1, 0] }),
      /3 values \(one per channel\) for pipeline.offset but received 2/,
    ],
    ['three jitters', statistics({ jitter: [{}, {}, {}] }), /at most two entries for pipeline.jitter/],
    [
      'a hue',
      statistics({ jitter: [{ hue: 0.6 }] }),
      /from 0 to 0.5 for pipeline.jitter\[0\].hue but received 0.6/,
    ],
    ['a flip', statistics({ flip: 1 }), /true or false for pipeline.flip but received 1/],
  ])('%s', async (_what, call, message) => expectRefusal(call, message));
});

describe('trainers', () => {
  const make = (change: object) => () => network.createTrainer({ ...trainerOptions, ...change });
  const batch = smallBatch(1, 2);
  const step =
    (change: object, lr: unknown = 0.1) =>
    () =>
      trainer.trainStep({ ...batch, ...change }, untyped(lr));
  const range = { epoch: 0, first: 0, steps: 1, lr: 0.1 };
  const run = (change: object) => () => trainer.run({ ...range, ...change });
  const smaller: Pipeline = { ...smallPipeline, height: 8 };
  const foreign = other.createImageStore(smallImages(1, 2));
  const exposure = { mode: 'noise', source: 'exposure' };
  test.each<[string, () => unknown, RegExp]>([
    [
      'a batch of nothing',
      make({ batch: 0 }),
      /an integer from 1 to 1048576 for options.batch but received 0/,
    ],
    [
      'a label that there is not',
      make({ nominalLabel: 2 }),
      /an integer from 0 to 1 for options.nominalLabel but received 2/,
    ],
    [
      'no objective',
      make({ objective: undefined }),
      /an object for options.objective but received undefined/,
    ],
    [
      'an optimiser',
      make({ optimiser: { kind: 'rmsprop' } }),
      /one of "sgd", "adam" for options.optimiser.kind/,
    ],
    ["another optimiser's option", make({ optimiser: { kind: 'sgd', beta1: 0.5 } }), /the property beta1/],
    ['a momentum', make({ optimiser: { kind: 'sgd', momentum: 1 } }), /momentum/],
    ['images of another kind', make({ images: {} }), /an image store .* for options.images/],
    ['images of another device', make({ images: foreign }), /the network's device for options.images/],
    ['no pipeline', make({ pipeline: undefined }), /a pipeline, because there are images/],
    [
      'a pipeline of another size',
      make({ pipeline: smaller }),
      /16 × 12 × 3, for options.pipeline but received 8 × 12 × 3/,
    ],
    ['no exposure', make({ supervision: exposure }), /for options.exposure but received undefined/],
    [
      'a patch as a picture',
      make({ supervision: { mode: 'noise', source: 'cut-paste' } }),
      /with cut-paste, texture or onObject for options.supervision.mode but received "noise"/,
    ],
    ['an object of a picture', make({ supervision: { ...exposure, onObject: true } }), /onObject/],
    ['a mode', make({ supervision: { mode: 'x' } }), /for options.supervision.mode but received "x"/],
    [
      'a probability',
      make({ supervision: { ...trainerOptions.supervision, probability: 2 } }),
      /from 0 to 1/,
    ],
    [
      'a count',
      step({ count: 3 }),
      /1728 values \(count × height × width × channels\) for batch.pixels but received 1152/,
    ],
    [
      'a larger batch than planned',
      () => trainer.trainStep(smallBatch(1, 5), 0.1),
      /batches of 1 to 2 samples, got 5/,
    ],
    [
      'labels',
      step({ labels: Uint8Array.of(0, 7) }),
      /values from 0 to 1 for batch.labels but received 7 at index 1/,
    ],
    [
      'no masks',
      step({ masks: undefined }),
      /384 values \(count × height × width\) for batch.masks but received 0/,
    ],
    ['a learning rate', step({}, -1), /at least 0 for lr but received -1/],
    ['no learning rate', step({}, null), /a finite number for lr but received null/],
    ['steps beyond the epoch', run({ first: 1, steps: 2 }), /not all in an epoch of 2/],
    ['half a step', run({ steps: 0.5 }), /for options.steps but received 0.5/],
    ['no steps', run({ steps: 0 }), /for options.steps but received 0/],
    ['positions beyond the epoch', () => trainer.augment(0, 3, 2), /not all in an epoch of 4/],
    ['a timed batch beyond the epoch', () => trainer.timeAugment(0, 3, 2), /not all in an epoch of 4/],
    [
      'a timed batch that is too large',
      () => trainer.timeAugment(0, 0, 4),
      /batches of 1 to 2 samples, got 4/,
    ],
    ['an incomplete state', () => trainer.setState({}, 1), /state lacks 'momentum\/conv1.weight'/],
    ['a state of numbers', () => trainer.setState(untyped({ a: 1 }), 1), /for state.a but received 1/],
  ])('%s', async (_what, call, message) => expectRefusal(call, message));

  test('leave the trainer as it was', async () => {
    expect(trainer.updates).toBe(0);
    expect((await trainer.run(range)).steps).toBe(1);
  });
});

describe('ops', () => {
  const p = { batch: 1, height: 3, width: 3, channels: 1, filters: 1, kernel: 3, padding: 1 };
  const x = new Float32Array(9);
  const map = { batch: 1, inHeight: 3, inWidth: 3 };
  const labels = Uint8Array.of(1);
  test.each<[string, () => unknown, RegExp]>([
    [
      'too few weights',
      () => ops.conv2d(device, p, { x, w: new Float32Array(8) }),
      /9 values for w but received 8/,
    ],
    ['no x', () => ops.conv2d(device, p, untyped({ w: x })), /for operands.x but received undefined/],
    [
      'a padding',
      () => ops.conv2d(device, { ...p, padding: -1 }, { x, w: x }),
      /for problem.padding but received -1/,
    ],
    [
      'a kernel too large',
      () => ops.conv2d(device, { ...p, kernel: 6 }, { x, w: x }),
      /as large as the kernel/,
    ],
    ['a bias', () => ops.conv2d(device, p, { x, w: x, bias: x }), /1 values for bias but received 9/],
    [
      'masks without taps',
      () => ops.fcddLoss(device, map, { z: x, labels, masks: new Uint8Array(9) }),
      /0 values for masks/,
    ],
    [
      'a window',
      () => ops.maxPool(device, { batch: 1, height: 3, width: 3, channels: 1, kernel: 17 }, { x }),
      /pool.kernel/,
    ],
    [
      'argmax',
      () =>
        ops.postBackward(device, { ...p, pool: { kernel: 2 } } as never, {
          x,
          dy: x,
          argmax: Uint8Array.of(4),
        }),
      /values from 0 to 3 for operands.argmax but received 4/,
    ],
  ])('%s', async (_what, call, message) => expectRefusal(call, message));
});

test('memory that no machine has is refused at once, or at the first use behind a run', async () => {
  const input = { channels: 3, height: 8192, width: 8192 };
  const large = device.createNetwork(smallLayers, input);
  const { images: _, pipeline: __, supervision: ___, ...explicit } = trainerOptions;
  const huge = { ...explicit, batch: 1 << 20 };
  expect(() => large.createTrainer(huge)).toThrow(expect.objectContaining({ code: 'FCDD_OUT_OF_MEMORY' }));

  const running = trainer.run({ epoch: 0, first: 0, steps: 1, lr: 0.1 });
  const queued = large.createTrainer(huge);
  expect(await failure(queued.state())).toMatchObject({ name: 'FcddError', code: 'FCDD_OUT_OF_MEMORY' });
  expect(() => queued.positions).toThrow(expect.objectContaining({ code: 'FCDD_OUT_OF_MEMORY' }));
  expect((await running).steps).toBe(1);
});

test('errors show where the caller stood', async () => {
  const sync = () => device.createNetwork([], smallInput);
  expect(sync).toThrow(expect.objectContaining({ stack: expect.stringContaining('arguments.test') }));
  const disposed = device.createNetwork(smallLayers, smallInput);
  disposed.dispose();
  const property = () => disposed.tensors;
  expect(property).toThrow(expect.objectContaining({ stack: expect.stringContaining('arguments.test') }));
  const error = await failure(network.get('nothing'));
  expect(error.stack?.split('\n')[1]).toContain('arguments.test');
});

test('inputs are copied at the call, shared memory too', async () => {
  const { pixels } = smallBatch(6, 2);
  const shared = new Float64Array(new SharedArrayBuffer(pixels.length * 8));
  shared.set(pixels);
  const expected = await network.infer(pixels);
  const fromShared = network.infer(shared);
  shared.fill(0);
  expect(await fromShared).toEqual(expected);
  const changed = pixels.slice();
  const running = network.infer(changed);
  changed.fill(0);
  expect(await running).toEqual(expected);
});
