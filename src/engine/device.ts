/** Devices: where networks live and compute. Each has a thread and an in-order queue of its own. */
import { FcddError } from '../errors.js';
import { call } from './call.js';
import { type NativeDevice, native } from './native.js';
import { createNetwork } from './network.js';
import { createImageStore } from './store.js';
import type {
  Device,
  DeviceInfo,
  DeviceName,
  DeviceOptions,
  ImageStore,
  InputShape,
  Layer,
  Network,
  StoredImages,
} from './types.js';

/** Native sides of devices, for ops.ts. */
const handles = new WeakMap<Device, NativeDevice>();

class OpenDevice implements Device {
  readonly info: DeviceInfo;
  readonly #native: NativeDevice;

  constructor(native: NativeDevice) {
    this.#native = native;
    this.info = Object.freeze(native.info);
    handles.set(this, native);
  }

  createNetwork(layers: readonly Layer[], input: InputShape): Network {
    return createNetwork(this.#native, layers, input);
  }

  createImageStore(images: StoredImages): ImageStore {
    return createImageStore(this.#native, images);
  }

  dispose(): void {
    this.#native.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}

function backend(name: DeviceName): 'cpu' | 'reference' {
  if (name === 'auto' || name === 'cpu') return 'cpu';
  if (name === 'reference') return name;
  if (name === 'cuda' || /^cuda:\d+$/.test(name)) {
    throw new FcddError(
      'FCDD_NO_DEVICE',
      `This build has no CUDA device yet, so '${name}' cannot be opened`,
      {
        hint: "Use 'cpu' (or 'auto').",
      },
    );
  }
  throw new FcddError(
    'FCDD_INVALID_ARGUMENT',
    `Expected 'auto', 'cpu' or 'reference' for name but received ${JSON.stringify(name) ?? typeof name}`,
  );
}

/**
 * Opens a device. 'auto' is the fastest that works here. A device that was disposed of closes when the last of its
 * networks, trainers and stores is gone.
 * @throws FcddError FCDD_NO_DEVICE (not on this machine), FCDD_INVALID_ARGUMENT, FCDD_NO_ADDON (not built)
 */
export function openDevice(name: DeviceName = 'auto', options: DeviceOptions = {}): Device {
  return call(openDevice, () => new OpenDevice(native().openDevice(backend(name), options)));
}

/** The native side of a device that a caller passed. */
export function nativeDevice(device: Device): NativeDevice {
  const handle = typeof device === 'object' && device !== null ? handles.get(device) : undefined;
  if (handle !== undefined) return handle;
  throw new FcddError(
    'FCDD_INVALID_ARGUMENT',
    `Expected a device (from openDevice) for device but received ${typeof device}`,
  );
}
