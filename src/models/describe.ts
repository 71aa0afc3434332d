import { openDevice, ops } from '../engine/index.js';
import type { InputShape, ReceptiveField } from '../engine/types.js';
import { architectures } from './architectures.js';
import { multiplyAdds } from './operations.js';

export interface ArchitectureDescription {
  name: string;
  summary: string;
  input: InputShape;
  parameters: number;
  receptiveField: ReceptiveField;
  /** Multiply-adds of one image, forward. */
  multiplyAdds: number;
  /** Bytes that a training step of `batch` images reserves (SGD, loss per image). */
  trainingBytes: number;
}

/** What each architecture costs at its published input size; numbers come from the engine's own plan. */
export function describeArchitectures(batch: number): ArchitectureDescription[] {
  using device = openDevice('cpu');
  return architectures.map(({ name, summary, input, layers: build }) => {
    const layers = build({ bias: true });
    using network = device.createNetwork(layers, input);
    const parameters = network.tensors
      .filter((tensor) => !tensor.name.includes('running_'))
      .reduce((sum, { shape }) => sum + product(shape), 0);
    return {
      name,
      summary,
      input,
      parameters,
      receptiveField: ops.receptiveField(layers, input),
      multiplyAdds: multiplyAdds(layers, input, 'inference'),
      trainingBytes: network.trainingBytes(batch, { adam: false, pixelwise: false }),
    };
  });
}

const product = (shape: readonly number[]): number => shape.reduce((total, extent) => total * extent, 1);
