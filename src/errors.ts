/**
 * Errors that a user can do something about. `code` is stable (tests and programs rely on it); `hint` says what to do.
 * Everything thrown on purpose in src/ is one of these; errors of the addon carry a `code` of the same family.
 */
export class FcddError extends Error {
  readonly code: string;
  readonly hint: string | undefined;

  constructor(code: FcddErrorCode, message: string, options: { hint?: string; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'FcddError';
    this.code = code;
    this.hint = options.hint;
  }
}

export type FcddErrorCode =
  | 'FCDD_INVALID_ARGUMENT'
  | 'FCDD_NOT_FOUND'
  | 'FCDD_BAD_IMAGE'
  | 'FCDD_BAD_DATA'
  | 'FCDD_BAD_MODEL'
  | 'FCDD_BAD_CHECKPOINT'
  | 'FCDD_NO_DEVICE'
  | 'FCDD_NO_ADDON'
  | 'FCDD_OUT_OF_MEMORY'
  | 'FCDD_DEVICE'
  | 'FCDD_DISK'
  | 'FCDD_NETWORK'
  | 'FCDD_ABORTED'
  | 'FCDD_USAGE';

/** Whether an error says that a signal stopped the call. */
export const isAbort = (error: unknown): boolean =>
  (error as { code?: unknown } | null | undefined)?.code === 'FCDD_ABORTED';
