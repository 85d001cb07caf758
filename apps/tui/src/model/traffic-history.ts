import type { ConnectionObject, EdgeObject, LabSnapshot } from './snapshot.ts'

/** Seconds of history that sparklines show. */
export const HISTORY_SECONDS = 60

/** Over how long a rate is averaged. */
const RATE_WINDOW_MS = 2500

export interface EdgeTotals {
  readonly opened: number
  readonly failed: number
  readonly denied: number
  /** Both directions. */
  readonly bytes: number
}

export interface EdgeRates {
  readonly openedPerSecond: number
  readonly failedPerSecond: number
  readonly deniedPerSecond: number
  readonly bytesPerSecond: number
}

interface Sample {
  readonly atMs: number
  readonly edges: ReadonlyMap<string, EdgeTotals>
  /** Bytes moved by each pod's connections, cumulative as far as they were seen. */
  readonly pods: ReadonlyMap<string, number>
}

/**
 * The last minute of counters, so that rates are differences of two answers and never an agent's own idea of "now".
 * Immutable: `with` answers a new one.
 */
export class TrafficHistory {
  readonly #samples: readonly Sample[]
  readonly #bytesById: ReadonlyMap<string, number>

  constructor(samples: readonly Sample[] = [], bytesById: ReadonlyMap<string, number> = new Map()) {
    this.#samples = samples
    this.#bytesById = bytesById
  }

  with({ atMs, edges, connections }: Pick<LabSnapshot, 'atMs' | 'edges' | 'connections'>): TrafficHistory {
    const last = this.#samples.at(-1)
    const bytesById = new Map(connections.map((connection) => [connection.spec.id, bytesOf(connection)]))
    const pods = new Map(last?.pods)
    for (const connection of connections) {
      const moved = bytesOf(connection) - (this.#bytesById.get(connection.spec.id) ?? (last ? 0 : bytesOf(connection)))
      if (moved > 0) pods.set(localPod(connection), (pods.get(localPod(connection)) ?? 0) + moved)
    }
    const kept = this.#samples.filter((sample) => sample.atMs > atMs - (HISTORY_SECONDS + 1) * 1000)
    return new TrafficHistory([...kept, { atMs, edges: totalsByEdge(edges), pods }], bytesById)
  }

  /** Undefined until there are two samples. */
  edgeRates(key: string): EdgeRates | undefined {
    const window = this.#window()
    if (!window) return undefined
    const [from, to, seconds] = window
    const before = from.edges.get(key) ?? NOTHING
    const after = to.edges.get(key) ?? NOTHING
    // An agent that restarted counts from zero again.
    const per = (pick: (totals: EdgeTotals) => number) => Math.max(0, pick(after) - pick(before)) / seconds
    return {
      openedPerSecond: per(({ opened }) => opened),
      failedPerSecond: per(({ failed }) => failed),
      deniedPerSecond: per(({ denied }) => denied),
      bytesPerSecond: per(({ bytes }) => bytes),
    }
  }

  /** Whether the edge's counters changed in the time that is remembered; true while too little is. */
  moved(key: string): boolean {
    const first = this.#samples[0]
    const last = this.#samples.at(-1)
    if (first === last) return true
    const before = first?.edges.get(key) ?? NOTHING
    const after = last?.edges.get(key) ?? NOTHING
    return before.opened !== after.opened || before.bytes !== after.bytes
  }

  podBytesPerSecond(pod: string): number | undefined {
    const window = this.#window()
    if (!window) return undefined
    const [from, to, seconds] = window
    return Math.max(0, (to.pods.get(pod) ?? 0) - (from.pods.get(pod) ?? 0)) / seconds
  }

  /** Bytes a second of one pod, a value for each of `points` equal steps up to now. */
  podSeries(pod: string, points: number): number[] {
    return this.#series(points, (sample) => sample.pods.get(pod) ?? 0)
  }

  /** Connections opened a second, over all edges or those that `keep` picks. */
  openedSeries(points: number, keep: (key: string) => boolean = () => true): number[] {
    return this.#series(points, (sample) => {
      let total = 0
      for (const [key, { opened }] of sample.edges) if (keep(key)) total += opened
      return total
    })
  }

  #series(points: number, pick: (sample: Sample) => number): number[] {
    const last = this.#samples.at(-1)
    if (!last) return []
    const stepMs = (HISTORY_SECONDS * 1000) / points
    return Array.from({ length: points }, (_, index) => {
      const untilMs = last.atMs - (points - 1 - index) * stepMs
      const to = this.#at(untilMs)
      const from = this.#at(untilMs - stepMs)
      return to && from && to !== from ? Math.max(0, pick(to) - pick(from)) / ((to.atMs - from.atMs) / 1000) : 0
    })
  }

  #at(atMs: number): Sample | undefined {
    return this.#samples.findLast((sample) => sample.atMs <= atMs)
  }

  #window(): [Sample, Sample, number] | undefined {
    const to = this.#samples.at(-1)
    const from = to && (this.#at(to.atMs - RATE_WINDOW_MS) ?? this.#samples[0])
    return to && from && from !== to ? [from, to, (to.atMs - from.atMs) / 1000] : undefined
  }
}

const NOTHING: EdgeTotals = { opened: 0, failed: 0, denied: 0, bytes: 0 }

/** Who talks to whom: both ztunnels of a connection report it under the same key. */
export function edgeKey({ spec }: EdgeObject): string {
  const destination = spec.destinationWorkload === 'unknown' ? spec.destinationService : spec.destinationWorkload
  return `${spec.sourceNamespace}/${spec.sourceWorkload}>${spec.destinationNamespace}/${destination}`
}

/**
 * Sums what the ztunnels say. The source's word counts where there is one: the destination's would count the same
 * connections a second time.
 */
export function totalsByEdge(edges: readonly EdgeObject[]): Map<string, EdgeTotals> {
  const told = new Set(edges.filter(({ spec }) => spec.reporter === 'source').map(edgeKey))
  const totals = new Map<string, EdgeTotals>()
  for (const edge of edges) {
    const key = edgeKey(edge)
    if (edge.spec.reporter === 'destination' && told.has(key)) continue
    const sum = totals.get(key) ?? NOTHING
    totals.set(key, {
      opened: sum.opened + edge.spec.opened,
      failed: sum.failed + edge.spec.failed,
      denied: sum.denied + edge.spec.denied,
      bytes: sum.bytes + edge.spec.bytesSent + edge.spec.bytesReceived,
    })
  }
  return totals
}

/** `namespace/pod` of the end that the reporting ztunnel hosts. */
export function localPod({ spec }: ConnectionObject): string {
  const peer = spec.direction === 'outbound' ? spec.source : spec.destination
  return `${peer.namespace}/${peer.workload}`
}

function bytesOf({ spec }: ConnectionObject): number {
  return spec.bytesSent + spec.bytesReceived
}
