import { type Cidr, cidrContains, PolicySet, parseIp } from '@ambient-lab/policy'
import type { Node, Service, ServiceKey, Workload } from '@ambient-lab/xds'
import { type EndpointSet, NO_ENDPOINTS } from './endpoint-set.ts'

/** `network/address`, the key of every index by address. */
export type NetworkAddressKey = `${string}/${string}`

/** A service's VIP that is a whole range. */
export interface VipRange {
  readonly network: string
  readonly cidr: Cidr
  readonly service: Service
}

/** The maps behind a ProxyState; replaced, never changed, once a state holds them. */
export interface ProxyStateIndexes {
  readonly workloads: ReadonlyMap<string, Workload>
  /** Several only while two workloads claim one address; the one that counts is first. */
  readonly workloadsByAddress: ReadonlyMap<NetworkAddressKey, readonly Workload[]>
  readonly services: ReadonlyMap<ServiceKey, Service>
  readonly servicesByVip: ReadonlyMap<NetworkAddressKey, readonly Service[]>
  readonly vipRanges: readonly VipRange[]
  readonly servicesByHostname: ReadonlyMap<string, readonly Service[]>
  readonly endpoints: ReadonlyMap<ServiceKey, EndpointSet>
  readonly policies: PolicySet
  readonly nodes: ReadonlyMap<string, Node>
}

/**
 * Everything the control plane told, as one immutable snapshot. Decisions take one and so see one moment.
 */
export class ProxyState {
  static readonly empty = new ProxyState(
    {
      workloads: new Map(),
      workloadsByAddress: new Map(),
      services: new Map(),
      servicesByVip: new Map(),
      vipRanges: [],
      servicesByHostname: new Map(),
      endpoints: new Map(),
      policies: PolicySet.empty,
      nodes: new Map(),
    },
    0,
  )

  readonly indexes: ProxyStateIndexes
  /** Grows by one with each swap. */
  readonly version: number

  constructor(indexes: ProxyStateIndexes, version: number) {
    this.indexes = indexes
    this.version = version
  }

  get policies(): PolicySet {
    return this.indexes.policies
  }

  workload(uid: string): Workload | undefined {
    return this.indexes.workloads.get(uid)
  }

  /** The workload that owns an address. Pods of the host's network are not found: their address is the node's. */
  workloadByAddress(network: string, address: string): Workload | undefined {
    return this.indexes.workloadsByAddress.get(`${network}/${address}`)?.[0]
  }

  service(key: ServiceKey): Service | undefined {
    return this.indexes.services.get(key)
  }

  node(name: string): Node | undefined {
    return this.indexes.nodes.get(name)
  }

  endpointsOf(key: ServiceKey): EndpointSet {
    return this.indexes.endpoints.get(key) ?? NO_ENDPOINTS
  }

  /**
   * The service behind a virtual address as a client of `clientNamespace` sees it: an exact address before a range;
   * among ranges the client's own namespace first, then the longest prefix.
   */
  serviceByVip(network: string, address: string, clientNamespace: string | undefined): Service | undefined {
    const exact = this.indexes.servicesByVip.get(`${network}/${address}`)
    const service = exact && preferredService(exact, clientNamespace)
    if (service || this.indexes.vipRanges.length === 0) return service
    return this.#serviceByRange(network, address, clientNamespace)
  }

  /** The service of a host name, a wildcard's (`*.example.com`) when no exact name fits. */
  serviceByHostname(hostname: string, clientNamespace: string | undefined): Service | undefined {
    const byName = this.indexes.servicesByHostname
    const exact = byName.get(hostname)
    const service = exact && preferredService(exact, clientNamespace)
    if (service) return service
    for (let dot = hostname.indexOf('.'); dot >= 0; dot = hostname.indexOf('.', dot + 1)) {
      const wildcards = byName.get(`*${hostname.slice(dot)}`)
      const wildcard = wildcards && preferredService(wildcards, clientNamespace)
      if (wildcard) return wildcard
    }
    return undefined
  }

  /** All services of exactly this host name, visible or not. */
  servicesNamed(hostname: string): readonly Service[] {
    return this.indexes.servicesByHostname.get(hostname) ?? []
  }

  #serviceByRange(network: string, address: string, clientNamespace: string | undefined): Service | undefined {
    const ip = parseIp(address)
    if (!ip) return undefined
    let best: VipRange | undefined
    for (const range of this.indexes.vipRanges) {
      if (range.network !== network || !isVisible(range.service, clientNamespace)) continue
      if (!cidrContains(range.cidr, ip)) continue
      if (!best || isPreferredRange(range, best, clientNamespace)) best = range
    }
    return best?.service
  }
}

/** Visible → same namespace → canonical → of the preferred namespace → first. */
export function preferredService(
  candidates: readonly Service[],
  clientNamespace: string | undefined,
  preferredNamespace?: string,
): Service | undefined {
  let best: Service | undefined
  for (const service of candidates) {
    if (!isVisible(service, clientNamespace)) continue
    if (service.namespace === clientNamespace) return service
    if (!best || claim(service, preferredNamespace) > claim(best, preferredNamespace)) best = service
  }
  return best
}

function claim(service: Service, preferredNamespace: string | undefined): number {
  if (service.canonical) return 2
  return service.namespace === preferredNamespace ? 1 : 0
}

function isVisible(service: Service, clientNamespace: string | undefined): boolean {
  return service.visibility === 'PUBLIC' || clientNamespace === undefined || service.namespace === clientNamespace
}

function isPreferredRange(range: VipRange, best: VipRange, clientNamespace: string | undefined): boolean {
  const isOwn = range.service.namespace === clientNamespace
  const bestIsOwn = best.service.namespace === clientNamespace
  return isOwn === bestIsOwn ? range.cidr.prefixLength > best.cidr.prefixLength : isOwn
}

/** `namespace/hostname`, as services are named on the wire. */
export function serviceKeyOf(service: Pick<Service, 'namespace' | 'hostname'>): ServiceKey {
  return `${service.namespace}/${service.hostname}`
}
