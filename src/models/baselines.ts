/**
 * Networks of the paper's baselines (FCDD, Liznerski et al., ICLR 2021; reference code `liznerski/fcdd`) as layer lists:
 * for each FCDD architecture an encoder (hypersphere classification, Deep SVDD, classification) and, with a decoder that
 * mirrors it, an autoencoder.
 *
 * A fully connected layer is a convolution whose kernel covers its input: OIHW weights are PyTorch's [out, C·H·W]
 * reshaped. A transposed convolution of stride 1 is a convolution with padding k−1−p, kernel turned and channels swapped.
 */
import type { InputShape, Layer } from '../engine/types.js';
import { FcddError } from '../errors.js';

type Pool = 'pool2' | 'pool3' | null;

interface Block {
  kernel: number;
  filters: number;
  pool: Pool;
}

/** What makes one family's networks differ from another's. */
interface Family {
  /** Input height and width of the published runs. */
  extent: number;
  convolutions: readonly Block[];
  /** Outputs of a fully connected layer between convolutions and embedding; null: none. */
  hidden: number | null;
  embedding: number;
  /** What the decoder makes of the embedding: channels; the extent is that of the encoder's last map, or 4. */
  seed: { channels: number; extent: number };
  sigmoid: boolean;
}

const block = (kernel: number, filters: number, pool: Pool = null): Block => ({ kernel, filters, pool });

const family28 = (first: number, second: number): Family => ({
  extent: 28,
  convolutions: [block(5, first, 'pool2'), block(5, second, 'pool2')],
  hidden: null,
  embedding: 48,
  seed: { channels: 3, extent: 4 },
  sigmoid: true,
});

const family32 = (convolutions: readonly Block[]): Family => ({
  extent: 32,
  convolutions,
  hidden: 512,
  embedding: 64,
  seed: { channels: 4, extent: 4 },
  sigmoid: false,
});

const family224 = (a: number, b: number, c: number, d: number, e: number): Family => ({
  extent: 224,
  convolutions: [
    block(5, a, 'pool3'),
    block(5, b, 'pool3'),
    block(3, c),
    block(3, d, 'pool3'),
    block(3, e, 'pool3'),
    block(3, 64, 'pool3'),
  ],
  hidden: 1536,
  embedding: 784,
  seed: { channels: 16, extent: 7 },
  sigmoid: true,
});

const lenet32 = family32([block(5, 32, 'pool2'), block(5, 64, 'pool2'), block(5, 128, 'pool2')]);

const families: Record<string, Family> = {
  cnn28: family28(8, 4),
  'cnn28-w': family28(128, 64),
  cnn32: lenet32,
  'cnn32-s': lenet32,
  'cnn32-lw3k': family32([
    block(3, 128, 'pool2'),
    block(3, 256),
    block(3, 256, 'pool2'),
    block(3, 128, 'pool2'),
  ]),
  cnn224: family224(8, 32, 64, 128, 128),
  'cnn224-w': family224(32, 128, 256, 256, 128),
};

const EPS = 1e-4;

const pooling = (pool: Pool): Layer[] => {
  if (pool === 'pool2') return [{ kind: 'maxpool', kernel: 2, stride: 2 }];
  return pool === 'pool3' ? [{ kind: 'maxpool', kernel: 3, stride: 2, padding: 1 }] : [];
};

const lrelu: Layer = { kind: 'lrelu', slope: 0.01 };

const norm = (name: string, bias: boolean): Layer => ({ kind: 'batchnorm', name, eps: EPS, affine: bias });

const full = (name: string, outputs: number, extent: number, bias: boolean): Layer => ({
  kind: 'conv',
  name,
  filters: outputs,
  kernel: extent,
  bias,
});

/** Convolutions, each followed by BN, leaky ReLU and its pooling; tensor names are those of the FCDD architectures. */
function convolutionBlocks(blocks: readonly Block[], bias: boolean): Layer[] {
  return blocks.flatMap(({ kernel, filters, pool }, index) => [
    { kind: 'conv', name: `conv${index + 1}`, filters, kernel, padding: (kernel - 1) / 2, bias } as const,
    norm(`bn2d${index + 1}`, bias),
    lrelu,
    ...pooling(pool),
  ]);
}

const halvings = (blocks: readonly Block[]): number => blocks.filter(({ pool }) => pool !== null).length;

/** Fully connected layers belong to one size of square images; each pooling must halve it without rest. */
function requireExtent(model: string, multiple: number, { height, width }: InputShape): number {
  if (height === width && height % multiple === 0) return height;
  throw new FcddError(
    'FCDD_INVALID_ARGUMENT',
    `the baselines of ${model} take square images whose side is a multiple of ${multiple}, the data has ${height}×${width}`,
  );
}

/**
 * What depends on the size of the images. Published for the family's own; for another size the decoder starts where the
 * encoder's convolutions end, and the embedding has as many values as that map.
 */
function sizesOf(model: string, family: Family, input: InputShape) {
  const halved = 2 ** halvings(family.convolutions);
  const extent = requireExtent(model, halved, input);
  const map = extent / halved;
  const { channels } = family.seed;
  if (extent === family.extent) return { map, embedding: family.embedding, seed: family.seed };
  return { map, embedding: channels * map * map, seed: { channels, extent: map } };
}

function smallEncoder(model: string, family: Family, input: InputShape, bias: boolean): Layer[] {
  const { map, embedding } = sizesOf(model, family, input);
  const layers = convolutionBlocks(family.convolutions, bias);
  if (family.hidden === null) return [...layers, full('fc_final', embedding, map, bias)];
  return [
    ...layers,
    full('fc1', family.hidden, map, bias),
    norm('bn1d1', bias),
    lrelu,
    full('fc_final', embedding, 1, bias),
  ];
}

const transposed = (
  name: string,
  filters: number,
  kernel: number,
  padding: number,
  bias: boolean,
  xavier: boolean,
): Layer => ({
  kind: 'conv',
  name,
  filters,
  kernel,
  padding: kernel - 1 - padding,
  bias,
  transposed: true,
  init: xavier ? 'xavier' : 'default',
});

/**
 * The decoder of a small net. Going back through the encoder's convolutions, each has a transposed one that makes as
 * many channels, and one more makes the image; an upsampling stands where the encoder pools.
 */
function smallDecoder(model: string, family: Family, input: InputShape, bias: boolean): Layer[] {
  const { channels, extent } = sizesOf(model, family, input).seed;
  const back = [...family.convolutions].reverse();
  const layers: Layer[] = family.hidden === null ? [] : [norm('bn1d', bias)];
  layers.push(lrelu, { kind: 'reshape', channels, height: extent, width: extent });
  // 28 = 2 (2 · 2 · 4 − 2): one more upsampling at the start, and a padding of 3 in the second convolution.
  const is28 = input.height === 28 && family.extent === 28;
  if (is28) layers.push({ kind: 'nearest' });
  back.forEach(({ filters, kernel, pool }, index) => {
    // A transposed convolution has the kernel of the encoder's convolution that it reads the output of.
    const own = index === 0 ? kernel : back[index - 1]!.kernel;
    const padding = is28 && index === 1 ? 3 : (own - 1) / 2;
    layers.push(transposed(`deconv${index + 1}`, filters, own, padding, bias, true));
    layers.push(norm(`bn2d${back.length + index + 1}`, bias), lrelu);
    if (pool !== null) layers.push({ kind: 'nearest' });
  });
  const last = back.at(-1)!;
  layers.push(
    transposed(`deconv${back.length + 1}`, input.channels, last.kernel, (last.kernel - 1) / 2, bias, true),
  );
  return family.sigmoid ? [...layers, { kind: 'sigmoid' }] : layers;
}

/** torchvision's VGG11-bn features: index in `features`, filters, pooled afterwards. */
const vggConvolutions: readonly { index: number; filters: number; pool: boolean }[] = [
  { index: 0, filters: 64, pool: true },
  { index: 4, filters: 128, pool: true },
  { index: 8, filters: 256, pool: false },
  { index: 11, filters: 256, pool: true },
  { index: 15, filters: 512, pool: false },
  { index: 18, filters: 512, pool: true },
  { index: 22, filters: 512, pool: false },
  { index: 25, filters: 512, pool: true },
];

/** With `bias` false (Deep SVDD), normalisations keep no affine terms either. */
function vggFeatures(bias: boolean, frozenConvolutions: number): Layer[] {
  return vggConvolutions.flatMap(({ index, filters, pool }, position) => {
    const frozen = position < frozenConvolutions;
    return [
      {
        kind: 'conv',
        name: `features.${index}`,
        filters,
        kernel: 3,
        padding: 1,
        bias,
        frozen,
        init: 'kaiming',
      },
      { kind: 'batchnorm', name: `features.${index + 1}`, eps: 1e-5, affine: bias, frozen },
      { kind: 'relu', frozen },
      ...(pool ? [{ kind: 'maxpool', kernel: 2, stride: 2, frozen } as const] : []),
    ] satisfies Layer[];
  });
}

const vggFull = (index: number, outputs: number, extent: number, bias: boolean): Layer => ({
  kind: 'conv',
  name: `classifier.${index}`,
  filters: outputs,
  kernel: extent,
  bias,
  init: 'small-normal',
});

/** Features, pooling to 7×7 and classifier up to 4096 values; with `all` the whole of torchvision's network, 1000 values. */
function vggEncoder(bias: boolean, frozenConvolutions: number, all: boolean): Layer[] {
  const layers: Layer[] = [
    ...vggFeatures(bias, frozenConvolutions),
    { kind: 'averagepool', height: 7, width: 7 },
    vggFull(0, 4096, 7, bias),
    { kind: 'relu' },
    { kind: 'dropout', probability: 0.5 },
  ];
  if (!all) return layers;
  return [
    ...layers,
    vggFull(3, 4096, 1, bias),
    { kind: 'relu' },
    { kind: 'dropout', probability: 0.5 },
    vggFull(6, 1000, 1, bias),
  ];
}

/** 4096 → 512×7×7 for images of 224×224 (fully connected, BN), then the features backwards. */
function vggDecoder(input: InputShape, bias: boolean): Layer[] {
  const extent = requireExtent('vgg11', 32, input) / 32; // 7 as published
  const layers: Layer[] = [
    full('decoder_fc', 512 * extent ** 2, 1, bias),
    norm('decoder_bn', bias),
    lrelu,
    { kind: 'reshape', channels: 512, height: extent, width: extent },
  ];
  [...vggConvolutions].reverse().forEach(({ filters, pool }, index) => {
    layers.push(transposed(`deconv${index + 1}`, filters, 3, 1, bias, false));
    layers.push(norm(`decoder_bn2d${index + 1}`, bias), lrelu);
    if (pool) layers.push({ kind: 'nearest' });
  });
  layers.push(transposed(`deconv${vggConvolutions.length + 1}`, input.channels, 3, 1, bias, false));
  return layers;
}

export interface BaselineOptions {
  input: InputShape;
  bias: boolean;
}

/** Convolutions of vgg11-f that stay as they were pretrained. */
const vggFrozen = (model: string): number => (model === 'vgg11-f' ? 4 : 0);

const isVgg = (model: string): boolean => model.startsWith('vgg11');

function familyOf(model: string): Family {
  const family = families[model];
  if (family) return family;
  throw new FcddError('FCDD_INVALID_ARGUMENT', `there are no baselines for the architecture "${model}"`, {
    hint: `choose one of ${Object.keys(families).join(', ')} or a vgg11 net`,
  });
}

/** The network of hypersphere classification and of Deep SVDD that belongs to an FCDD architecture. */
export function encoder(model: string, { input, bias }: BaselineOptions): Layer[] {
  if (isVgg(model)) return vggEncoder(bias, vggFrozen(model), model === 'vgg11-nopt');
  return smallEncoder(model, familyOf(model), input, bias);
}

/** The autoencoder that belongs to an FCDD architecture. */
export function autoencoder(model: string, { input, bias }: BaselineOptions): Layer[] {
  if (isVgg(model)) return [...vggEncoder(bias, vggFrozen(model), false), ...vggDecoder(input, bias)];
  const family = familyOf(model);
  return [...smallEncoder(model, family, input, bias), ...smallDecoder(model, family, input, bias)];
}

/**
 * A classifier on the convolutions of an FCDD architecture, under their usual names: its head gives way to a leaky ReLU,
 * the mean over the map and one fully connected layer, `classifier`.
 */
export function classifier(layers: readonly Layer[], classes: number): Layer[] {
  const head = layers.findLastIndex((layer) => layer.kind === 'conv');
  return [
    ...layers.slice(0, head),
    lrelu,
    { kind: 'averagepool', height: 1, width: 1 },
    full('classifier', classes, 1, true),
  ];
}

/** The layers before the first that sees its whole input: their receptive field is the Gaussian's that blurs heatmaps. */
export function convolutionalPart(layers: readonly Layer[]): Layer[] {
  const end = layers.findIndex(
    (layer) =>
      layer.kind === 'averagepool' ||
      layer.kind === 'reshape' ||
      (layer.kind === 'conv' && layer.padding === undefined),
  );
  return layers.slice(0, end < 0 ? layers.length : end);
}
