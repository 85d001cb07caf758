/** Which side of this process an error came from. `downstream` is the peer that opened the connection. */
export type ErrorOrigin = 'downstream' | 'upstream' | 'local'

/** Whether trying again can help: `if-reused` means only when the connection that failed had served before. */
export type ErrorRetry = 'no' | 'yes' | 'if-reused'

export interface CodedErrorInit {
  /** @default 'local' */
  readonly origin?: ErrorOrigin
  /** @default 'no' */
  readonly retry?: ErrorRetry
  readonly cause?: unknown
  /** The thing that failed, as an operator names it: `endpoint 10.244.1.7:8080`. */
  readonly where?: string
  /** The command or act that helps, shown to people as the last line of the error. */
  readonly next?: string
}

/**
 * An operating error: something outside this code went wrong and a caller can act on `code`.
 * Denials, missing routes and the like are verdicts (values), never errors.
 */
export class CodedError extends Error {
  readonly code: string
  readonly origin: ErrorOrigin
  readonly retry: ErrorRetry
  readonly where: string | undefined
  readonly next: string | undefined

  constructor(code: string, message: string, init: CodedErrorInit = {}) {
    super(message, init.cause === undefined ? undefined : { cause: init.cause })
    this.name = 'CodedError'
    this.code = code
    this.origin = init.origin ?? 'local'
    this.retry = init.retry ?? 'no'
    this.where = init.where
    this.next = init.next
  }

  /** The same error as a level that knows more would tell it. */
  at(where: string): CodedError {
    return new CodedError(this.code, `${where}: ${this.message}`, { ...this, where, cause: this })
  }

  static is(error: unknown, code?: string): error is CodedError {
    return error instanceof CodedError && (code === undefined || error.code === code)
  }
}

/** A broken invariant of ours. Never caught and carried on from: the process ends. */
export class BugError extends Error {
  override readonly name = 'BugError'
}

/** @throws BugError when `condition` does not hold */
export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new BugError(message)
}

/** Marks a branch that the types say cannot be reached. */
export function unreachable(value: never, what = 'value'): never {
  throw new BugError(`unreachable ${what}: ${JSON.stringify(value)}`)
}

/** The text of anything thrown, causes left out. */
export function errorMessage(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

/** The `code` of a Node system error (`ECONNREFUSED`) or of a CodedError, if it has one. */
export function errorCode(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null || !('code' in error)) return undefined
  return typeof error.code === 'string' ? error.code : undefined
}
