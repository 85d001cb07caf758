import type { SpiffeId } from '@ambient-lab/pki'
import type { Counter, MetricFamily, MetricsRegistry } from '@ambient-lab/telemetry'
import type { EdgeCounters, Service, Workload } from '@ambient-lab/xds'
import { METRIC_HANDLES_MAX } from '../limits.ts'
import { type ConnectionOpening, identityText } from './connection-record.ts'
import { type Edge, EdgeTable, reporterOf, securityPolicyOf, workloadName } from './edge-table.ts'
import type { ResponseFlag } from './response-flags.ts'

/** Set A of Istio's TCP metrics, in the order in which ztunnel writes them. */
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
  'destination_service',
  'destination_service_namespace',
  'destination_service_name',
  'destination_workload',
  'destination_canonical_service',
  'destination_canonical_revision',
  'destination_workload_namespace',
  'destination_principal',
  'destination_app',
  'destination_version',
  'destination_cluster',
  'request_protocol',
  'response_flags',
  'connection_security_policy',
  'source_region',
  'source_zone',
  'destination_region',
  'destination_zone',
] as const

type Label = (typeof LABELS)[number]
type Labels = Readonly<Record<Label, string>>

interface Families {
  readonly opened: MetricFamily<Label, Counter>
  readonly closed: MetricFamily<Label, Counter>
  readonly failed: MetricFamily<Label, Counter>
  readonly sent: MetricFamily<Label, Counter>
  readonly received: MetricFamily<Label, Counter>
}

/** What connections of one kind count on: same ends, same service, same reporter. Handles are looked up once. */
export class TrafficSeries {
  readonly edge: Edge
  readonly #families: Families
  readonly #labels: Labels
  readonly #byFlag = new Map<ResponseFlag, FlaggedSeries>()

  constructor(families: Families, labels: Labels, edge: Edge) {
    this.#families = families
    this.#labels = labels
    this.edge = edge
  }

  opened(): void {
    this.edge.opened += 1
    this.#of('-').opened.inc()
  }

  /** A connection that had been opened is over. */
  closed(flag: ResponseFlag): void {
    this.edge.closed += 1
    this.#of(flag).closed.inc()
  }

  /** A connection never stood; for one that had not been opened this is the only count. */
  failed(flag: ResponseFlag): void {
    this.edge.failed += 1
    if (flag === 'DENY') this.edge.denied += 1
    this.#of(flag).failed.inc()
  }

  /**
   * @param sent from the source to the destination
   * @see https://github.com/istio/istio/issues/32399: "sent" is from the reporter's own side, so the two swap
   */
  moved(flag: ResponseFlag, sent: number, received: number): void {
    this.edge.bytesSent += sent
    this.edge.bytesReceived += received
    const series = this.#of(flag)
    const isSource = this.edge.reporter === 'source'
    series.sent.inc(isSource ? sent : received)
    series.received.inc(isSource ? received : sent)
  }

  #of(flag: ResponseFlag): FlaggedSeries {
    let series = this.#byFlag.get(flag)
    if (!series) {
      series = new FlaggedSeries(this.#families, { ...this.#labels, response_flags: flag })
      this.#byFlag.set(flag, series)
    }
    return series
  }
}

/** Counters appear when something is first counted, so that no series says 0 for what never happened. */
class FlaggedSeries {
  readonly #families: Families
  readonly #labels: Labels
  #opened: Counter | undefined
  #closed: Counter | undefined
  #failed: Counter | undefined
  #sent: Counter | undefined
  #received: Counter | undefined

  constructor(families: Families, labels: Labels) {
    this.#families = families
    this.#labels = labels
  }

  get opened(): Counter {
    this.#opened ??= this.#families.opened.labels(this.#labels)
    return this.#opened
  }

  get closed(): Counter {
    this.#closed ??= this.#families.closed.labels(this.#labels)
    return this.#closed
  }

  get failed(): Counter {
    this.#failed ??= this.#families.failed.labels(this.#labels)
    return this.#failed
  }

  get sent(): Counter {
    this.#sent ??= this.#families.sent.labels(this.#labels)
    return this.#sent
  }

  get received(): Counter {
    this.#received ??= this.#families.received.labels(this.#labels)
    return this.#received
  }
}

interface CachedSeries {
  readonly source: Workload | undefined
  readonly destination: Workload | undefined
  readonly service: Service | undefined
  readonly series: TrafficSeries
}

/** Finds the series of a connection; builds label maps only for ends that it has not seen in this version. */
export class TrafficTable {
  readonly #families: Families
  readonly #cache = new Map<string, CachedSeries>()
  readonly #edges: EdgeTable

  constructor({ node, metrics }: { readonly node: string; readonly metrics: MetricsRegistry }) {
    this.#edges = new EdgeTable(node)
    const counter = (name: string, help: string) => metrics.counter({ name: `istio_tcp_${name}`, help, labels: LABELS })
    this.#families = {
      opened: counter('connections_opened_total', 'The total number of TCP connections opened'),
      closed: counter('connections_closed_total', 'The total number of TCP connections closed'),
      failed: counter('connections_failed_total', 'The total number of TCP connections that failed'),
      sent: counter('sent_bytes_total', 'The size of total bytes sent during response in case of a TCP connection'),
      received: counter(
        'received_bytes_total',
        'The size of total bytes received during request in case of a TCP connection',
      ),
    }
  }

  of(opening: ConnectionOpening): TrafficSeries {
    const { source, destination, service } = opening
    const ends = `${source?.uid ?? ''} ${destination?.uid ?? ''} ${service?.namespace ?? ''}/${service?.hostname ?? ''}`
    const isProven = opening.sourceIdentity !== undefined
    const key = `${opening.direction} ${opening.protocol} ${isProven ? 'tls' : 'plain'} ${ends}`
    const known = this.#cache.get(key)
    if (known?.source === source && known?.destination === destination && known?.service === service) {
      return known!.series
    }
    // A source that nobody knows by address may still be any identity: such connections are not worth a cache.
    const series = new TrafficSeries(this.#families, labelsOf(opening), this.#edges.of(opening))
    if (isProven && !source) return series
    if (this.#cache.size >= METRIC_HANDLES_MAX) this.#cache.clear()
    this.#cache.set(key, { source, destination, service, series })
    return series
  }

  edges(): readonly EdgeCounters[] {
    return this.#edges.edges()
  }
}

function labelsOf(opening: ConnectionOpening): Labels {
  const { source, destination, service } = opening
  return {
    reporter: reporterOf(opening),
    ...sourceLabels(source, opening.sourceIdentity),
    destination_service: orUnknown(service?.hostname),
    destination_service_namespace: orUnknown(service?.namespace),
    destination_service_name: orUnknown(service?.name),
    destination_workload: orUnknown(workloadName(destination)),
    destination_canonical_service: orUnknown(destination?.canonicalName),
    destination_canonical_revision: orUnknown(destination?.canonicalRevision),
    destination_workload_namespace: orUnknown(destination?.namespace),
    destination_principal: orUnknown(identityText(destination, opening.destinationIdentity)),
    destination_app: orUnknown(destination?.canonicalName),
    destination_version: orUnknown(destination?.canonicalRevision),
    destination_cluster: orUnknown(destination?.clusterId),
    request_protocol: 'tcp',
    response_flags: '-',
    connection_security_policy: securityPolicyOf(opening),
    source_region: orUnknown(source?.locality?.region),
    source_zone: orUnknown(source?.locality?.zone),
    destination_region: orUnknown(destination?.locality?.region),
    destination_zone: orUnknown(destination?.locality?.zone),
  }
}

/** The eight labels that say who calls. @param identity @default none, as on plain connections */
export function sourceLabels(source: Workload | undefined, identity?: SpiffeId) {
  return {
    source_workload: orUnknown(workloadName(source)),
    source_canonical_service: orUnknown(source?.canonicalName),
    source_canonical_revision: orUnknown(source?.canonicalRevision),
    source_workload_namespace: orUnknown(source?.namespace),
    source_principal: orUnknown(identityText(source, identity)),
    source_app: orUnknown(source?.canonicalName),
    source_version: orUnknown(source?.canonicalRevision),
    source_cluster: orUnknown(source?.clusterId),
  }
}

function orUnknown(value: string | undefined): string {
  return value || 'unknown'
}
