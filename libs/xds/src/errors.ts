import { CodedError } from '@ambient-lab/std'

/** Every code a link or the discovery protocol ends with. `docs/ERRORS.md` has a line for each. */
export type DiscoveryErrorCode =
  /** The other end closed without a word, or the network did. */
  | 'LINK_CLOSED'
  /** No sign of life for LINK_DEAD_AFTER_MS. */
  | 'LINK_DEAD'
  /** The other end does not read. */
  | 'LINK_OVERFLOW'
  /** A message that does not parse, or is larger than MESSAGE_BYTES_MAX. */
  | 'MALFORMED_MESSAGE'
  /** A well-formed message at the wrong time. */
  | 'PROTOCOL_VIOLATION'
  | 'HELLO_TIMEOUT'
  | 'CALL_TIMEOUT'
  | 'SIGN_TIMEOUT'
  | 'CONTROL_PLANE_UNREACHABLE'
  /** A newer connection of the same node took over. */
  | 'REPLACED'
  | 'SHUTTING_DOWN'
  | 'VERSION_MISMATCH'
  | 'NODE_UNKNOWN'
  | 'NODE_MISMATCH'

/** After these an agent does not try again: trying cannot help. */
const FINAL_CODES: ReadonlySet<string> = new Set<DiscoveryErrorCode>([
  'VERSION_MISMATCH',
  'NODE_UNKNOWN',
  'NODE_MISMATCH',
  'REPLACED',
])

export function isFinal(reason: CodedError): boolean {
  return FINAL_CODES.has(reason.code)
}

export function discoveryError(code: DiscoveryErrorCode, message: string, cause?: unknown): CodedError {
  return new CodedError(code, message, { retry: FINAL_CODES.has(code) ? 'no' : 'yes', cause })
}
