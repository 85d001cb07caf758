import { type SpiffeId, sameSpiffeId } from '@ambient-lab/pki'
import type { BucketHistogram, Counter, MetricFamily, MetricsRegistry } from '@ambient-lab/telemetry'
import type { Service, Workload } from '@ambient-lab/xds'
import { identityText } from '../ztunnel/connection-record.ts'
import { factsOf } from '../ztunnel/workload-facts.ts'
import { REQUEST_SERIES_MAX } from './limits.ts'
import type { RequestRecord } from './request-record.ts'

/** Istio's standard labels of requests, in its order. */
const LABELS = [
  'reporter',
  'source_workload',
  'source_canonical_service',
  'source_canonical_revision',
  'source_workload_namespace',
  'source_principal',
  'source_app',
  'source_version',
  'source_cluster',
  'destination_workload',
  'destination_workload_namespace',
  'destination_principal',
  'destination_app',
  'destination_version',
  'destination_service',
  'destination_canonical_service',
  'destination_canonical_revision',
  'destination_service_name',
  'destination_service_namespace',
  'destination_cluster',
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

interface Handles {
  readonly requests: Counter
  readonly duration: BucketHistogram
  readonly requestBytes: BucketHistogram
  readonly responseBytes: BucketHistogram
}

/** What the handles of a request depend on besides its outcome. */
interface Ends {
  readonly identity: SpiffeId | undefined
  readonly source: Workload | undefined
  readonly destination: Workload | undefined
  readonly service: Service | undefined
  /** By `status flags protocol grpcStatus`. */
  readonly handles: Map<string, Handles>
}

export interface RequestSeriesInit {
  readonly metrics: MetricsRegistry
  /** `waypoint`, or what a sidecar and a gateway are to Istio's dashboards; asked when a series begins. */
  readonly reporter: () => 'waypoint' | 'source' | 'destination'
}

/** `istio_requests_total` and the histograms beside it. Label texts are made once per pair of ends and outcome. */
export class RequestSeries {
  readonly #reporter: RequestSeriesInit['reporter']
  readonly #requests: MetricFamily<Label, Counter>
  readonly #duration: MetricFamily<Label, BucketHistogram>
  readonly #requestBytes: MetricFamily<Label, BucketHistogram>
  readonly #responseBytes: MetricFamily<Label, BucketHistogram>
  readonly #ends = new Map<string, Ends>()
  /** The ends of the request before: clients ask the same service again and again. */
  #last: Ends | undefined

  constructor({ metrics, reporter }: RequestSeriesInit) {
    const histogram = (name: string, help: string) =>
      metrics.histogram({ name: `istio_${name}`, help, labels: LABELS, buckets: BUCKETS })
    this.#reporter = reporter
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
    requests.inc()
    duration.observe(record.durationMs)
    requestBytes.observe(record.bytesReceived)
    responseBytes.observe(record.bytesSent)
  }

  #handlesOf(record: RequestRecord): Handles {
    const ends = this.#endsOf(record)
    const outcome = `${record.status} ${record.flags} ${record.isGrpc ? `grpc ${record.grpcStatus}` : 'http'}`
    let handles = ends.handles.get(outcome)
    if (!handles) {
      const labels = this.#labelsOf(record, ends)
      handles = {
        requests: this.#requests.labels(labels),
        duration: this.#duration.labels(labels),
        requestBytes: this.#requestBytes.labels(labels),
        responseBytes: this.#responseBytes.labels(labels),
      }
      ends.handles.set(outcome, handles)
    }
    return handles
  }

  #endsOf({ peer, upstreamHost }: RequestRecord): Ends {
    const { identity, workload: source, service } = peer
    const destination = upstreamHost?.workload
    const last = this.#last
    if (last && isSame(last, identity, source, destination, service)) return last
    const key = `${source?.uid ?? ''} ${destination?.uid ?? ''} ${service?.namespace ?? ''}/${service?.hostname ?? ''}`
    let ends = this.#ends.get(key)
    if (!ends || !isSame(ends, identity, source, destination, service)) {
      if (this.#ends.size >= REQUEST_SERIES_MAX) this.#ends.clear()
      ends = { identity, source, destination, service, handles: new Map() }
      this.#ends.set(key, ends)
    }
    this.#last = ends
    return ends
  }

  #labelsOf(record: RequestRecord, { identity, source, destination, service }: Ends): Labels {
    return {
      reporter: this.#reporter(),
      source_workload: orUnknown(source && (source.workloadName || source.name)),
      source_canonical_service: orUnknown(source?.canonicalName),
      source_canonical_revision: orUnknown(source?.canonicalRevision),
      source_workload_namespace: orUnknown(source?.namespace),
      source_principal: orUnknown(identityText(source, identity)),
      source_app: orUnknown(source?.canonicalName),
      source_version: orUnknown(source?.canonicalRevision),
      source_cluster: orUnknown(source?.clusterId),
      destination_workload: orUnknown(destination && (destination.workloadName || destination.name)),
      destination_workload_namespace: orUnknown(destination?.namespace),
      destination_principal: orUnknown(
        destination?.tunnelProtocol === 'HBONE' ? factsOf(destination).identity : undefined,
      ),
      destination_app: orUnknown(destination?.canonicalName),
      destination_version: orUnknown(destination?.canonicalRevision),
      destination_service: orUnknown(service?.hostname),
      destination_canonical_service: orUnknown(destination?.canonicalName),
      destination_canonical_revision: orUnknown(destination?.canonicalRevision),
      destination_service_name: orUnknown(service?.name),
      destination_service_namespace: orUnknown(service?.namespace),
      destination_cluster: orUnknown(destination?.clusterId),
      request_protocol: record.isGrpc ? 'grpc' : 'http',
      response_code: String(record.status),
      grpc_response_status: record.grpcStatus,
      response_flags: record.flags,
      connection_security_policy: identity ? 'mutual_tls' : 'unknown',
    }
  }
}

function isSame(
  ends: Ends,
  identity: SpiffeId | undefined,
  source: Workload | undefined,
  destination: Workload | undefined,
  service: Service | undefined,
): boolean {
  if (ends.source !== source || ends.destination !== destination || ends.service !== service) return false
  if (ends.identity === identity) return true
  return ends.identity !== undefined && identity !== undefined && sameSpiffeId(ends.identity, identity)
}

function orUnknown(value: string | undefined): string {
  return value || 'unknown'
}
