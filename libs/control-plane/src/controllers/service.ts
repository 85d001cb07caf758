import { type Cluster, sameContent } from '../cluster.ts'
import { needsAddress, type ServiceAddresses, withAddress } from '../service-addresses.ts'
import { SERVICES } from '../stored-kinds.ts'
import { type Controller, forEach, itself } from './controller.ts'

/**
 * Gives an address to services that came without one past the API server's admission: a simulation's, an older lab's.
 * Of type LoadBalancer, it is the one from outside too: the lab's addresses are all alike.
 */
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
      if (!service) return
      if (!needsAddress(service)) return this.#balance(key)
      const address = this.#addresses.allocate(key)
      if (address === undefined) return
      await this.#cluster.update(SERVICES, key, (current) =>
        needsAddress(current) ? withAddress(current, address) : current,
      )
    })
  }

  async #balance(key: string): Promise<void> {
    await this.#cluster.update(SERVICES, key, (service) => {
      const address = service.spec?.type === 'LoadBalancer' ? service.spec.clusterIP : undefined
      const status = { ...(service.status as object | undefined), loadBalancer: { ingress: [{ ip: address }] } }
      return address === undefined || sameContent(status, service.status) ? service : { ...service, status }
    })
  }
}
