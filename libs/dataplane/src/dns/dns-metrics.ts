import type { BucketHistogram, Counter, MetricsRegistry } from '@ambient-lab/telemetry'
import type { Workload } from '@ambient-lab/xds'
import type { DnsProtocol } from './dns-upstream.ts'

const LABELS = [
  'request_query_type',
  'request_protocol',
  'source_canonical_service',
  'source_canonical_revision',
] as const

type Labels = Readonly<Record<(typeof LABELS)[number], string>>

/** ztunnel's metrics of its DNS proxy; one of these for each registry. */
export class DnsMetrics {
  readonly requests: (labels: Labels) => Counter
  readonly upstreamRequests: (labels: Labels) => Counter
  readonly upstreamFailures: (labels: Labels) => Counter
  readonly upstreamDuration: (labels: Labels) => BucketHistogram

  constructor(metrics: MetricsRegistry) {
    const counter = (name: string, help: string) => {
      const family = metrics.counter({ name, help, labels: LABELS })
      return (labels: Labels) => family.labels(labels)
    }
    this.requests = counter('istio_dns_requests_total', 'Total number of DNS requests')
    this.upstreamRequests = counter('istio_dns_upstream_requests_total', 'Total number of DNS requests forwarded')
    this.upstreamFailures = counter('istio_dns_upstream_failures_total', 'Total number of DNS requests nobody answered')
    const duration = metrics.histogram({
      name: 'istio_dns_upstream_request_duration_seconds',
      help: 'Time until a forwarded DNS request was answered',
      labels: LABELS,
      buckets: [0.0005, 0.001, 0.01, 0.1, 1, 5],
    })
    this.upstreamDuration = (labels) => duration.labels(labels)
  }
}

export function dnsLabels(type: string, protocol: DnsProtocol, client: Workload | undefined): Labels {
  return {
    request_query_type: type,
    request_protocol: protocol,
    source_canonical_service: client?.canonicalName || 'unknown',
    source_canonical_revision: client?.canonicalRevision || 'unknown',
  }
}
