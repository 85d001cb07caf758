import type { Clock } from '@ambient-lab/std'
import type { RequestEdges } from '../sidecar/request-edges.ts'
import type { GrpcMessageSeries } from './grpc-message-series.ts'
import type { LineOf } from './request-log.ts'
import type { RequestRecord } from './request-record.ts'
import type { RequestSeries } from './request-series.ts'
import type { TcpSeries } from './tcp-series.ts'
import type { SpanExporter } from './tracing.ts'

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

/** Tells about each request once, when it is over: metrics, a line, a span. */
export class RequestRecorder {
  readonly #components: RequestRecorderComponents
  /** Undefined: the log is off. Swapped with the proxy's configuration. */
  lineOf: LineOf | undefined
  spans: SpanExporter | undefined

  constructor(components: RequestRecorderComponents) {
    this.#components = components
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
    if (this.lineOf) logSink(this.lineOf(record))
    if (record.isSampled) this.spans?.add(record)
  }
}
