/** The formula of README.md, pinned by values that scripts/goldens/formula.py printed. */
import { expect, test } from 'vitest';
import { values } from './formula.js';

test('the formula gives the values that Python gives', () => {
  expect(Array.from(values('conv1.weight', 5))).toEqual([
    -0.507056835340336, -0.9510571623686701, 0.27762419055216014, 0.16110612847842276, -0.6624242651741952,
  ]);
});

test('scale and centre apply to each value', () => {
  expect(values('conv1.weight', 1, 0.25, 1)[0]).toBe(1 - 0.507056835340336 / 4);
});
