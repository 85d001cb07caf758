import type { Random } from '@ambient-lab/std'
import { parseTraceparent, SPAN_KIND, type Span } from '@ambient-lab/telemetry'
import type { Workload } from '@ambient-lab/xds'
import { formatAddress } from '../address.ts'
import { type ConnectionRecord, identityText } from './connection-record.ts'
import { newSpanId } from './forwarded.ts'

export interface ConnectionSpansComponents {
  readonly exporter: { add(span: Span): void }
  readonly random: Random
}

/**
 * Spans of connections, out of the trace context that HBONE carries: the source's, and the destination's below it. Istio's
 * ztunnel sends the context and records nothing.
 */
export class ConnectionSpans {
  readonly #components: ConnectionSpansComponents
  readonly #samplingShare: number

  /** @param samplingPercent of the connections that begin here; those that arrive follow the flag of their context */
  constructor(components: ConnectionSpansComponents, samplingPercent: number) {
    this.#components = components
    this.#samplingShare = samplingPercent / 100
  }

  /** Whether a connection that begins now is to have spans. */
  draw(): boolean {
    return this.#components.random.next() < this.#samplingShare
  }

  /** For a connection that is over. */
  record(record: ConnectionRecord): void {
    const { opening } = record
    const context = parseTraceparent(opening.traceparent)
    if (!context || (context.flags & 1) === 0) return
    const isSource = opening.direction === 'outbound'
    const target = opening.service?.hostname ?? formatAddress(opening.destinationAddress)
    this.#components.exporter.add({
      service: serviceOf(isSource ? opening.source : opening.destination),
      traceId: context.traceId,
      spanId: isSource ? context.spanId : newSpanId(this.#components.random),
      parentSpanId: isSource ? '' : context.spanId,
      name: `${opening.direction} ${target}`,
      kind: isSource ? SPAN_KIND.client : SPAN_KIND.server,
      startedAtMs: record.openedAtMs,
      durationMs: record.durationMs,
      attributes: attributesOf(record),
      isError: record.error !== '',
    })
  }
}

/** Names are the access log's. */
function attributesOf({ opening, counts, flag, error }: ConnectionRecord): Record<string, string> {
  const { source, destination, service, hboneAddress } = opening
  return {
    'src.addr': formatAddress(opening.sourceAddress),
    'src.workload': source?.name ?? '',
    'src.namespace': source?.namespace ?? '',
    'src.identity': identityText(source, opening.sourceIdentity),
    'dst.addr': formatAddress(opening.destinationAddress),
    'dst.hbone_addr': hboneAddress ? formatAddress(hboneAddress) : '',
    'dst.service': service?.hostname ?? '',
    'dst.workload': destination?.name ?? '',
    'dst.namespace': destination?.namespace ?? '',
    'dst.identity': identityText(destination, opening.destinationIdentity),
    'network.transport': 'tcp',
    bytes_sent: String(counts.bytesSent),
    bytes_recv: String(counts.bytesReceived),
    response_flags: flag,
    error,
  }
}

function serviceOf(workload: Workload | undefined): string {
  return workload ? `${workload.canonicalName || workload.name}.${workload.namespace}` : 'unknown'
}
