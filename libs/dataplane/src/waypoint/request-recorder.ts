import type { Clock } from '@ambient-lab/std'
import type { RequestEdges } from '../sidecar/request-edges.ts'
import type { GrpcMessageSeries } from './grpc-message-series.ts'
import { ALL_METRICS, type MetricSwitches } from './metric-switches.ts'
import type { LineOf } from './request-log.ts'
import type { DownstreamPeer, RequestRecord } from './request-record.ts'
import type { RequestSeries } from './request-series.ts'
import type { TagRewriting } from './tag-rewriting.ts'
import type { TcpSeries } from './tcp-series.ts'
import type { SpanExporter, Tracing } from './tracing.ts'

export interface RequestRecorderComponents {
  readonly clock: Clock
  readonly series: RequestSeries
  readonly messageSeries: GrpcMessageSeries
  readonly tcpSeries: TcpSeries
  /** Of a sidecar. */
  readonly edges?: RequestEdges | undefined
  /** Takes lines without their ends. */
  readonly logSink: (line: string) => void
}

/** What is told of one side of a proxy. */
export interface Telling {
  /** Undefined: the log is off. */
  readonly lineOf: LineOf | undefined
  /** Undefined: trace headers pass as they are. */
  readonly tracing: Tracing | undefined
  readonly spans: SpanExporter | undefined
  readonly metrics: MetricSwitches
  /** Undefined: labels are Istio's. */
  readonly tags: TagRewriting | undefined
}

const NOTHING: Telling = {
  lineOf: undefined,
  tracing: undefined,
  spans: undefined,
  metrics: ALL_METRICS,
  tags: undefined,
}

/** Tells about each request once, when it is over: metrics, a line, a span. */
export class RequestRecorder {
  readonly #components: RequestRecorderComponents
  #telling = NOTHING
  /** At a sidecar: of what its workload calls. */
  #outbound = NOTHING

  constructor(components: RequestRecorderComponents) {
    this.#components = components
  }

  /** Swapped with the proxy's configuration; who exported spans before stops. */
  tell(telling: Telling = NOTHING, outbound = telling): void {
    for (const before of new Set([this.#telling, this.#outbound])) before.spans?.[Symbol.dispose]()
    this.#telling = telling
    this.#outbound = outbound
  }

  tellingOf({ side }: DownstreamPeer): Telling {
    return side === 'outbound' ? this.#outbound : this.#telling
  }

  /** A connection whose bytes nobody reads stands, or will not; `finish` tells its end. */
  opened(record: RequestRecord): void {
    this.#components.tcpSeries.opened(record)
    this.#components.edges?.opened(record)
  }

  /** A gRPC call goes on. */
  began(record: RequestRecord): void {
    this.#components.messageSeries.began(record)
  }

  finish(record: RequestRecord): void {
    const { clock, series, messageSeries, tcpSeries, edges, logSink } = this.#components
    record.durationMs = clock.monotonic() - record.startedMs
    if (record.protocol === '-') tcpSeries.closed(record)
    else series.count(record)
    edges?.finished(record)
    if (record.isGrpc) messageSeries.ended(record)
    const { lineOf, spans } = this.tellingOf(record.peer)
    const line = lineOf?.(record)
    if (line !== undefined) logSink(line)
    if (record.isSampled) spans?.add(record)
  }
}
