import type { DryRunResult } from '@ambient-lab/policy'
import type { Random } from '@ambient-lab/std'
import {
  formatTraceparent,
  OtlpSpanExporter,
  type OtlpSpanExporterComponents,
  parseTraceparent,
  propagatedTracestate,
  SPAN_KIND,
  type Span,
  TRACE_FLAG,
  type TraceContext,
} from '@ambient-lab/telemetry'
import type { TracingConfig } from '@ambient-lab/xds'
import { formatAddress } from '../address.ts'
import type { HeaderMap } from '../http1/index.ts'
import { hex8 } from '../random-id.ts'
import type { RequestRecord } from './request-record.ts'

/** Where in a trace a request stands. */
export interface SpanContext {
  readonly traceId: string
  readonly spanId: string
  /** Empty: the first of its trace. */
  readonly parentSpanId: string
  readonly isSampled: boolean
}

/** Span contexts of a request: reads what came in, writes what goes on. */
export class Tracing {
  readonly #random: Random
  readonly #samplingShare: number

  constructor(components: { readonly random: Random }, config: TracingConfig) {
    this.#random = components.random
    this.#samplingShare = config.randomSamplingPercent / 100
  }

  /** Gives the request a span. */
  begin(record: RequestRecord, headers: HeaderMap): void {
    const { traceId, spanId, parentSpanId, isSampled } = this.propagate(headers)
    record.traceId = traceId
    record.spanId = spanId
    record.parentSpanId = parentSpanId
    record.isSampled = isSampled
  }

  /** A child of the caller's span, or the first of a new trace; the headers tell the backend of it from now on. */
  propagate(headers: HeaderMap): SpanContext {
    const parent = extract(headers)
    const traceId = parent?.traceId ?? this.#id(32)
    const parentSpanId = parent?.spanId ?? ''
    const spanId = this.#id(16)
    const isSampled = parent ? (parent.flags & TRACE_FLAG.sampled) !== 0 : this.#random.next() < this.#samplingShare
    const sampled = isSampled ? TRACE_FLAG.sampled : 0
    if (headers.has('b3')) headers.set('b3', `${traceId}-${spanId}-${sampled}`)
    if (headers.has('x-b3-traceid')) {
      headers.set('x-b3-traceid', traceId)
      headers.set('x-b3-spanid', spanId)
      headers.set('x-b3-sampled', String(sampled))
      if (parentSpanId !== '') headers.set('x-b3-parentspanid', parentSpanId)
    }
    const random = (parent?.flags ?? 0) & TRACE_FLAG.random
    headers.set('traceparent', formatTraceparent({ traceId, spanId, flags: sampled | random }))
    const state = headers.getJoined('tracestate')
    if (state === undefined) return { traceId, spanId, parentSpanId, isSampled }
    // It belongs to the trace: with a new one it ends.
    const next = parent && propagatedTracestate(state)
    if (next === undefined) headers.delete('tracestate')
    else headers.set('tracestate', next)
    return { traceId, spanId, parentSpanId, isSampled }
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
  // Two of them are none.
  const traceparent = headers.getJoined('traceparent')
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

/** Spans of the requests of one proxy. */
export class SpanExporter implements Disposable {
  readonly #exporter: OtlpSpanExporter
  readonly #config: TracingConfig
  readonly #cluster: string

  /** @param cluster of the lab, a standard tag */
  constructor(components: OtlpSpanExporterComponents, config: TracingConfig, cluster: string) {
    this.#exporter = new OtlpSpanExporter(components, config.endpoint)
    this.#config = config
    this.#cluster = cluster
  }

  get dropped(): number {
    return this.#exporter.dropped
  }

  add(record: RequestRecord): void {
    this.#exporter.add(this.#spanOf(record))
  }

  flush(): Promise<void> {
    return this.#exporter.flush()
  }

  [Symbol.dispose](): void {
    this.#exporter[Symbol.dispose]()
  }

  #spanOf(record: RequestRecord): Span {
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
      ...dryRunTags(record.dryRuns),
      ...customTags(this.#config.customTags, record.requestHeaders),
    }
    return {
      service: serviceOf(record),
      traceId: record.traceId,
      spanId: record.spanId,
      parentSpanId: record.parentSpanId,
      name: `${peer.service?.hostname ?? record.authority}/*`,
      kind: peer.side === 'outbound' ? SPAN_KIND.client : SPAN_KIND.server,
      startedAtMs: record.startedAtMs,
      durationMs: record.durationMs,
      attributes: tags,
      isError: record.status >= 500 || record.status === 0,
    }
  }
}

function customTags(
  tags: TracingConfig['customTags'],
  headers: HeaderMap | undefined,
): Readonly<Record<string, string>> {
  const found: Record<string, string> = {}
  for (const [tag, source] of Object.entries(tags)) {
    const value = typeof source === 'string' ? source : (headers?.get(source.header) ?? source.defaultValue)
    if (value) found[tag] = value
  }
  return found
}

/** As istiod has Envoy's shadow rules tagged (ambient.md §5.10). */
export function dryRunTags(results: DryRunResult | undefined): Readonly<Record<string, string>> {
  const tags: Record<string, string> = {}
  for (const action of ['allow', 'deny'] as const) {
    const shadow = results?.[action]
    if (!shadow) continue
    const prefix = `istio.authorization.dry_run.${action}_policy`
    if (shadow.policy !== undefined) tags[`${prefix}.name`] = shadow.policy
    tags[`${prefix}.result`] = shadow.result
  }
  return tags
}

/** Istio names the span's service after the destination, not after the proxy. */
function serviceOf({ peer, authority }: RequestRecord): string {
  return peer.service ? `${peer.service.name}.${peer.service.namespace}` : authority
}
