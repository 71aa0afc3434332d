import type { TrainingDefaults } from '../data/types.js';

export type Schedule = TrainingDefaults['schedule'];

/**
 * Learning rate of an epoch (counted from 0), as PyTorch's LambdaLR (rate^epoch) and MultiStepLR: the factor applies
 * from the milestone epoch on.
 */
export function learningRate(initial: number, schedule: Schedule, epoch: number): number {
  if (schedule.kind === 'exponential') return initial * schedule.rate ** epoch;
  return initial * schedule.factor ** schedule.at.filter((milestone) => epoch >= milestone).length;
}
