import { isIPv4 } from 'node:net'
import { objectKey, type Service } from '@ambient-lab/api'
import type { Cluster } from './cluster.ts'
import type { StoreEvent } from './store/store.ts'
import { SERVICES } from './stored-kinds.ts'

/** 10.96.0.0/16. The first addresses are left for those who choose their own, as Kubernetes' `kubernetes` service. */
const PREFIX = '10.96.'
const FIRST = 16
const LAST = 0xffff - 1

/** Virtual addresses of services: which are taken, and the next free one. Next-fit, like the pods' addresses. */
export class ServiceAddresses implements Disposable {
  readonly #taken = new Map<string, string>()
  readonly #stop: () => void
  #next = FIRST

  constructor(cluster: Cluster) {
    for (const service of cluster.list(SERVICES)) this.#add(service)
    this.#stop = cluster.watch((event) => this.#changed(event))
  }

  /** Key of the service that has the address. */
  ownerOf(address: string): string | undefined {
    return this.#taken.get(address)
  }

  /** Books a free address for the service at once, before the store knows. @returns undefined when there is none */
  allocate(key: string): string | undefined {
    for (let tries = FIRST; tries <= LAST; tries += 1) {
      const index = this.#next
      this.#next = index === LAST ? FIRST : index + 1
      const address = `${PREFIX}${index >> 8}.${index & 0xff}`
      if (this.#taken.has(address)) continue
      this.#taken.set(address, key)
      return address
    }
    return undefined
  }

  [Symbol.dispose](): void {
    this.#stop()
  }

  #changed({ type, operation, object, previous }: StoreEvent): void {
    if (type !== SERVICES) return
    if (previous) this.#remove(previous as Service)
    if (operation === 'deleted') this.#remove(object as Service)
    else this.#add(object as Service)
  }

  #add(service: Service): void {
    const address = service.spec?.clusterIP
    if (address && isIPv4(address)) this.#taken.set(address, objectKey(service.metadata))
  }

  #remove(service: Service): void {
    const address = service.spec?.clusterIP
    if (address && this.#taken.get(address) === objectKey(service.metadata)) this.#taken.delete(address)
  }
}

export function needsAddress({ spec }: Service): boolean {
  return !!spec && spec.type !== 'ExternalName' && !spec.clusterIP
}

export function withAddress(service: Service, address: string): Service {
  return { ...service, spec: { ...service.spec, clusterIP: address, clusterIPs: [address] } }
}
