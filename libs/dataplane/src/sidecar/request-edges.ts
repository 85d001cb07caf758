import type { Cluster, EdgeCounters } from '@ambient-lab/xds'
import { EndsCache } from '../waypoint/ends-cache.ts'
import type { RequestRecord } from '../waypoint/request-record.ts'
import { isPlaintext } from '../waypoint/upstream/endpoint-dialer.ts'
import { type Edge, EdgeTable } from '../ztunnel/edge-table.ts'
import { factsOf } from '../ztunnel/workload-facts.ts'

export interface RequestEdgesInit {
  readonly node: string
  /** How a cluster does without mutual TLS. */
  readonly plaintextOf: (cluster: string) => Cluster['plaintext']
}

interface Edges {
  secured?: Edge
  plain?: Edge
}

/** Nothing came of the request, or not for the server's sake. */
const FAILURES = /\b(UH|UT|LR|UR|UF|UC|UO|NR|FI|RL|UAEX|URX|UPE|NC|OM)\b/

/** Of what came without mutual TLS where that is wanted. */
export const NOT_SECURED = 'filter_chain_not_found'

/** A sidecar's part of the topology: where a ztunnel counts connections, it counts requests. */
export class RequestEdges {
  readonly #table: EdgeTable
  readonly #plaintextOf: RequestEdgesInit['plaintextOf']
  readonly #ends = new EndsCache((): Edges => ({}))
  /** Connections whose bytes nobody reads. */
  readonly #standing = new Set<RequestRecord>()

  constructor({ node, plaintextOf }: RequestEdgesInit) {
    this.#table = new EdgeTable(node)
    this.#plaintextOf = plaintextOf
  }

  opened(record: RequestRecord): void {
    if (isFailed(record)) return
    this.#edgeOf(record).opened += 1
    this.#standing.add(record)
  }

  finished(record: RequestRecord): void {
    const edge = this.#edgeOf(record)
    edge.bytesSent += record.bytesReceived
    edge.bytesReceived += record.bytesSent
    const stood = this.#standing.delete(record)
    if (!stood && isFailed(record)) {
      edge.failed += 1
      if (isDenied(record)) edge.denied += 1
      return
    }
    if (!stood) edge.opened += 1
    edge.closed += 1
  }

  edges(): readonly EdgeCounters[] {
    return this.#table.edges()
  }

  #edgeOf(record: RequestRecord): Edge {
    const edges = this.#ends.of(record)
    if (!this.#isSecured(record)) {
      edges.plain ??= this.#newEdge(record, false)
      return edges.plain
    }
    edges.secured ??= this.#newEdge(record, true)
    return edges.secured
  }

  #isSecured({ peer, upstreamHost, cluster }: RequestRecord): boolean {
    if (peer.side !== 'outbound') return peer.identity !== undefined
    if (upstreamHost?.network) return true
    const workload = upstreamHost?.workload
    if (workload?.tunnelProtocol !== 'HBONE') return false
    return !isPlaintext(workload, upstreamHost!.port, this.#plaintextOf(cluster))
  }

  #newEdge({ peer, destination }: RequestRecord, isSecured: boolean): Edge {
    const { workload: source, service } = peer
    const isOutbound = peer.side === 'outbound'
    const own = isOutbound && source ? factsOf(source).id : peer.identity
    return this.#table.of({
      direction: isOutbound ? 'outbound' : 'inbound',
      protocol: isSecured ? 'HBONE' : 'TCP',
      source,
      sourceIdentity: isSecured ? own : undefined,
      destination,
      destinationIdentity: isSecured && destination ? factsOf(destination).id : undefined,
      service,
    })
  }
}

function isFailed(record: RequestRecord): boolean {
  return (record.flags !== '-' && FAILURES.test(record.flags)) || isDenied(record)
}

function isDenied({ details }: RequestRecord): boolean {
  return details === NOT_SECURED || details.startsWith('rbac_access_denied')
}
