import { type Clock, type CodedError, Ring } from '@ambient-lab/std'
import type { AccessLog, AccessRecord, MetricsRegistry } from '@ambient-lab/telemetry'
import type { ConnectionView, EdgeCounters } from '@ambient-lab/xds'
import { formatAddress } from '../address.ts'
import { ENDED_CONNECTIONS_KEPT } from '../limits.ts'
import { type ConnectionOpening, ConnectionRecord, identityText } from './connection-record.ts'
import type { ConnectionSpans } from './connection-spans.ts'
import { TrafficTable } from './traffic-series.ts'

export interface ConnectionRecorderComponents {
  readonly clock: Clock
  readonly metrics: MetricsRegistry
  readonly accessLog: AccessLog
  /** @default none are made */
  readonly spans?: ConnectionSpans | undefined
}

/** Everything that is told about connections: access log, metrics, the topology's edges, the list of them. */
export class ConnectionRecorder {
  readonly #node: string
  readonly #clock: Clock
  readonly #accessLog: AccessLog
  readonly #spans: ConnectionSpans | undefined
  readonly #traffic: TrafficTable
  readonly #open = new Set<ConnectionRecord>()
  readonly #ended = new Ring<ConnectionRecord>(ENDED_CONNECTIONS_KEPT)
  #nextId = 1

  constructor({ node, components }: { readonly node: string; readonly components: ConnectionRecorderComponents }) {
    this.#node = node
    this.#clock = components.clock
    this.#accessLog = components.accessLog
    this.#spans = components.spans
    this.#traffic = new TrafficTable({ node, metrics: components.metrics })
    const sockets = components.metrics.gauge({
      name: 'istio_tcp_sockets_open',
      help: 'The current number of open connections',
      labels: ['reporter'],
    })
    components.metrics.onCollect(() => {
      this.syncBytes()
      for (const reporter of ['source', 'destination'] as const) {
        sockets.labels({ reporter }).set(this.#openOf(reporter))
      }
    })
  }

  get openCount(): number {
    return this.#open.size
  }

  /** A connection whose plan is known. */
  open(opening: ConnectionOpening): ConnectionRecord {
    const record = this.#record(opening)
    this.#open.add(record)
    record.series.opened()
    this.#accessLog.opened(accessRecordOf(opening))
    return record
  }

  /** A connection that was turned away before it had a plan: one line, one count. */
  refuse(opening: ConnectionOpening, error: CodedError): void {
    this.#record(opening).fail(error)
  }

  /** Called by the record, once. */
  onEnd(record: ConnectionRecord): void {
    const wasOpen = this.#open.delete(record)
    this.#sync(record)
    if (wasOpen) record.series.closed(record.flag)
    if (record.state === 'failed') record.series.failed(record.flag)
    if (wasOpen) this.#writeComplete(record)
    else this.#writeFailed(record)
    this.#spans?.record(record)
    this.#ended.push(record)
  }

  /** Brings the byte counters up to date with connections that are still open: before a scrape, before a listing. */
  syncBytes(): void {
    for (const record of this.#open) this.#sync(record)
  }

  /** Ended ones first, oldest first; then those that are open. */
  connections(): readonly ConnectionView[] {
    return [...this.#ended.toArray(), ...this.#open].map((record) => record.view(this.#node))
  }

  /** How many ended connections can no longer be listed. */
  get lost(): number {
    return this.#ended.lost
  }

  edges(): readonly EdgeCounters[] {
    return this.#traffic.edges()
  }

  #openOf(reporter: 'source' | 'destination'): number {
    let count = 0
    for (const record of this.#open) if (record.series.edge.reporter === reporter) count += 1
    return count
  }

  #record(opening: ConnectionOpening): ConnectionRecord {
    const id = `${this.#node}-${this.#nextId++}`
    return new ConnectionRecord({ recorder: this, clock: this.#clock, id, opening, series: this.#traffic.of(opening) })
  }

  #sync(record: ConnectionRecord): void {
    const sent = record.counts.bytesSent - record.reportedSent
    const received = record.counts.bytesReceived - record.reportedReceived
    if (sent === 0 && received === 0) return
    record.reportedSent += sent
    record.reportedReceived += received
    record.series.moved(record.flag, sent, received)
  }

  #writeComplete(record: ConnectionRecord): void {
    const { bytesSent, bytesReceived } = record.counts
    this.#accessLog.complete(accessRecordOf(record.opening), {
      bytesSent,
      bytesReceived,
      durationMs: record.durationMs,
      error: record.error || undefined,
    })
  }

  #writeFailed(record: ConnectionRecord): void {
    const { opening } = record
    this.#accessLog.failed({
      sourceAddr: formatAddress(opening.sourceAddress),
      destinationAddr: formatAddress(opening.destinationAddress),
      direction: opening.direction,
      error: record.error,
    })
  }
}

/** `dst.addr` of a tunnel is where it leads, `dst.hbone_addr` what is asked for inside. */
function accessRecordOf(opening: ConnectionOpening): AccessRecord {
  const { source, destination, hboneAddress, destinationAddress } = opening
  return {
    direction: opening.direction,
    source: {
      addr: formatAddress(opening.sourceAddress),
      workload: source?.name,
      namespace: source?.namespace,
      identity: identityText(source, opening.sourceIdentity) || undefined,
      cluster: source?.clusterId || undefined,
    },
    destination: {
      addr: formatAddress(hboneAddress ?? destinationAddress),
      hboneAddr: hboneAddress && formatAddress(destinationAddress),
      service: opening.service?.hostname,
      workload: destination?.name,
      namespace: destination?.namespace,
      identity: identityText(destination, opening.destinationIdentity) || undefined,
      cluster: destination?.clusterId || undefined,
    },
  }
}
