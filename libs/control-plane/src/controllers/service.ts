import type { Cluster } from '../cluster.ts'
import { needsAddress, type ServiceAddresses, withAddress } from '../service-addresses.ts'
import { SERVICES } from '../stored-kinds.ts'
import { type Controller, forEach, itself } from './controller.ts'

/** Gives an address to services that came without one past the API server's admission: a simulation's, an older lab's. */
export class ServiceController implements Controller {
  readonly name = 'service'
  readonly watches = { [SERVICES]: itself }
  readonly #cluster: Cluster
  readonly #addresses: ServiceAddresses

  constructor(components: { cluster: Cluster; addresses: ServiceAddresses }) {
    this.#cluster = components.cluster
    this.#addresses = components.addresses
  }

  reconcile(keys: readonly string[]): Promise<void> {
    return forEach(keys, async (key) => {
      const service = this.#cluster.get(SERVICES, key)
      if (!service || !needsAddress(service)) return
      const address = this.#addresses.allocate(key)
      if (address === undefined) return
      await this.#cluster.update(SERVICES, key, (current) =>
        needsAddress(current) ? withAddress(current, address) : current,
      )
    })
  }
}
