import { type CancelTimer, type Clock, every, type Random } from '@ambient-lab/std'
import { formatTraceparent, parseTraceparent, type TraceContext } from '@ambient-lab/telemetry'
import type { TracingConfig } from '@ambient-lab/xds'
import { formatAddress } from '../address.ts'
import type { HeaderMap } from '../http1/index.ts'
import { SPANS_QUEUED_MAX } from './limits.ts'
import { hex8 } from './random-id.ts'
import type { RequestRecord } from './request-record.ts'

/** Span contexts of a request: reads what came in, writes what goes on. */
export class Tracing {
  readonly #random: Random
  readonly #samplingShare: number

  constructor(components: { readonly random: Random }, config: TracingConfig) {
    this.#random = components.random
    this.#samplingShare = config.randomSamplingPercent / 100
  }

  /** Gives the request a span: a child of the caller's, or the first of a new trace. Headers tell the backend of it. */
  begin(record: RequestRecord, headers: HeaderMap): void {
    const parent = extract(headers)
    record.traceId = parent?.traceId ?? this.#id(32)
    record.parentSpanId = parent?.spanId ?? ''
    record.spanId = this.#id(16)
    record.isSampled = parent ? (parent.flags & 1) === 1 : this.#random.next() < this.#samplingShare
    const { traceId, spanId, isSampled } = record
    const flags = isSampled ? 1 : 0
    if (headers.has('b3')) headers.set('b3', `${traceId}-${spanId}-${flags}`)
    if (headers.has('x-b3-traceid')) {
      headers.set('x-b3-traceid', traceId)
      headers.set('x-b3-spanid', spanId)
      headers.set('x-b3-sampled', String(flags))
      if (record.parentSpanId !== '') headers.set('x-b3-parentspanid', record.parentSpanId)
    }
    headers.set('traceparent', formatTraceparent({ traceId, spanId, flags }))
  }

  #id(digits: 16 | 32): string {
    let id = ''
    while (id.length < digits) id += hex8(this.#random)
    // Ids of zeros only are forbidden.
    return `${id.slice(0, -1)}1`
  }
}

/** W3C's header first, then B3's single one, then its several. */
export function extract(headers: HeaderMap): TraceContext | undefined {
  const traceparent = headers.get('traceparent')
  const w3c = traceparent === undefined ? undefined : parseTraceparent(traceparent)
  if (w3c) return w3c
  const single = headers.get('b3')
  if (single !== undefined) return parseB3(single)
  const traceId = headers.get('x-b3-traceid')
  const spanId = headers.get('x-b3-spanid')
  if (traceId === undefined || spanId === undefined) return undefined
  const sampled = headers.get('x-b3-flags') === '1' ? 'd' : (headers.get('x-b3-sampled') ?? '')
  return parseB3(`${traceId}-${spanId}-${sampled}`)
}

const B3 = /^([0-9a-f]{16}|[0-9a-f]{32})-([0-9a-f]{16})(?:-(1|0|d|true|false)?(?:-[0-9a-f]{16})?)?$/i

/** @see https://github.com/openzipkin/b3-propagation#single-header */
export function parseB3(text: string): TraceContext | undefined {
  const match = text.length > 100 ? null : B3.exec(text)
  if (!match) return undefined
  const [, traceId, spanId, sampled = ''] = match
  const isSampled = sampled === '1' || sampled === 'd' || sampled === 'true'
  return { traceId: traceId!.toLowerCase().padStart(32, '0'), spanId: spanId!.toLowerCase(), flags: isSampled ? 1 : 0 }
}

/** How often spans are sent. */
const EXPORT_PERIOD_MS = 1_000

export interface SpanExporterComponents {
  readonly clock: Clock
  /** Sends one OTLP/HTTP request; a failure is the exporter's to count, spans are not sent twice. */
  readonly post: (endpoint: string, body: string) => Promise<void>
}

/** Spans as OTLP/HTTP JSON, sent together. */
export class SpanExporter implements Disposable {
  readonly #components: SpanExporterComponents
  readonly #config: TracingConfig
  readonly #cluster: string
  readonly #stop: CancelTimer
  #spans: { readonly service: string; readonly span: object }[] = []
  dropped = 0

  /** @param cluster of the lab, a standard tag */
  constructor(components: SpanExporterComponents, config: TracingConfig, cluster: string) {
    this.#components = components
    this.#config = config
    this.#cluster = cluster
    this.#stop = every(components.clock, EXPORT_PERIOD_MS, () => void this.flush())
  }

  add(record: RequestRecord): void {
    if (this.#spans.length >= SPANS_QUEUED_MAX) {
      this.#spans.shift()
      this.dropped += 1
    }
    this.#spans.push({ service: serviceOf(record), span: this.#spanOf(record) })
  }

  async flush(): Promise<void> {
    const spans = this.#spans
    if (spans.length === 0) return
    this.#spans = []
    const services = [...new Set(spans.map(({ service }) => service))]
    const resourceSpans = services.map((name) => ({
      resource: { attributes: [attribute('service.name', name)] },
      scopeSpans: [
        {
          scope: { name: 'ambient-lab' },
          spans: spans.flatMap(({ service, span }) => (service === name ? [span] : [])),
        },
      ],
    }))
    try {
      await this.#components.post(this.#config.endpoint, JSON.stringify({ resourceSpans }))
    } catch {
      this.dropped += spans.length
    }
  }

  [Symbol.dispose](): void {
    this.#stop()
  }

  #spanOf(record: RequestRecord): object {
    const { peer, upstreamHost } = record
    const tags: Record<string, string> = {
      'http.method': record.method,
      'http.url': `${peer.scheme}://${record.authority}${record.path}`,
      'http.protocol': record.protocol,
      'http.status_code': String(record.status),
      request_size: String(record.bytesReceived),
      response_size: String(record.bytesSent),
      response_flags: record.flags,
      upstream_cluster: record.cluster,
      'upstream_cluster.name': record.cluster,
      'peer.address': peer.address.address,
      'guid:x-request-id': record.requestId,
      'istio.cluster_id': this.#cluster,
      'istio.source_workload': peer.workload?.workloadName ?? '',
      'istio.source_namespace': peer.workload?.namespace ?? '',
      'istio.destination_workload': upstreamHost?.workload?.workloadName ?? '',
      'istio.destination_namespace': upstreamHost?.workload?.namespace ?? '',
      'istio.destination_service': peer.service?.hostname ?? formatAddress(peer.local),
      ...this.#config.customTags,
    }
    const startNanos = BigInt(Math.round(record.startedAtMs * 1000)) * 1000n
    const endNanos = startNanos + BigInt(Math.round(record.durationMs * 1000)) * 1000n
    return {
      traceId: record.traceId,
      spanId: record.spanId,
      ...(record.parentSpanId !== '' && { parentSpanId: record.parentSpanId }),
      name: `${peer.service?.hostname ?? record.authority}/*`,
      kind: 2, // SPAN_KIND_SERVER
      startTimeUnixNano: String(startNanos),
      endTimeUnixNano: String(endNanos),
      attributes: Object.entries(tags).flatMap(([key, value]) => (value === '' ? [] : [attribute(key, value)])),
      status: record.status >= 500 || record.status === 0 ? { code: 2 } : {},
    }
  }
}

/** Istio names the span's service after the destination, not after the proxy. */
function serviceOf({ peer, authority }: RequestRecord): string {
  return peer.service ? `${peer.service.name}.${peer.service.namespace}` : authority
}

function attribute(key: string, stringValue: string): object {
  return { key, value: { stringValue } }
}
