import { CodedError, errorCode } from '@ambient-lab/std'

/** The codes of sysexits.h, as the whole lab uses them. */
export const EXIT = {
  ok: 0,
  usage: 64,
  noInput: 66,
  unavailable: 69,
  internal: 70,
  cannotCreate: 73,
  io: 74,
  protocol: 76,
  permission: 77,
  interrupted: 130,
  terminated: 143,
} as const

const BY_CODE: Readonly<Record<string, number>> = {
  USAGE: EXIT.usage,
  TOKEN_MALFORMED: EXIT.usage,
  TOKEN_MISSING: EXIT.noInput,
  CONTROL_PLANE_UNREACHABLE: EXIT.unavailable,
  JOIN_FAILED: EXIT.unavailable,
  ADDRESS_IN_USE: EXIT.cannotCreate,
  EADDRINUSE: EXIT.cannotCreate,
  EACCES: EXIT.cannotCreate,
  ENOSPC: EXIT.io,
  VERSION_MISMATCH: EXIT.protocol,
  TOKEN_USED: EXIT.permission,
  TOKEN_EXPIRED: EXIT.permission,
  TOKEN_UNKNOWN: EXIT.permission,
  TOKEN_WRONG_NODE: EXIT.permission,
  CA_PIN_MISMATCH: EXIT.permission,
  CERTIFICATE_REFUSED: EXIT.permission,
  NODE_UNKNOWN: EXIT.permission,
  NODE_MISMATCH: EXIT.permission,
  // Another process runs this node now; there can be one.
  REPLACED: EXIT.cannotCreate,
  STATE_UNREADABLE: EXIT.cannotCreate,
  STATE_OF_OTHER_NODE: EXIT.cannotCreate,
}

/** The exit code that an error at start-up, or one that ends the agent, deserves. */
export function exitCodeOf(error: unknown): number {
  return BY_CODE[errorCode(error) ?? ''] ?? EXIT.internal
}

/** What, where and what next, one line each; a bug shows its stack. */
export function describeFatal(error: unknown): string {
  if (CodedError.is(error)) return [error.message, ...(error.next ? [`try: ${error.next}`] : [])].join('\n')
  if (error instanceof Error) return errorCode(error) ? error.message : (error.stack ?? error.message)
  return String(error)
}
