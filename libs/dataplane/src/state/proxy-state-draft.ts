import { maskIp, type PolicySet, parseIp } from '@ambient-lab/policy'
import type { Address, Node, Service, ServiceKey, Workload } from '@ambient-lab/xds'
import type { Endpoint, EndpointSet } from './endpoint-set.ts'
import { LayeredMap, type LayeredMapDraft } from './layered-map.ts'
import {
  type NetworkAddressKey,
  ProxyState,
  type ProxyStateIndexes,
  serviceKeyOf,
  type VipRange,
} from './proxy-state.ts'

/**
 * The next ProxyState in the making: what is written lies over what there was, and an inner set is copied at the first
 * write to it, so that a push costs what it touches.
 */
export class ProxyStateDraft {
  readonly #base: ProxyState
  readonly #workloads: LayeredMapDraft<string, Workload>
  readonly #workloadsByAddress: LayeredMapDraft<NetworkAddressKey, readonly Workload[]>
  readonly #services: LayeredMapDraft<ServiceKey, Service>
  readonly #servicesByVip: LayeredMapDraft<NetworkAddressKey, readonly Service[]>
  readonly #servicesByHostname: LayeredMapDraft<string, readonly Service[]>
  readonly #endpoints: LayeredMapDraft<ServiceKey, EndpointSet>
  readonly #nodes: LayeredMapDraft<string, Node>
  /** Endpoint sets that are this draft's own to change. */
  readonly #openEndpoints = new Map<ServiceKey, Map<string, Endpoint>>()
  #vipRanges: readonly VipRange[]
  #policies: PolicySet

  constructor(base: ProxyState) {
    const { indexes } = base
    this.#base = base
    this.#workloads = LayeredMap.of(indexes.workloads).draft()
    this.#workloadsByAddress = LayeredMap.of(indexes.workloadsByAddress).draft()
    this.#services = LayeredMap.of(indexes.services).draft()
    this.#servicesByVip = LayeredMap.of(indexes.servicesByVip).draft()
    this.#servicesByHostname = LayeredMap.of(indexes.servicesByHostname).draft()
    this.#endpoints = LayeredMap.of(indexes.endpoints).draft()
    this.#nodes = LayeredMap.of(indexes.nodes).draft()
    this.#vipRanges = indexes.vipRanges
    this.#policies = indexes.policies
  }

  upsertAddress(address: Address): void {
    if ('workload' in address) this.#upsertWorkload(address.workload)
    else this.#upsertService(address.service)
  }

  /** A name is a workload's uid or a service's key; which one it was, the state knows. */
  removeAddress(name: string): void {
    const workload = this.#workloads.get(name)
    if (workload) this.#removeWorkload(workload)
    const service = this.#services.get(name)
    if (service) this.#removeService(name, service)
  }

  upsertNode(node: Node): void {
    this.#nodes.set(node.name, node)
  }

  removeNode(name: string): void {
    this.#nodes.delete(name)
  }

  get policies(): PolicySet {
    return this.#policies
  }

  set policies(policies: PolicySet) {
    this.#policies = policies
  }

  finish(): ProxyState {
    const indexes: ProxyStateIndexes = {
      workloads: this.#workloads.finish(),
      workloadsByAddress: this.#workloadsByAddress.finish(),
      services: this.#services.finish(),
      servicesByVip: this.#servicesByVip.finish(),
      vipRanges: this.#vipRanges,
      servicesByHostname: this.#servicesByHostname.finish(),
      endpoints: this.#endpoints.finish(),
      policies: this.#policies,
      nodes: this.#nodes.finish(),
    }
    return new ProxyState(indexes, this.#base.version + 1)
  }

  #upsertWorkload(workload: Workload): void {
    const previous = this.#workloads.get(workload.uid)
    if (previous) this.#removeWorkload(previous)
    this.#workloads.set(workload.uid, workload)
    if (workload.networkMode === 'STANDARD') {
      for (const address of workload.addresses) this.#claimAddress(`${workload.network}/${address}`, workload)
    }
    for (const [key, ports] of Object.entries(workload.services)) {
      this.#openEndpointsOf(key).set(workload.uid, { workload, ports })
    }
  }

  #removeWorkload(workload: Workload): void {
    this.#workloads.delete(workload.uid)
    for (const address of workload.addresses) {
      this.#dropFrom(this.#workloadsByAddress, `${workload.network}/${address}`, (other) => other.uid === workload.uid)
    }
    for (const key of Object.keys(workload.services)) {
      const endpoints = this.#openEndpointsOf(key)
      endpoints.delete(workload.uid)
      if (endpoints.size > 0) continue
      this.#endpoints.delete(key)
      this.#openEndpoints.delete(key)
    }
  }

  /** Two claims on one address happen while pods are replaced: HBONE pods count before other pods before the rest. */
  #claimAddress(key: NetworkAddressKey, workload: Workload): void {
    const owners = [...(this.#workloadsByAddress.get(key) ?? []), workload]
    if (owners.length > 1) owners.sort((a, b) => addressRank(a) - addressRank(b))
    this.#workloadsByAddress.set(key, owners)
  }

  #upsertService(service: Service): void {
    const key = serviceKeyOf(service)
    const previous = this.#services.get(key)
    if (previous) this.#removeService(key, previous)
    this.#services.set(key, service)
    append(this.#servicesByHostname, service.hostname, service)
    for (const { network, address, length } of service.addresses) {
      const ip = parseIp(address)
      if (!ip) continue
      const isRange = length !== undefined && length < (ip.family === 4 ? 32 : 128)
      if (isRange) this.#vipRanges = [...this.#vipRanges, { network, cidr: maskIp(ip, length), service }]
      else append(this.#servicesByVip, `${network}/${address}`, service)
    }
  }

  #removeService(key: ServiceKey, service: Service): void {
    this.#services.delete(key)
    this.#dropFrom(this.#servicesByHostname, service.hostname, (other) => other === service)
    for (const { network, address } of service.addresses) {
      this.#dropFrom(this.#servicesByVip, `${network}/${address}`, (other) => other === service)
    }
    if (this.#vipRanges.some((range) => range.service === service)) {
      this.#vipRanges = this.#vipRanges.filter((range) => range.service !== service)
    }
  }

  #openEndpointsOf(key: ServiceKey): Map<string, Endpoint> {
    let open = this.#openEndpoints.get(key)
    if (!open) {
      open = new Map(this.#endpoints.get(key))
      this.#openEndpoints.set(key, open)
      this.#endpoints.set(key, open)
    }
    return open
  }

  #dropFrom<K, T>(map: LayeredMapDraft<K, readonly T[]>, key: NoInfer<K>, isGone: (item: T) => boolean): void {
    const items = map.get(key)
    if (!items?.some(isGone)) return
    const rest = items.filter((item) => !isGone(item))
    if (rest.length > 0) map.set(key, rest)
    else map.delete(key)
  }
}

function append<K, T>(map: LayeredMapDraft<K, readonly T[]>, key: NoInfer<K>, item: T): void {
  map.set(key, [...(map.get(key) ?? []), item])
}

function addressRank(workload: Workload): number {
  const isPod = workload.uid.includes('//Pod/')
  const isHbone = workload.tunnelProtocol === 'HBONE'
  return isPod ? (isHbone ? 0 : 1) : isHbone ? 2 : 3
}
