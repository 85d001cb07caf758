import { CodedError, errorMessage } from '@ambient-lab/std'
import { CONNECT_TIMEOUT } from '../../stream/errors.ts'
import type { ResetReason } from '../router/retries.ts'

/** A dial's error in Envoy's words. Anything but a CodedError is a bug, and thrown. */
export function dialFailure(error: unknown): { readonly reason: ResetReason; readonly failure: string } {
  if (!CodedError.is(error)) throw error
  const reason = error.code === CONNECT_TIMEOUT ? 'connection timeout' : 'remote connection failure'
  return { reason, failure: errorMessage(error) }
}

export function connectTimeout(timeoutMs: number): CodedError {
  return new CodedError(CONNECT_TIMEOUT, `no answer in ${timeoutMs} ms`, { origin: 'upstream' })
}
