import type { Random } from '@ambient-lab/std'
import type { RoutingScope, Service, Workload } from '@ambient-lab/xds'
import { type Endpoint, isUsable, targetPortOf } from '../state/endpoint-set.ts'
import { type ProxyState, serviceKeyOf } from '../state/proxy-state.ts'

export interface ChosenEndpoint {
  readonly workload: Workload
  /** Container port. */
  readonly port: number
}

/** `reachable`: those of the source's network, and of others where the service is global and a gateway lets in. */
export type EndpointNetworks = 'reachable' | 'own' | 'any'

export interface EndpointOptions {
  /** Of which networks the endpoint may be. @default reachable */
  readonly networks?: EndpointNetworks
  /** The endpoint takes whole connections on its application tunnel. @default false */
  readonly throughTunnel?: boolean
  /** Workloads that must not be chosen. @default none */
  readonly avoid?: ((uid: string) => boolean) | undefined
}

/**
 * One endpoint of a service, at random by capacity among those that are closest by the service's routing preference.
 * Two passes and no list, so that a service with many endpoints costs no garbage.
 */
export function chooseEndpoint(
  state: ProxyState,
  source: Workload,
  service: Service,
  servicePort: number,
  random: Random,
  options: EndpointOptions = {},
): ChosenEndpoint | undefined {
  const endpoints = state.endpointsOf(serviceKeyOf(service))
  const { throughTunnel = false, avoid, networks = 'reachable' } = options
  const candidate = (endpoint: Endpoint) =>
    avoid?.(endpoint.workload.uid) || !isWithin(networks, source, endpoint.workload, service)
      ? -1
      : rankOf(endpoint, source, service, servicePort, throughTunnel)
  let topRank = 0
  let totalWeight = 0
  for (const endpoint of endpoints.values()) {
    const rank = candidate(endpoint)
    if (rank < topRank) continue
    if (rank > topRank) totalWeight = 0
    topRank = rank
    totalWeight += endpoint.workload.capacity
  }
  if (totalWeight === 0) return undefined
  let rest = random.next() * totalWeight
  for (const endpoint of endpoints.values()) {
    const { capacity } = endpoint.workload
    if (candidate(endpoint) !== topRank || capacity === 0) continue
    rest -= capacity
    if (rest >= 0) continue
    return { workload: endpoint.workload, port: targetPortOf(endpoint, service, servicePort, throughTunnel)! }
  }
  return undefined
}

function isWithin(networks: EndpointNetworks, source: Workload, workload: Workload, service: Service): boolean {
  if (workload.network === source.network || networks === 'any') return true
  return networks === 'reachable' && service.scope === 'GLOBAL' && workload.networkGateway !== undefined
}

/** 0 and up by closeness, or -1 for an endpoint that must not be used at all. */
function rankOf(
  endpoint: Endpoint,
  source: Workload,
  service: Service,
  servicePort: number,
  throughTunnel: boolean,
): number {
  const { workload } = endpoint
  const isNowhere = workload.addresses.length === 0 && workload.hostname === ''
  if (isNowhere && (workload.network === source.network || !workload.networkGateway)) return -1
  if (!isUsable(endpoint, service)) return -1
  if (targetPortOf(endpoint, service, servicePort, throughTunnel) === undefined) return -1
  const balancing = service.loadBalancing
  if (!balancing || balancing.routingPreference.length === 0) return 0
  return localityRank(source, workload, balancing.routingPreference, balancing.mode === 'STRICT')
}

/**
 * How many scopes match in a row from the first. NETWORK in the first place is special: a mismatch goes on counting,
 * and a match outranks whatever a workload of another network can reach.
 */
function localityRank(
  source: Workload,
  workload: Workload,
  scopes: readonly RoutingScope[],
  allRequired: boolean,
): number {
  let rank = 0
  for (let index = 0; index < scopes.length; index += 1) {
    const isNetworkFirst = index === 0 && scopes[0] === 'NETWORK'
    if (sharesScope(source, workload, scopes[index]!)) rank += isNetworkFirst ? scopes.length : 1
    else if (allRequired) return -1
    else if (!isNetworkFirst) break
  }
  return rank
}

function sharesScope(a: Workload, b: Workload, scope: RoutingScope): boolean {
  switch (scope) {
    case 'REGION':
      return (a.locality?.region ?? '') === (b.locality?.region ?? '')
    case 'ZONE':
      return (a.locality?.zone ?? '') === (b.locality?.zone ?? '')
    case 'SUBZONE':
      return (a.locality?.subzone ?? '') === (b.locality?.subzone ?? '')
    case 'NODE':
      return a.node === b.node
    case 'CLUSTER':
      return a.clusterId === b.clusterId
    case 'NETWORK':
      return a.network === b.network
  }
}
