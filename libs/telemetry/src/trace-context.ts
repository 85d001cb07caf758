import { TRACEPARENT_CHARACTERS_MAX } from './limits.ts'

/** Where in a trace a connection or request stands. */
export interface TraceContext {
  /** 32 hex digits, lower case, not all zero. */
  readonly traceId: string
  /** 16 hex digits, lower case, not all zero; `parent-id` in the standard's words. */
  readonly spanId: string
  /** One byte; see TRACE_FLAG. */
  readonly flags: number
}

/** The flags that version 00 knows; others are cleared when a context is passed on. */
export const TRACE_FLAG = { sampled: 0x01, random: 0x02 } as const

/** Random bytes for ids: `randomBytes` of node:crypto, or a seeded source in a simulation. */
export type ByteSource = (count: number) => Uint8Array

const TRACEPARENT = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/
const INVALID_VERSION = 'ff'
const ZEROS = /^0+$/

/**
 * Reads a `traceparent` of version 00, or the part of a later version that looks like it.
 * @returns undefined for what the standard calls invalid: the caller starts a new trace then
 * @see https://www.w3.org/TR/trace-context/#traceparent-header
 */
export function parseTraceparent(text: string): TraceContext | undefined {
  if (text.length > TRACEPARENT_CHARACTERS_MAX) return undefined
  const [, version, traceId, spanId, flags, rest] = TRACEPARENT.exec(text.replace(/^[ \t]+|[ \t]+$/g, '')) ?? []
  if (!traceId || !spanId || !flags || version === INVALID_VERSION) return undefined
  if (version === '00' && rest !== undefined) return undefined
  if (ZEROS.test(traceId) || ZEROS.test(spanId)) return undefined
  return { traceId, spanId, flags: Number.parseInt(flags, 16) }
}

/** Always version 00, whatever version came in. */
export function formatTraceparent({ traceId, spanId, flags }: TraceContext): string {
  const known = flags & (TRACE_FLAG.sampled | TRACE_FLAG.random)
  return `00-${traceId}-${spanId}-${known.toString(16).padStart(2, '0')}`
}

/** The start of a trace. @param flags ztunnel sends 00: not sampled */
export function newTraceContext(bytes: ByteSource, flags = 0): TraceContext {
  return { traceId: newId(bytes, 16), spanId: newId(bytes, 8), flags }
}

/** The next hop of the same trace. */
export function childOf(parent: TraceContext, bytes: ByteSource): TraceContext {
  return { ...parent, spanId: newId(bytes, 8) }
}

function newId(bytes: ByteSource, count: number): string {
  const id = Buffer.from(bytes(count))
  if (id.every((byte) => byte === 0)) id[count - 1] = 1
  return id.toString('hex')
}
