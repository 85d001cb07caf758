import type { Counter, MetricFamily } from '@ambient-lab/telemetry'
import type { StandardMetric } from '@ambient-lab/xds'
import { END_LABELS, endLabels, securityPolicy } from './end-labels.ts'
import { ALL_METRICS } from './metric-switches.ts'
import type { RequestRecord } from './request-record.ts'
import type { RequestSeriesInit } from './request-series.ts'

const LABELS = [...END_LABELS, 'request_protocol', 'response_flags', 'connection_security_policy'] as const

type Label = (typeof LABELS)[number]
type Family = MetricFamily<Label, Counter>

/** `istio_tcp_*` of connections whose bytes nobody reads. One that is refused counts as opened and closed, as at Envoy. */
export class TcpSeries {
  readonly #reporter: RequestSeriesInit['reporter']
  readonly #switches: NonNullable<RequestSeriesInit['switches']>
  readonly #opened: Family
  readonly #closed: Family
  readonly #sent: Family
  readonly #received: Family
  readonly #tags: RequestSeriesInit['tags']
  /** Of connections that are open: what their expressions were when they were told of first. */
  readonly #values = new WeakMap<RequestRecord, readonly string[]>()

  constructor({ metrics, reporter, switches = () => ALL_METRICS, tags }: RequestSeriesInit) {
    const counter = (name: string, help: string) => metrics.counter({ name: `istio_tcp_${name}`, help, labels: LABELS })
    this.#reporter = reporter
    this.#switches = switches
    this.#tags = tags
    this.#opened = counter('connections_opened_total', 'The total number of TCP connections opened')
    this.#closed = counter('connections_closed_total', 'The total number of TCP connections closed')
    this.#sent = counter('sent_bytes_total', 'The size of total bytes sent during response in case of a TCP connection')
    this.#received = counter(
      'received_bytes_total',
      'The size of total bytes received during request in case of a TCP connection',
    )
  }

  opened(record: RequestRecord): void {
    if (!this.#switches(record.peer).TCP_OPENED_CONNECTIONS) return
    this.#handle(this.#opened, 'TCP_OPENED_CONNECTIONS', record, this.#labelsOf(record)).inc()
  }

  /** A connection that `opened` was told of is over. */
  closed(record: RequestRecord): void {
    const labels = this.#labelsOf(record)
    const on = this.#switches(record.peer)
    if (on.TCP_CLOSED_CONNECTIONS) this.#handle(this.#closed, 'TCP_CLOSED_CONNECTIONS', record, labels).inc()
    if (on.TCP_SENT_BYTES) this.#handle(this.#sent, 'TCP_SENT_BYTES', record, labels).inc(record.bytesSent)
    if (on.TCP_RECEIVED_BYTES) {
      this.#handle(this.#received, 'TCP_RECEIVED_BYTES', record, labels).inc(record.bytesReceived)
    }
  }

  #handle(
    family: Family,
    metric: StandardMetric,
    record: RequestRecord,
    labels: Readonly<Record<Label, string>>,
  ): Counter {
    const tags = this.#tags?.(record.peer)
    if (!tags) return family.labels(labels)
    let values = this.#values.get(record)
    if (!values) {
      values = tags.evaluate(record)
      this.#values.set(record, values)
    }
    return tags.handle(family, metric, labels, values)
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
