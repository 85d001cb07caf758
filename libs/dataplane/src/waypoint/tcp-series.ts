import type { Counter, MetricFamily } from '@ambient-lab/telemetry'
import { END_LABELS, endLabels, securityPolicy } from './end-labels.ts'
import type { RequestRecord } from './request-record.ts'
import type { RequestSeriesInit } from './request-series.ts'

const LABELS = [...END_LABELS, 'request_protocol', 'response_flags', 'connection_security_policy'] as const

type Label = (typeof LABELS)[number]
type Family = MetricFamily<Label, Counter>

/** `istio_tcp_*` of connections whose bytes nobody reads. One that is refused counts as opened and closed, as at Envoy. */
export class TcpSeries {
  readonly #reporter: RequestSeriesInit['reporter']
  readonly #opened: Family
  readonly #closed: Family
  readonly #sent: Family
  readonly #received: Family

  constructor({ metrics, reporter }: RequestSeriesInit) {
    const counter = (name: string, help: string) => metrics.counter({ name: `istio_tcp_${name}`, help, labels: LABELS })
    this.#reporter = reporter
    this.#opened = counter('connections_opened_total', 'The total number of TCP connections opened')
    this.#closed = counter('connections_closed_total', 'The total number of TCP connections closed')
    this.#sent = counter('sent_bytes_total', 'The size of total bytes sent during response in case of a TCP connection')
    this.#received = counter(
      'received_bytes_total',
      'The size of total bytes received during request in case of a TCP connection',
    )
  }

  opened(record: RequestRecord): void {
    this.#opened.labels(this.#labelsOf(record)).inc()
  }

  /** A connection that `opened` was told of is over. */
  closed(record: RequestRecord): void {
    const labels = this.#labelsOf(record)
    this.#closed.labels(labels).inc()
    this.#sent.labels(labels).inc(record.bytesSent)
    this.#received.labels(labels).inc(record.bytesReceived)
  }

  #labelsOf(record: RequestRecord): Readonly<Record<Label, string>> {
    return {
      ...endLabels(this.#reporter(record.peer), record),
      request_protocol: 'tcp',
      response_flags: record.flags,
      connection_security_policy: securityPolicy(record),
    }
  }
}
