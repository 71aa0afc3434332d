/**
 * How the classes of this folder call the addon: its errors become FcddErrors whose stack is the caller's, signals
 * become native abort flags, and shared memory is copied.
 */
import { FcddError, type FcddErrorCode } from '../errors.js';
import { type NativeAbortFlag, native } from './native.js';

/** A public function or method. */
export type Entry = (...args: never) => unknown;

/** The stack of whoever called `entry`, without the line of the error itself. */
function callerStack(entry: Entry): string {
  const site: { stack?: string } = {};
  Error.captureStackTrace(site, entry);
  const text = site.stack ?? '';
  return text.slice(text.indexOf('\n') + 1);
}

/** The engine puts what to do about an error behind "hint: " on a line of its own. */
export function splitHint(text: string): { message: string; hint?: string } {
  const [message = '', hint] = text.split('\nhint: ', 2);
  return hint === undefined ? { message } : { message, hint };
}

function translate(error: unknown, frames: string): unknown {
  if (error instanceof FcddError || !(error instanceof Error)) return error;
  const code = (error as Error & { code?: unknown }).code;
  if (typeof code !== 'string' || !code.startsWith('FCDD_')) return error;
  const { message, ...hint } = splitHint(error.message);
  const translated = new FcddError(code as FcddErrorCode, message, hint);
  translated.stack = `${translated.name}: ${translated.message}\n${frames}`;
  return translated;
}

/** A synchronous call. `entry` is the public function: stacks start at its caller. Property getters pass `call`. */
export function call<T>(entry: Entry, body: () => T): T {
  try {
    return body();
  } catch (error) {
    throw translate(error, callerStack(entry));
  }
}

/** An asynchronous call: all errors, those of the arguments too, reject the promise. */
export function callAsync<T>(entry: Entry, body: () => Promise<T>): Promise<T> {
  const frames = callerStack(entry);
  const settle = async (): Promise<T> => {
    try {
      return await body();
    } catch (error) {
      throw translate(error, frames);
    }
  };
  return settle();
}

/** Runs `body` with a native flag that `signal` sets. Rejects with FCDD_ABORTED when it is set already. */
export async function withSignal<T>(
  signal: AbortSignal | undefined,
  body: (flag: { abort?: NativeAbortFlag }) => Promise<T>,
): Promise<T> {
  if (signal === undefined) return body({});
  if (!(signal instanceof AbortSignal)) {
    throw new FcddError(
      'FCDD_INVALID_ARGUMENT',
      `Expected an AbortSignal for signal but received ${typeof signal}`,
    );
  }
  if (signal.aborted) {
    throw new FcddError('FCDD_ABORTED', 'The call was aborted before it began', { cause: signal.reason });
  }
  const abort = native().createAbortFlag();
  const onAbort = () => abort.abort();
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    return await body({ abort });
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

/** Typed arrays over a SharedArrayBuffer as copies of their own: another thread may write while the addon reads. */
export function unshared<T>(value: T): T {
  if (!ArrayBuffer.isView(value) || !(value.buffer instanceof SharedArrayBuffer)) return value;
  if (value instanceof Uint8Array) return Uint8Array.from(value) as T;
  if (value instanceof Float32Array) return Float32Array.from(value) as T;
  return value instanceof Float64Array ? (Float64Array.from(value) as T) : value;
}

/** The same for the properties of an object. */
export function unsharedFields<T>(value: T): T {
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, field]) => [name, unshared(field)])) as T;
}

/** An immutable copy, so that later changes of the caller's object do not show. */
export function frozenCopy<T>(value: T): T {
  const freeze = (part: unknown): void => {
    if (typeof part !== 'object' || part === null) return;
    Object.values(part).forEach(freeze);
    Object.freeze(part);
  };
  const copy = structuredClone(value);
  freeze(copy);
  return copy;
}
