import type { BucketHistogram, Counter, MetricFamily, MetricsRegistry } from '@ambient-lab/telemetry'
import type { HistogramMetric, StandardMetric } from '@ambient-lab/xds'
import { END_LABELS, endLabels, type Reporter, securityPolicy } from './end-labels.ts'
import { EndsCache } from './ends-cache.ts'
import { lazy } from './lazy.ts'
import { REQUEST_SERIES_MAX } from './limits.ts'
import { ALL_METRICS, type MetricSwitches } from './metric-switches.ts'
import type { DownstreamPeer, RequestRecord } from './request-record.ts'
import { OUTCOME_LABELS, type TagRewriting } from './tag-rewriting.ts'

const LABELS = [...END_LABELS, ...OUTCOME_LABELS] as const

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
  /** @default labels are Istio's */
  readonly tags?: (peer: DownstreamPeer) => TagRewriting | undefined
  /** Asked when a series begins. @default Istio's */
  readonly buckets?: (metric: HistogramMetric) => readonly number[] | undefined
}

/** Handles of one TagRewriting, for each pair of ends by outcome and values. */
interface RewrittenHandles {
  readonly ofEnds: EndsCache<Map<string, Handles>>
  count: number
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
  readonly #tags: RequestSeriesInit['tags']
  /** A cache, so that those of a configuration that is gone go with it. */
  readonly #rewritten = new WeakMap<TagRewriting, RewrittenHandles>()

  constructor({ metrics, reporter, switches = () => ALL_METRICS, tags, buckets }: RequestSeriesInit) {
    const histogram = (metric: HistogramMetric, name: string, help: string) =>
      metrics.histogram({
        name: `istio_${name}`,
        help,
        labels: LABELS,
        buckets: () => buckets?.(metric) ?? BUCKETS,
      })
    this.#reporter = reporter
    this.#switches = switches
    this.#tags = tags
    this.#requests = metrics.counter({
      name: 'istio_requests_total',
      help: 'The total number of requests',
      labels: LABELS,
    })
    this.#duration = histogram(
      'REQUEST_DURATION',
      'request_duration_milliseconds',
      'The duration of requests in milliseconds',
    )
    this.#requestBytes = histogram('REQUEST_SIZE', 'request_bytes', 'The size of the bodies of requests')
    this.#responseBytes = histogram('RESPONSE_SIZE', 'response_bytes', 'The size of the bodies of responses')
  }

  count(record: RequestRecord): void {
    const tags = this.#tags?.(record.peer)
    const { requests, duration, requestBytes, responseBytes } = tags
      ? this.#rewrittenHandlesOf(record, tags)
      : this.#handlesOf(record)
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
      handles = this.#handlesBy((family) => family.labels(labels))
      handlesOfEnds.set(outcome, handles)
    }
    return handles
  }

  #rewrittenHandlesOf(record: RequestRecord, tags: TagRewriting): Handles {
    let known = this.#rewritten.get(tags)
    // What values there are is up to requests: a cache of them has a bound of its own.
    if (!known || known.count >= REQUEST_SERIES_MAX) {
      known = { ofEnds: new EndsCache(() => new Map()), count: 0 }
      this.#rewritten.set(tags, known)
    }
    const values = tags.evaluate(record)
    const handlesOfEnds = known.ofEnds.of(record)
    const key = `${outcomeOf(record)}\u0000${values.join('\u0000')}`
    let handles = handlesOfEnds.get(key)
    if (!handles) {
      const labels = this.#labelsOf(record)
      handles = this.#handlesBy((family, metric) => tags.handle(family, metric, labels, values))
      handlesOfEnds.set(key, handles)
      known.count += 1
    }
    return handles
  }

  #handlesBy(handleOf: <Handle>(family: MetricFamily<Label, Handle>, metric: StandardMetric) => Handle): Handles {
    return {
      requests: lazy(() => handleOf(this.#requests, 'REQUEST_COUNT')),
      duration: lazy(() => handleOf(this.#duration, 'REQUEST_DURATION')),
      requestBytes: lazy(() => handleOf(this.#requestBytes, 'REQUEST_SIZE')),
      responseBytes: lazy(() => handleOf(this.#responseBytes, 'RESPONSE_SIZE')),
    }
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
