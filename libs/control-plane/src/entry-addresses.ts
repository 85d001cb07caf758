import { objectKey } from '@ambient-lab/api'
import { type Cluster, stableSeed } from './cluster.ts'
import type { StoreEvent } from './store/store.ts'
import { SERVICE_ENTRIES, type ServiceEntry } from './stored-kinds.ts'

/** 240.240.0.0/16 and 2001:2::/48 without the first and the last; Istio's ranges. */
const FIRST = 1
const LAST = 0xffff - 1

export type AllocatedAddress = NonNullable<NonNullable<ServiceEntry['status']>['addresses']>[number] & {
  readonly host: string
}

/**
 * Virtual addresses of ServiceEntries that bring none, one of each family for each host. Where a host begins to look
 * follows from its name, so that the same entries get the same addresses in every lab.
 */
export class EntryAddresses implements Disposable {
  /** Index of an address in its range → who has it, as `namespace/name host`. */
  readonly #taken = new Map<number, string>()
  readonly #stop: () => void

  constructor(cluster: Cluster) {
    for (const entry of cluster.list(SERVICE_ENTRIES)) this.#add(entry)
    this.#stop = cluster.watch((event) => this.#changed(event))
  }

  /** Books the addresses of one host at once, before the store knows; none when all are taken. */
  allocate(entry: ServiceEntry, host: string): readonly AllocatedAddress[] {
    const owner = ownerOf(entry, host)
    const count = LAST - FIRST + 1
    const start = stableSeed(owner) % count
    for (let tries = 0; tries < count; tries += 1) {
      const index = FIRST + ((start + tries) % count)
      if (this.#taken.has(index) && this.#taken.get(index) !== owner) continue
      this.#taken.set(index, owner)
      return [
        { host, value: `240.240.${index >> 8}.${index & 0xff}` },
        { host, value: `2001:2::${index.toString(16)}` },
      ]
    }
    return []
  }

  [Symbol.dispose](): void {
    this.#stop()
  }

  #changed({ type, operation, object, previous }: StoreEvent): void {
    if (type !== SERVICE_ENTRIES) return
    if (previous) this.#remove(previous as ServiceEntry)
    if (operation === 'deleted') this.#remove(object as ServiceEntry)
    else this.#add(object as ServiceEntry)
  }

  #add(entry: ServiceEntry): void {
    for (const { index, owner } of allocationsOf(entry)) this.#taken.set(index, owner)
  }

  #remove(entry: ServiceEntry): void {
    for (const { index, owner } of allocationsOf(entry)) if (this.#taken.get(index) === owner) this.#taken.delete(index)
  }
}

function* allocationsOf(entry: ServiceEntry): Iterable<{ readonly index: number; readonly owner: string }> {
  for (const { host, value } of entry.status?.addresses ?? []) {
    const match = /^240\.240\.(\d+)\.(\d+)$/.exec(value)
    if (match && host) yield { index: Number(match[1]) * 256 + Number(match[2]), owner: ownerOf(entry, host) }
  }
}

function ownerOf({ metadata }: ServiceEntry, host: string): string {
  return `${objectKey(metadata)} ${host}`
}
