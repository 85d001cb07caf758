import type { EdgeCounters, Traffic, Workload } from '@ambient-lab/xds'
import { EDGES_MAX } from '../limits.ts'
import { type ConnectionOpening, identityText } from './connection-record.ts'

export type Edge = { -readonly [K in keyof EdgeCounters]: EdgeCounters[K] }
export type EdgeEnds = Pick<
  ConnectionOpening,
  'direction' | 'protocol' | 'source' | 'sourceIdentity' | 'destination' | 'destinationIdentity' | 'service'
>

const EDGE_KEYS = [
  'reporter',
  'sourceNamespace',
  'sourceWorkload',
  'sourcePrincipal',
  'destinationNamespace',
  'destinationWorkload',
  'destinationPrincipal',
  'destinationService',
  'connectionSecurityPolicy',
] as const
const COUNTS = ['opened', 'closed', 'failed', 'denied', 'bytesSent', 'bytesReceived'] as const

/** Who talked to whom, by names: pods of one workload share an edge. */
export class EdgeTable {
  readonly #node: string
  readonly #edges = new Map<string, Edge>()

  constructor(node: string) {
    this.#node = node
  }

  of(ends: EdgeEnds): Edge {
    const fresh = newEdge(this.#node, ends)
    const key = keyOf(fresh)
    const known = this.#edges.get(key)
    if (known) return known
    if (this.#edges.size >= EDGES_MAX) return this.#overflowEdge(ends)
    this.#edges.set(key, fresh)
    return fresh
  }

  edges(): readonly EdgeCounters[] {
    return [...this.#edges.values()].map((edge) => ({ ...edge }))
  }

  /** Beyond the bound one edge without names per reporter counts for all that have no place. */
  #overflowEdge(ends: EdgeEnds): Edge {
    const nameless = { ...ends, source: undefined, destination: undefined, service: undefined }
    const edge = newEdge(this.#node, { ...nameless, sourceIdentity: undefined, destinationIdentity: undefined })
    const key = `overflow ${edge.reporter}`
    const known = this.#edges.get(key)
    if (!known) this.#edges.set(key, edge)
    return known ?? edge
  }
}

/** What a node tells: its ztunnel's part and that of each of its sidecars, each edge once. */
export function joinTraffic(traffic: Traffic, sidecars: readonly (readonly EdgeCounters[])[]): Traffic {
  const joined = new Map<string, Edge>()
  for (const edge of [traffic.edges, ...sidecars].flat()) {
    const key = keyOf(edge)
    const known = joined.get(key)
    if (!known) joined.set(key, { ...edge })
    else for (const count of COUNTS) known[count] += edge[count]
  }
  return { ...traffic, edges: [...joined.values()] }
}

export function reporterOf({ direction }: EdgeEnds): 'source' | 'destination' {
  return direction === 'outbound' ? 'source' : 'destination'
}

export function securityPolicyOf({ protocol }: EdgeEnds): 'mutual_tls' | 'unknown' {
  return protocol === 'HBONE' ? 'mutual_tls' : 'unknown'
}

/** Istio's `*_workload`: the Deployment's name, not the pod's. */
export function workloadName(workload: Workload | undefined): string {
  return workload ? workload.workloadName || workload.name : ''
}

function keyOf(edge: EdgeCounters): string {
  return EDGE_KEYS.map((field) => edge[field]).join('\n')
}

function newEdge(node: string, ends: EdgeEnds): Edge {
  const { source, destination } = ends
  return {
    node,
    reporter: reporterOf(ends),
    sourceWorkload: workloadName(source),
    sourceNamespace: source?.namespace ?? '',
    sourcePrincipal: identityText(source, ends.sourceIdentity),
    destinationWorkload: workloadName(destination),
    destinationNamespace: destination?.namespace ?? '',
    destinationPrincipal: identityText(destination, ends.destinationIdentity),
    destinationService: ends.service?.hostname ?? '',
    connectionSecurityPolicy: securityPolicyOf(ends),
    opened: 0,
    closed: 0,
    failed: 0,
    denied: 0,
    bytesSent: 0,
    bytesReceived: 0,
  }
}
