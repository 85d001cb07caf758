import { CodedError, type ErrorOrigin, errorCode, errorMessage } from '@ambient-lab/std'

/** The peer, or the network between, cut the stream: both directions are gone, bytes on the way are lost. */
export const STREAM_RESET = 'STREAM_RESET'
/** The system refused to go on with a socket for another reason; the cause tells it. */
export const STREAM_FAILED = 'STREAM_FAILED'
/** The destination went away before it took every byte that was meant for it. */
export const UPSTREAM_DISCONNECTED = 'UPSTREAM_DISCONNECTED'
/** The client went away before it took every byte that was meant for it. */
export const DOWNSTREAM_DISCONNECTED = 'DOWNSTREAM_DISCONNECTED'
/** Nothing listens there, or no route leads there. */
export const CONNECT_FAILED = 'CONNECT_FAILED'
/** No answer in time. */
export const CONNECT_TIMEOUT = 'CONNECT_TIMEOUT'
/** The port to listen on is taken. */
export const ADDRESS_IN_USE = 'ADDRESS_IN_USE'

/** What a peer that simply goes away looks like, depending on what we were doing at that moment. */
const RESET_CODES: ReadonlySet<string> = new Set(['ECONNRESET', 'EPIPE', 'ECONNABORTED', 'ENOTCONN'])

/** A socket's error as one of ours, by its code and never by its text. */
export function socketError(error: unknown, origin: ErrorOrigin = 'local'): CodedError {
  if (CodedError.is(error)) return error
  const code = RESET_CODES.has(errorCode(error) ?? '') ? STREAM_RESET : STREAM_FAILED
  return new CodedError(code, errorMessage(error), { origin, cause: error })
}
