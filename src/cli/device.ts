import type { DeviceName, Precision } from '../engine/types.js';

/** Where a command computes: the same options for all of them. */
export const deviceOptions = {
  device: {
    type: 'string',
    describe:
      'auto, cpu, cuda, cuda:1 … (a GPU by number), or reference (float64, slow, exact); fcdd-native doctor says what works [default: auto]',
  },
  precision: {
    choices: ['float32', 'tf32', 'bf16'],
    describe:
      'of convolutions: on a GPU [default: tf32 where it has it], on the cpu float32 [default] or, with AVX-512 BF16, bf16 (faster, about 1 % off)',
  },
  threads: {
    type: 'number',
    describe: 'worker threads of the cpu [default: what the machine or container allows]',
  },
} as const;

/** What was given of them. */
export function givenDevice(argv: Record<string, unknown>): {
  device?: DeviceName;
  precision?: Precision;
  threads?: number;
} {
  return {
    ...(argv.device === undefined ? {} : { device: String(argv.device) as DeviceName }),
    ...(argv.precision === undefined ? {} : { precision: argv.precision as Precision }),
    ...(argv.threads === undefined ? {} : { threads: Number(argv.threads) }),
  };
}
