/** Lists ImageNet's pictures for `data check`: all of them counted, some of them drawn to be decoded. */
import { FcddError } from '../../errors.js';
import { drawWithoutReplacement, seededRandom } from '../../evaluation/random.js';
import { imagenet30 } from '../imagenet/classes.js';
import { findImagenet } from '../imagenet/find.js';
import { countOf, folderGroups, type ImageGroup } from '../imagenet/groups.js';
import { validationClass } from '../imagenet/labels.js';
import { dataSetFolders } from '../locate.js';
import { entryOf } from './entries.js';
import type { CheckDataOptions, CheckEntry, ClassCount, Listing } from './types.js';

/** Of ImageNet so many pictures are decoded, drawn from the seed. */
const sample = 500;

export async function listImagenet(options: CheckDataOptions): Promise<Listing> {
  const found = await findImagenet(await dataSetFolders('imagenet', options.data));
  if (!found.train && !found.val) {
    throw new FcddError('FCDD_NOT_FOUND', `${found.folder} holds no ImageNet`, {
      hint: 'fcdd-native data prepare imagenet --from … --data DIR',
    });
  }
  const classes: ClassCount[] = [];
  const entries: CheckEntry[] = [];
  const warnings: string[] = [];
  for (const { name, wordnetId } of imagenet30) {
    const train = found.train?.groups.find(({ wnid }) => wnid === wordnetId);
    classes.push({ part: 'train', className: name, images: train?.count ?? 0 });
    if (train) entries.push(...(await groupEntries(train, 'train', name)));
    let val = 0;
    for (const group of found.val?.groups ?? []) {
      if (group.wnid !== null && group.wnid !== wordnetId) continue;
      const all = await groupEntries(group, 'val', name);
      const of = group.wnid
        ? all
        : all.filter((one) => validationClass(found.labels, one.name) === wordnetId);
      entries.push(...of);
      val += of.length;
    }
    classes.push({ part: 'val', className: name, images: val });
  }
  const others = countOf(found.train?.groups ?? []) + countOf(found.val?.groups ?? []) - entries.length;
  if (others > 0) warnings.push(`${others} further images are of classes outside of ImageNet-30`);
  const broken = [...(found.train?.broken ?? []), ...(found.val?.broken ?? [])];
  if (broken.length > 0)
    warnings.push(`${broken.length} broken files are left out, ${broken[0]!.name} first`);
  if (found.val && found.labels.validation === null && found.val.groups.every(({ wnid }) => wnid === null)) {
    warnings.push('the validation images have no labels: ILSVRC2012_devkit_t12.tar.gz has them');
  }
  return { where: found.folder, classes, ...sampled(entries, options), warnings };
}

async function groupEntries(group: ImageGroup, part: string, className: string): Promise<CheckEntry[]> {
  return (await group.files()).map((file) =>
    entryOf({ ...file, label: 0, type: className, maskPath: null }, part, className, false),
  );
}

function sampled(
  entries: CheckEntry[],
  { seed }: CheckDataOptions,
): Pick<Listing, 'entries' | 'sampledFrom'> {
  if (entries.length <= sample) return { entries, sampledFrom: null };
  const drawn = drawWithoutReplacement(entries.length, sample, seededRandom(seed ?? 0));
  return { entries: drawn.map((i) => entries[i]!), sampledFrom: entries.length };
}

export async function listImagenet22k(options: CheckDataOptions): Promise<Listing> {
  for (const folder of await dataSetFolders('imagenet22k', options.data)) {
    const { images } = await findImagenet([folder]);
    const found = images ?? (await folderGroups(folder));
    const groups = found?.groups.filter(({ wnid }) => wnid !== null) ?? [];
    if (groups.length === 0) continue;
    const classes = groups.map(({ wnid, count }) => ({ part: 'all', className: wnid!, images: count }));
    const entries = await drawFromGroups(groups, options.seed ?? 0);
    const total = countOf(groups);
    const broken = images?.broken ?? [];
    const warnings =
      broken.length > 0 ? [`${broken.length} broken files are left out, ${broken[0]!.name} first`] : [];
    const sampledFrom = entries.length < total ? total : null;
    return { where: found!.what, classes, entries, sampledFrom, warnings };
  }
  throw new FcddError('FCDD_NOT_FOUND', `no ImageNet-22k in ${options.data ?? process.env.FCDD_DATA}`, {
    hint: 'fcdd-native data prepare imagenet22k --from fall11_whole.tar --data DIR',
  });
}

/** A few groups, then a picture of each: nobody lists 14 million names for that. */
async function drawFromGroups(groups: readonly ImageGroup[], seed: number): Promise<CheckEntry[]> {
  const random = seededRandom(seed);
  const chosen = drawWithoutReplacement(groups.length, Math.min(sample, groups.length), random);
  const each = Math.ceil(sample / chosen.length);
  const entries: CheckEntry[] = [];
  for (const index of chosen) {
    const group = groups[index]!;
    const all = await groupEntries(group, 'all', group.wnid!);
    const drawn = drawWithoutReplacement(all.length, Math.min(each, all.length), random);
    entries.push(...drawn.map((i) => all[i]!));
  }
  return entries;
}
