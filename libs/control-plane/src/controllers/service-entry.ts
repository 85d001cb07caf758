import type { Cluster } from '../cluster.ts'
import type { EntryAddresses } from '../entry-addresses.ts'
import { SERVICE_ENTRIES, type ServiceEntry } from '../stored-kinds.ts'
import { hostsToAllocate } from '../translate/service-entry.ts'
import { type Controller, forEach, itself } from './controller.ts'

/** Gives the hosts of ServiceEntries that bring no address one, in their status; hosts that went give theirs back. */
export class ServiceEntryController implements Controller {
  readonly name = 'service-entry'
  readonly watches = { [SERVICE_ENTRIES]: itself }
  readonly #cluster: Cluster
  readonly #addresses: EntryAddresses

  constructor(components: { cluster: Cluster; addresses: EntryAddresses }) {
    this.#cluster = components.cluster
    this.#addresses = components.addresses
  }

  reconcile(keys: readonly string[]): Promise<void> {
    return forEach(keys, (key) => this.#cluster.update(SERVICE_ENTRIES, key, (entry) => this.#allocate(entry)))
  }

  #allocate(entry: ServiceEntry): ServiceEntry {
    const wanted = hostsToAllocate(entry)
    const present = entry.status?.addresses ?? []
    const has = (host: string) => present.some((address) => address.host === host)
    const kept = present.filter(({ host }) => host !== undefined && wanted.includes(host))
    const added = wanted.filter((host) => !has(host)).flatMap((host) => this.#addresses.allocate(entry, host))
    if (kept.length === present.length && added.length === 0) return entry
    return { ...entry, status: { ...entry.status, addresses: [...kept, ...added] } }
  }
}
