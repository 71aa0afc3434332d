/** Devices: where networks live and compute. Each has a thread and an in-order queue of its own. */
import { FcddError } from '../errors.js';
import { call, splitHint } from './call.js';
import { type NativeDevice, type NativeDeviceName, native } from './native.js';
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

  constructor(native: NativeDevice, fallback: string | null = null) {
    this.#native = native;
    this.info = Object.freeze({ ...native.info, fallback });
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

interface Target {
  device: NativeDeviceName;
  index: number;
}

function targetOf(name: Exclude<DeviceName, 'auto'>): Target {
  if (name === 'cpu' || name === 'reference' || name === 'cuda' || name === 'cuda-emulated') {
    return { device: name, index: 0 };
  }
  const gpu = typeof name === 'string' ? /^cuda:(\d{1,3})$/.exec(name) : null;
  if (gpu) return { device: 'cuda', index: Number(gpu[1]) };
  throw new FcddError(
    'FCDD_INVALID_ARGUMENT',
    `Expected 'auto', 'cpu', 'cuda', 'cuda:1' … or 'reference' for name but received ${JSON.stringify(name) ?? typeof name}`,
  );
}

function open({ device, index }: Target, options: DeviceOptions): NativeDevice {
  return native().openDevice(device, index === 0 ? options : { ...options, index });
}

/** A GPU if one opens, else the cpu and why. An instruction set is something that only the cpu has. */
function openAuto(options: DeviceOptions): OpenDevice {
  if (options?.isa !== undefined) {
    return new OpenDevice(open(targetOf('cpu'), options), 'an instruction set of the cpu was asked for');
  }
  try {
    return new OpenDevice(open(targetOf('cuda'), options));
  } catch (error) {
    if ((error as { code?: unknown }).code !== 'FCDD_NO_DEVICE') throw error;
    const why = splitHint((error as Error).message).message.replace("cannot open the device 'cuda': ", '');
    return new OpenDevice(openCpuNear(options), why);
  }
}

/** The cpu with the precision asked for where it has that, else in float32. */
function openCpuNear(options: DeviceOptions): NativeDevice {
  const { precision, ...rest } = options;
  if (precision === 'bf16') {
    try {
      return open(targetOf('cpu'), options);
    } catch (error) {
      if ((error as { code?: unknown }).code !== 'FCDD_NO_DEVICE') throw error;
    }
  }
  return open(targetOf('cpu'), rest);
}

/**
 * Opens a device. A device that was disposed of closes when the last of its networks, trainers and stores is gone.
 * @throws FcddError FCDD_NO_DEVICE (not on this machine, with what is missing), FCDD_INVALID_ARGUMENT, FCDD_NO_ADDON
 */
export function openDevice(name: DeviceName = 'auto', options: DeviceOptions = {}): Device {
  return call(openDevice, () =>
    name === 'auto' ? openAuto(options) : new OpenDevice(open(targetOf(name), options)),
  );
}

/** "cpu, avx512, 2 threads; no CUDA device: driver not found", for a line of a log. */
export function describeDevice({ name, detail, fallback }: DeviceInfo): string {
  return `${name}, ${detail}${fallback === null ? '' : `; ${fallback}`}`;
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
