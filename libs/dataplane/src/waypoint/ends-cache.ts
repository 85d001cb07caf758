import { type SpiffeId, sameSpiffeId } from '@ambient-lab/pki'
import type { Service, Workload } from '@ambient-lab/xds'
import { REQUEST_SERIES_MAX } from './limits.ts'
import type { RequestRecord } from './request-record.ts'

interface Entry<T> {
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
    const { identity, workload: source, service } = record.peer
    const destination = record.upstreamHost?.workload
    const last = this.#last
    if (last && isSame(last, identity, source, destination, service)) return last.value
    const key = `${source?.uid ?? ''} ${destination?.uid ?? ''} ${service?.namespace ?? ''}/${service?.hostname ?? ''}`
    let entry = this.#entries.get(key)
    if (!entry || !isSame(entry, identity, source, destination, service)) {
      if (this.#entries.size >= REQUEST_SERIES_MAX) this.#entries.clear()
      entry = { identity, source, destination, service, value: this.#make(record) }
      this.#entries.set(key, entry)
    }
    this.#last = entry
    return entry.value
  }
}

function isSame(
  entry: Entry<unknown>,
  identity: SpiffeId | undefined,
  source: Workload | undefined,
  destination: Workload | undefined,
  service: Service | undefined,
): boolean {
  if (entry.source !== source || entry.destination !== destination || entry.service !== service) return false
  if (entry.identity === identity) return true
  return entry.identity !== undefined && identity !== undefined && sameSpiffeId(entry.identity, identity)
}
