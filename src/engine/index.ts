/** The engine: devices, networks, trainers, and single steps. */
export { describeDevice, openDevice } from './device.js';
export * as ops from './ops.js';
export type * from './types.js';
