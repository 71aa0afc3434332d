import type { Layer } from '../engine/types.js';
import { FcddError } from '../errors.js';

/** A network that a file may hold. */
export interface Candidate {
  name: string;
  /** Without head. */
  layers: Layer[];
}

/** No weight is infinite, no variance negative. @throws FcddError FCDD_BAD_MODEL */
export function checkValues(path: string, name: string, data: Float32Array): void {
  const floor = name.endsWith('.running_var') ? 0 : Number.NEGATIVE_INFINITY;
  const wrong = data.findIndex((value) => !Number.isFinite(value) || value < floor);
  if (wrong < 0) return;
  throw new FcddError('FCDD_BAD_MODEL', `${path} cannot be imported: ${name} holds the value ${data[wrong]}`);
}
