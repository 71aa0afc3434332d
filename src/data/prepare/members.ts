/**
 * Which members of a data set's archives are wanted, and where they go: whatever folders the archive wraps
 * them in.
 */
import type { PreparableName } from './types.js';

type Target = (name: string) => string | null;

/** The part of a path from the first match on. */
const from =
  (pattern: RegExp): Target =>
  (name) =>
    pattern.exec(name)?.[1] ?? null;

export const targets: Record<Exclude<PreparableName, 'imagenet' | 'imagenet22k'>, Target> = {
  // <category>/{train,test,ground_truth}/…, and the notes that lie beside them.
  mvtec: from(/(?:^|\/)([^/]+\/(?:(?:train|test|ground_truth)\/.+|license\.txt|readme\.txt))$/),
  'fashion-mnist': from(/(?:^|\/)((?:train|t10k)-(?:images-idx3|labels-idx1)-ubyte(?:\.gz)?)$/),
  cifar10: from(/(?:^|\/)((?:data_batch_\d|test_batch)\.bin|batches\.meta\.txt)$/),
  cifar100: from(/(?:^|\/)((?:train|test)\.bin|(?:fine|coarse)_label_names\.txt)$/),
  emnist: from(
    /(?:^|\/)(emnist-letters-(?:(?:train|test)-(?:images-idx3|labels-idx1)-ubyte(?:\.gz)?|mapping\.txt))$/,
  ),
  voc: from(/(?:^|\/)(VOC2007\/(?:Annotations\/.+|ImageSets\/Main\/.+|JPEGImages\/.+))$/),
};
