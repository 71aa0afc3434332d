import type { InputShape, Layer } from '../engine/types.js';
import { FcddError } from '../errors.js';

/**
 * The ten FCDD architectures (Liznerski et al., ICLR 2021; reference code `liznerski/fcdd`) as layer lists.
 * Tensor names are those of the reference code, so that its snapshots can be read: conv1, bn2d1, … conv_final for the
 * small nets, features.N for VGG11-bn.
 */

export interface Architecture {
  name: string;
  /** One line for people. */
  summary: string;
  /** Input the published runs used. */
  input: InputShape;
  /** Channels the net accepts; the VGG nets were pretrained on RGB. */
  channels: readonly (1 | 3)[];
  /** Meant to start from ImageNet weights: random ones only on request. */
  pretrained: boolean;
  layers(options: { bias: boolean }): Layer[];
}

interface ConvSpec {
  kernel: number;
  filters: number;
  norm: boolean;
  pool: 'none' | 'pool2' | 'pool3';
}

const conv = (kernel: number, filters: number, norm: boolean, pool: ConvSpec['pool']): ConvSpec => ({
  kernel,
  filters,
  norm,
  pool,
});

const poolLayer = (pool: ConvSpec['pool']): Layer[] => {
  if (pool === 'pool2') return [{ kind: 'maxpool', kernel: 2, stride: 2 }];
  if (pool === 'pool3') return [{ kind: 'maxpool', kernel: 3, stride: 2, padding: 1 }];
  return [];
};

/** BN eps 1e-4 and leaky ReLU 0.01; without bias BN loses its affine terms too, as in the reference code. */
function smallNet(specs: readonly ConvSpec[], bias: boolean): Layer[] {
  const layers: Layer[] = [];
  specs.forEach((spec, index) => {
    const padding = (spec.kernel - 1) / 2;
    layers.push({
      kind: 'conv',
      name: `conv${index + 1}`,
      filters: spec.filters,
      kernel: spec.kernel,
      padding,
      bias,
    });
    if (spec.norm) {
      layers.push({ kind: 'batchnorm', name: `bn2d${index + 1}`, eps: 1e-4, affine: bias });
      layers.push({ kind: 'lrelu', slope: 0.01 });
    }
    layers.push(...poolLayer(spec.pool));
  });
  layers.push({ kind: 'conv', name: 'conv_final', filters: 1, kernel: 1, bias });
  return layers;
}

const cnn28 = (a: number, b: number) => [conv(5, a, true, 'pool2'), conv(5, b, false, 'pool2')];

const cnn32 = (kernel: number) => [
  conv(kernel, 32, true, 'pool2'),
  conv(kernel, 64, true, 'pool2'),
  conv(kernel, 128, false, 'none'),
];

const cnn32Lw3k = [
  conv(3, 128, true, 'pool2'),
  conv(3, 256, true, 'none'),
  conv(3, 256, true, 'pool2'),
  conv(3, 128, false, 'none'),
];

const cnn224 = (a: number, b: number, c: number, d: number, e: number) => [
  conv(5, a, true, 'pool3'),
  conv(5, b, true, 'pool3'),
  conv(3, c, true, 'none'),
  conv(3, d, true, 'pool3'),
  conv(3, e, false, 'none'),
];

/** torchvision's VGG11-bn features up to the third max pool, the next two convolutions, and a 1×1 head. */
function vgg11(frozenPrefix: boolean, bias: boolean): Layer[] {
  if (!bias) {
    throw new FcddError(
      'FCDD_INVALID_ARGUMENT',
      'the VGG nets need their biases: --no-bias does not apply to them',
    );
  }
  // features.N of torchvision; each convolution is followed by BN (N+1) and ReLU, some by a max pool.
  const convs: { index: number; filters: number; pool: boolean }[] = [
    { index: 0, filters: 64, pool: true },
    { index: 4, filters: 128, pool: true },
    { index: 8, filters: 256, pool: false },
    { index: 11, filters: 256, pool: true },
    { index: 15, filters: 512, pool: false },
    { index: 18, filters: 512, pool: false },
  ];
  const layers: Layer[] = [];
  convs.forEach(({ index, filters, pool }, position) => {
    // vgg11-f freezes 15 modules: four convolutions with their BN, ReLU and pools.
    const frozen = frozenPrefix && position < 4;
    layers.push({ kind: 'conv', name: `features.${index}`, filters, kernel: 3, padding: 1, bias, frozen });
    layers.push({ kind: 'batchnorm', name: `features.${index + 1}`, eps: 1e-5, frozen });
    layers.push({ kind: 'relu', frozen });
    if (pool) layers.push({ kind: 'maxpool', kernel: 2, stride: 2, frozen });
  });
  layers.push({ kind: 'conv', name: 'conv_final', filters: 1, kernel: 1, bias });
  return layers;
}

const small = (
  name: string,
  summary: string,
  extent: number,
  channels: 1 | 3,
  specs: readonly ConvSpec[],
): Architecture => ({
  name,
  summary,
  input: { channels, height: extent, width: extent },
  channels: [1, 3],
  pretrained: false,
  layers: ({ bias }) => smallNet(specs, bias),
});

const vgg = (name: string, summary: string, frozen: boolean, pretrained: boolean): Architecture => ({
  name,
  summary,
  input: { channels: 3, height: 224, width: 224 },
  channels: [3],
  pretrained,
  layers: ({ bias }) => vgg11(frozen, bias),
});

export const architectures: readonly Architecture[] = [
  small('cnn28', 'two 5×5 convolutions, 8 and 16 filters', 28, 1, cnn28(8, 16)),
  small('cnn28-w', 'the same with 128 filters: Fashion-MNIST', 28, 1, cnn28(128, 128)),
  small('cnn32', 'three 5×5 convolutions', 32, 3, cnn32(5)),
  small('cnn32-s', 'three 3×3 convolutions', 32, 3, cnn32(3)),
  small('cnn32-lw3k', 'four wide 3×3 convolutions: CIFAR-10', 32, 3, cnn32Lw3k),
  small(
    'cnn224',
    'five convolutions, 8 to 128 filters: photographs, trained from scratch',
    224,
    3,
    cnn224(8, 32, 64, 128, 128),
  ),
  small('cnn224-w', 'the same with 32 to 256 filters', 224, 3, cnn224(32, 128, 256, 256, 128)),
  vgg('vgg11-nopt', 'VGG11-bn up to its sixth convolution, random weights', false, false),
  vgg('vgg11', 'the same, pretrained on ImageNet', false, true),
  vgg('vgg11-f', 'the same, pretrained, frozen up to the third max pool: MVTec AD', true, true),
];

/** Looks an architecture up; the error lists the names there are. */
export function architecture(name: string): Architecture {
  const found = architectures.find((candidate) => candidate.name === name);
  if (found) return found;
  throw new FcddError('FCDD_INVALID_ARGUMENT', `there is no architecture "${name}"`, {
    hint: `choose one of ${architectures.map((a) => a.name).join(', ')} (fcdd-native models describes them)`,
  });
}
