import { type SpiffeId, sameSpiffeId } from '@ambient-lab/pki'
import type { Service, Workload } from '@ambient-lab/xds'
import { REQUEST_SERIES_MAX } from './limits.ts'
import type { DownstreamPeer, RequestRecord } from './request-record.ts'

interface Entry<T> {
  readonly side: DownstreamPeer['side']
  readonly identity: SpiffeId | undefined
  readonly source: Workload | undefined
  readonly destination: Workload | undefined
  readonly service: Service | undefined
  readonly value: T
}

/** Something for each pair of ends of requests, made again when one of them has become another. */
export class EndsCache<T> {
  readonly #make: (record: RequestRecord) => T
  readonly #entries = new Map<string, Entry<T>>()
  /** That of the request before: clients ask the same service again and again. */
  #last: Entry<T> | undefined

  constructor(make: (record: RequestRecord) => T) {
    this.#make = make
  }

  of(record: RequestRecord): T {
    const { peer, destination } = record
    const last = this.#last
    if (last && isSame(last, peer, destination)) return last.value
    const { side, identity, workload: source, service } = peer
    const key = `${side ?? ''} ${source?.uid ?? ''} ${destination?.uid ?? ''} ${service?.namespace ?? ''}/${service?.hostname ?? ''}`
    let entry = this.#entries.get(key)
    if (!entry || !isSame(entry, peer, destination)) {
      if (this.#entries.size >= REQUEST_SERIES_MAX) this.#entries.clear()
      entry = { side, identity, source, destination, service, value: this.#make(record) }
      this.#entries.set(key, entry)
    }
    this.#last = entry
    return entry.value
  }
}

function isSame(
  entry: Entry<unknown>,
  { side, identity, workload: source, service }: DownstreamPeer,
  destination: Workload | undefined,
): boolean {
  if (entry.side !== side || entry.source !== source) return false
  if (entry.destination !== destination || entry.service !== service) return false
  if (entry.identity === identity) return true
  return entry.identity !== undefined && identity !== undefined && sameSpiffeId(entry.identity, identity)
}
