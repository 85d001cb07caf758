import type { BucketHistogram, Counter, MetricFamily, MetricsRegistry } from '@ambient-lab/telemetry'
import { END_LABELS, endLabels, type Reporter, securityPolicy } from './end-labels.ts'
import { EndsCache } from './ends-cache.ts'
import { lazy } from './lazy.ts'
import { ALL_METRICS, type MetricSwitches } from './metric-switches.ts'
import type { DownstreamPeer, RequestRecord } from './request-record.ts'

const LABELS = [
  ...END_LABELS,
  'request_protocol',
  'response_code',
  'grpc_response_status',
  'response_flags',
  'connection_security_policy',
] as const

type Label = (typeof LABELS)[number]
type Labels = Readonly<Record<Label, string>>

/** Envoy's buckets, ms and bytes alike. @see ambient.md §9.2 */
const BUCKETS = [
  ...[0.5, 1, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 30_000, 60_000, 300_000, 600_000],
  ...[1_800_000, 3_600_000],
]

/** Each made when it is told of for the first time: a metric that is off has no series. */
interface Handles {
  readonly requests: () => Counter
  readonly duration: () => BucketHistogram
  readonly requestBytes: () => BucketHistogram
  readonly responseBytes: () => BucketHistogram
}

export interface RequestSeriesInit {
  readonly metrics: MetricsRegistry
  /** Asked when a series begins. */
  readonly reporter: (peer: DownstreamPeer) => Reporter
  /** @default all are told */
  readonly switches?: (peer: DownstreamPeer) => MetricSwitches
}

/** `istio_requests_total` and the histograms beside it. Label texts are made once per pair of ends and outcome. */
export class RequestSeries {
  readonly #reporter: RequestSeriesInit['reporter']
  readonly #switches: NonNullable<RequestSeriesInit['switches']>
  readonly #requests: MetricFamily<Label, Counter>
  readonly #duration: MetricFamily<Label, BucketHistogram>
  readonly #requestBytes: MetricFamily<Label, BucketHistogram>
  readonly #responseBytes: MetricFamily<Label, BucketHistogram>
  /** For each pair of ends by outcome. */
  readonly #handles = new EndsCache(() => new Map<string | number, Handles>())

  constructor({ metrics, reporter, switches = () => ALL_METRICS }: RequestSeriesInit) {
    const histogram = (name: string, help: string) =>
      metrics.histogram({ name: `istio_${name}`, help, labels: LABELS, buckets: BUCKETS })
    this.#reporter = reporter
    this.#switches = switches
    this.#requests = metrics.counter({
      name: 'istio_requests_total',
      help: 'The total number of requests',
      labels: LABELS,
    })
    this.#duration = histogram('request_duration_milliseconds', 'The duration of requests in milliseconds')
    this.#requestBytes = histogram('request_bytes', 'The size of the bodies of requests')
    this.#responseBytes = histogram('response_bytes', 'The size of the bodies of responses')
  }

  count(record: RequestRecord): void {
    const { requests, duration, requestBytes, responseBytes } = this.#handlesOf(record)
    const on = this.#switches(record.peer)
    if (on.REQUEST_COUNT) requests().inc()
    if (on.REQUEST_DURATION) duration().observe(record.durationMs)
    if (on.REQUEST_SIZE) requestBytes().observe(record.bytesReceived)
    if (on.RESPONSE_SIZE) responseBytes().observe(record.bytesSent)
  }

  #handlesOf(record: RequestRecord): Handles {
    const handlesOfEnds = this.#handles.of(record)
    const outcome = outcomeOf(record)
    let handles = handlesOfEnds.get(outcome)
    if (!handles) {
      const labels = this.#labelsOf(record)
      handles = {
        requests: lazy(() => this.#requests.labels(labels)),
        duration: lazy(() => this.#duration.labels(labels)),
        requestBytes: lazy(() => this.#requestBytes.labels(labels)),
        responseBytes: lazy(() => this.#responseBytes.labels(labels)),
      }
      handlesOfEnds.set(outcome, handles)
    }
    return handles
  }

  #labelsOf(record: RequestRecord): Labels {
    return {
      ...endLabels(this.#reporter(record.peer), record),
      request_protocol: record.isGrpc ? 'grpc' : 'http',
      response_code: String(record.status),
      grpc_response_status: record.grpcStatus,
      response_flags: record.flags,
      connection_security_policy: securityPolicy(record),
    }
  }
}

/** Most requests are told apart by their status alone: a number needs no text made of it, nor a search for that. */
function outcomeOf({ status, flags, isGrpc, grpcStatus }: RequestRecord): string | number {
  if (isGrpc) return `${status} ${flags} grpc ${grpcStatus}`
  return flags === '-' ? status : `${status} ${flags}`
}
