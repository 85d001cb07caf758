import type { IncomingMessage, ServerResponse } from 'node:http'
import { CodedError, errorMessage } from '@ambient-lab/std'
import type { Reply } from './api-request.ts'
import { internalError, notStored, type Status, StatusError } from './status-error.ts'

/** Warnings beyond these are dropped: a header has its limits, and so has a reader. */
const WARNINGS_MAX = 20
const WARNING_LENGTH_MAX = 256

interface Replying {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly warnings: readonly string[]
}

/** Sends a whole answer. A handler that streams has sent its own, and a caller that went away gets none. */
export function sendReply({ request, response, warnings }: Replying, reply: Reply): void {
  if (reply === 'streamed' || response.destroyed) return
  // Too late for a Status: what was sent cannot be taken back, only cut off.
  if (response.headersSent) return void response.destroy()
  const { status, body, contentType = 'application/json' } = reply
  const headers: Record<string, string | string[] | number> = {
    'Content-Type': contentType,
    'Cache-Control': 'no-cache, private',
    'Content-Length': Buffer.byteLength(body),
  }
  const lines = [...new Set(warnings)].slice(0, WARNINGS_MAX).map(warningHeader)
  if (lines.length > 0) headers.Warning = lines
  // A body that was not read to its end would be taken for the next request.
  if (!request.complete) headers.Connection = 'close'
  response.writeHead(status, headers)
  response.end(body)
}

/** RFC 7234 §5.5: code 299, no agent, a quoted string; header bytes are printable ASCII. */
export function warningHeader(text: string): string {
  const printable = text.replace(/[^\x20-\x7e]+/g, ' ').slice(0, WARNING_LENGTH_MAX)
  return `299 - "${printable.replace(/["\\]/g, '\\$&')}"`
}

/** Anything thrown as a Status. Errors with a code of ours keep their words and say what to do next. */
export function errorReply(error: unknown): Exclude<Reply, 'streamed'> {
  const status = errorStatus(error)
  return { status: status.code, body: JSON.stringify(status) }
}

export function errorStatus(error: unknown): Status {
  return (error instanceof StatusError ? error : refusalOf(error)).toStatus()
}

function refusalOf(error: unknown): StatusError {
  return CodedError.is(error, 'STORE_WRITE_FAILED') ? notStored(textOf(error)) : internalError(textOf(error))
}

function textOf(error: unknown): string {
  if (!(error instanceof CodedError)) return errorMessage(error)
  return error.next === undefined ? error.message : `${error.message}; ${error.next}`
}
