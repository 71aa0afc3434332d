/**
 * ImageNet-30: names and WordNet ids of the thirty classes, in the order of their indices; and WordNet ids.
 */
import { readFileSync } from 'node:fs';

const published = JSON.parse(readFileSync(new URL('../normalisation.json', import.meta.url), 'utf8')) as {
  imagenet30: { name: string; wordnetId: string }[];
};

export const imagenet30: readonly { name: string; wordnetId: string }[] = published.imagenet30;

/**
 * "n01440764" at the beginning of a path or of one of its parts: n01440764.tar, n01440764/a.JPEG,
 * n01440764_1.JPEG.
 */
export function wordNetId(name: string): string | null {
  return /(?:^|\/)(n\d{8})(?=[_./]|$)/.exec(name)?.[1] ?? null;
}

/**
 * Classes of ILSVRC that show what Pascal VOC is about, by a word of their name: left out where its
 * validation images stand for "no horse" (and for no person, cat … in front of the camera).
 */
const vocWords = new Set(
  (
    'person bird cat cow dog horse sheep aeroplane bicycle boat bus car motorbike train bottle chair table plant ' +
    'sofa tv monitor'
  ).split(' '),
);

/** Whether a class's name ("tabby, tabby cat") has one of the words, as a whole word. */
export function showsVocClass(name: string): boolean {
  return (name.toLowerCase().match(/\p{L}+/gu) ?? []).some((word) => vocWords.has(word));
}
