import type { Clock } from '@ambient-lab/std'
import type { Counter, MetricFamily } from '@ambient-lab/telemetry'
import { END_LABELS, endLabels } from './end-labels.ts'
import { EndsCache } from './ends-cache.ts'
import { lazy } from './lazy.ts'
import { GRPC_MESSAGES_REPORT_MS } from './limits.ts'
import { ALL_METRICS } from './metric-switches.ts'
import type { RequestRecord } from './request-record.ts'
import type { RequestSeriesInit } from './request-series.ts'
import type { TagRewriting } from './tag-rewriting.ts'

type Family = MetricFamily<(typeof END_LABELS)[number], Counter>

interface Counters {
  readonly requests: () => Counter
  readonly responses: () => Counter
}

/**
 * `istio_request_messages_total`, `istio_response_messages_total`: by the two ends alone, as Istio's filter has them, and
 * told of calls that last while they do.
 */
export class GrpcMessageSeries {
  readonly #clock: Clock
  /** Made when they are told of for the first time: a metric that is off has no series. */
  readonly #counters: EndsCache<Counters>
  readonly #reporter: RequestSeriesInit['reporter']
  readonly #requests: Family
  readonly #responses: Family
  readonly #tags: RequestSeriesInit['tags']
  readonly #switches: NonNullable<RequestSeriesInit['switches']>
  /** Calls that go on. */
  readonly #live = new Set<RequestRecord>()
  #isWaiting = false

  constructor(
    components: { readonly clock: Clock },
    { metrics, reporter, switches = () => ALL_METRICS, tags }: RequestSeriesInit,
  ) {
    const counter = (direction: string, from: string) =>
      metrics.counter({
        name: `istio_${direction}_messages_total`,
        help: `The total number of gRPC messages sent from a ${from}`,
        labels: END_LABELS,
      })
    this.#clock = components.clock
    this.#switches = switches
    this.#reporter = reporter
    this.#tags = tags
    this.#requests = counter('request', 'client')
    this.#responses = counter('response', 'server')
    this.#counters = new EndsCache((record) => {
      const labels = endLabels(reporter(record.peer), record)
      return {
        requests: lazy(() => this.#requests.labels(labels)),
        responses: lazy(() => this.#responses.labels(labels)),
      }
    })
  }

  began(record: RequestRecord): void {
    this.#live.add(record)
    if (!this.#isWaiting) this.#wait()
  }

  ended(record: RequestRecord): void {
    this.#live.delete(record)
    this.#report(record)
  }

  #wait(): void {
    this.#isWaiting = true
    this.#clock.schedule(
      GRPC_MESSAGES_REPORT_MS,
      () => {
        this.#isWaiting = false
        // Where a call goes is not known before it went there.
        for (const record of this.#live) if (record.upstreamHost) this.#report(record)
        if (this.#live.size > 0) this.#wait()
      },
      { background: true },
    )
  }

  #report(record: RequestRecord): void {
    const requests = record.requestMessages?.takeNew() ?? 0
    const responses = record.responseMessages?.takeNew() ?? 0
    if (requests === 0 && responses === 0) return
    const tags = this.#tags?.(record.peer)
    const counters = tags ? this.#rewrittenCounters(record, tags) : this.#counters.of(record)
    const on = this.#switches(record.peer)
    if (on.GRPC_REQUEST_MESSAGES) counters.requests().inc(requests)
    if (on.GRPC_RESPONSE_MESSAGES) counters.responses().inc(responses)
  }

  /** Istio evaluates them when it knows the peer, and without heads: what a call tells stays in one series. */
  #rewrittenCounters(record: RequestRecord, tags: TagRewriting): Counters {
    const labels = endLabels(this.#reporter(record.peer), record)
    const values = tags.evaluate(record, { withHeads: false })
    return {
      requests: () => tags.handle(this.#requests, 'GRPC_REQUEST_MESSAGES', labels, values),
      responses: () => tags.handle(this.#responses, 'GRPC_RESPONSE_MESSAGES', labels, values),
    }
  }
}
