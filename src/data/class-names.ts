/** Classes by name or index, and the names of the classes that only have numbers in their files. */
import { FcddError } from '../errors.js';
import { publishedClasses } from './normalisation.js';

export const fashionMnistClasses = publishedClasses('fashion-mnist');
export const cifar10Classes = publishedClasses('cifar10');

/** Fine classes of CIFAR-100 in the order of their labels. */
export const cifar100Classes = (
  'apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly camel can ' +
  'castle caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup dinosaur dolphin ' +
  'elephant flatfish forest fox girl hamster house kangaroo keyboard lamp lawn_mower leopard lion lizard lobster ' +
  'man maple_tree motorcycle mountain mouse mushroom oak_tree orange orchid otter palm_tree pear pickup_truck ' +
  'pine_tree plain plate poppy porcupine possum rabbit raccoon ray road rocket rose sea seal shark shrew skunk ' +
  'skyscraper snail snake spider squirrel streetcar sunflower sweet_pepper table tank telephone television tiger ' +
  'tractor train trout tulip turtle wardrobe whale willow_tree wolf woman worm'
).split(' ');

/** Letters and digits only, so that "ankle-boot" finds "Ankle boot". */
function plain(name: string): string {
  return name.toLowerCase().replace(/[^\p{L}\p{N}]/gu, '');
}

/** Whether `wanted` names the class `name`, ignoring case and punctuation. */
export function isClass(name: string, wanted: string): boolean {
  return name === wanted || plain(name) === plain(wanted);
}

/**
 * The index of a class given by name (exact, else ignoring case and punctuation) or by index.
 * @throws FcddError FCDD_INVALID_ARGUMENT with the names there are
 */
export function classIndex(names: readonly string[], wanted: string): number {
  const exact = names.indexOf(wanted);
  if (exact >= 0) return exact;
  const index = /^\d+$/.test(wanted) ? Number(wanted) : -1;
  if (index >= 0 && index < names.length) return index;
  const loose = names.findIndex((name) => isClass(name, wanted));
  if (loose >= 0) return loose;
  const list = names.map((name, i) => `${i} ${name}`).join(', ');
  throw new FcddError(
    'FCDD_INVALID_ARGUMENT',
    `class: expected a name or an index of (${list}), received '${wanted}'`,
  );
}
