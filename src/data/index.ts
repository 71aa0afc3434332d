/** Data sets: names, training settings, and opening them for one normal class or as outlier exposure. */
import { FcddError } from '../errors.js';
import { isArraySetName, openArraySet } from './array-set.js';
import { dataSetNames, isDataSetName } from './defaults.js';
import { openDemo } from './demo/index.js';
import { openFolder } from './folder.js';
import { openImagenet } from './imagenet/open.js';
import { openMvtec } from './mvtec.js';
import type { DataSet, OpenOptions } from './types.js';
import { openVoc } from './voc/open.js';

export {
  type BitRange,
  type DecodedImage,
  type DecodeOptions,
  decodeImage,
  fitPixels,
  type OpenedPicture,
  openPicture,
} from './decode.js';
export { dataSetNames, trainingDefaults } from './defaults.js';
export { type Exposure, type ExposureOptions, openExposure } from './exposure.js';
export { estimateForeground, type Foreground } from './foreground.js';
export { exposureCap, isImagenetExposure } from './imagenet/exposure.js';
export { publishedConstants } from './normalisation.js';
export { withConstants } from './pipelines.js';
export { type Raster, toChannels } from './resample.js';
export { type DrawnAnomalies, drawAnomalies, testAnomalies, testSubset } from './semi-supervised.js';
export { subset, withForegrounds } from './store.js';
export type * from './types.js';

/**
 * Finds, checks and decodes a data set into memory.
 * @throws FcddError FCDD_INVALID_ARGUMENT (name, class), FCDD_NOT_FOUND, FCDD_BAD_DATA (layout), FCDD_BAD_IMAGE (file)
 */
export async function openDataSet(name: string, options: OpenOptions): Promise<DataSet> {
  if (!isDataSetName(name)) {
    throw new FcddError(
      'FCDD_INVALID_ARGUMENT',
      `dataset: expected one of ${dataSetNames.join(', ')}, received '${name}'`,
      { hint: 'for your own pictures: --dataset mvtec (train/good, test/…) or --dataset folder' },
    );
  }
  if (isArraySetName(name)) return openArraySet(name, options);
  if (name === 'mvtec') return openMvtec(options);
  if (name === 'folder') return openFolder(options);
  if (name === 'imagenet') return openImagenet(options);
  if (name === 'pascal-voc') return openVoc(options);
  return openDemo(options);
}
