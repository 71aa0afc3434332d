import { describe, expect, it } from 'vitest';
import { learningRate, type Schedule } from '../../src/training/schedule.js';

describe('learning rate schedules', () => {
  it('multiplies by the rate each epoch', () => {
    const schedule = { kind: 'exponential', rate: 0.98 } as const;
    expect(learningRate(0.01, schedule, 0)).toBe(0.01);
    expect(learningRate(0.01, schedule, 1)).toBeCloseTo(0.0098, 15);
    expect(learningRate(0.01, schedule, 400)).toBeCloseTo(0.01 * 0.98 ** 400, 15);
  });

  it('applies the factor from each milestone on, as MultiStepLR', () => {
    const schedule: Schedule = { kind: 'milestones', at: [400, 500], factor: 0.1 };
    const rates = [0, 399, 400, 499, 500, 599].map((epoch) => learningRate(1e-3, schedule, epoch));
    for (const [index, expected] of [1e-3, 1e-3, 1e-4, 1e-4, 1e-5, 1e-5].entries()) {
      expect(rates[index]).toBeCloseTo(expected, 12);
    }
  });
});
