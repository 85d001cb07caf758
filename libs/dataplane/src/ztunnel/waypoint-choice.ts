import type { Random } from '@ambient-lab/std'
import type { GatewayAddress, L7Proxy, Service, Workload } from '@ambient-lab/xds'
import type { SocketAddress } from '../address.ts'
import { type Rejection, rejection } from '../errors.ts'
import { type ProxyState, serviceKeyOf } from '../state/proxy-state.ts'
import { chooseEndpoint } from './load-balancing.ts'
import { addressOf } from './workload-address.ts'

/** A waypoint's pod, and where it takes HBONE. */
export interface WaypointChoice {
  readonly kind: 'waypoint'
  readonly workload: Workload
  readonly address: SocketAddress
  /** The waypoint's service, whose SANs count; undefined for one that is named by a pod's address. */
  readonly service: Service | undefined
}

/** The waypoint a service's connection goes to: one of the weighted ones, drawn per connection, or the plain one. */
export function waypointOf(service: Service, random: Random): GatewayAddress | undefined {
  const weighted = service.weightedWaypoints ?? []
  const total = weighted.reduce((sum, { weight }) => sum + weight, 0)
  if (total === 0) return service.waypoint
  let rest = random.next() * total
  for (const { destination, weight } of weighted) {
    rest -= weight
    if (rest < 0) return destination
  }
  return service.waypoint
}

/**
 * Whether the gateway of a network leads to the waypoint that a service has there: what a waypoint sends has passed one,
 * and what a gateway into the mesh sends goes there for services that want it.
 * @param sentBy what the other network's proxy says that it is; anything else than those two is no reason
 */
export function leadsToWaypoint(service: Service, sentBy: L7Proxy['kind'] | string | undefined): boolean {
  if (!service.waypoint && !service.weightedWaypoints?.some(({ weight }) => weight > 0)) return false
  if (sentBy === 'waypoint') return false
  return sentBy !== 'gateway' || service.ingressUseWaypoint
}

/** The services of all waypoints that connections of a service may go to. */
export function waypointServices(state: ProxyState, source: Workload, service: Service): readonly Service[] {
  const weighted = (service.weightedWaypoints ?? []).filter(({ weight }) => weight > 0)
  const gateways = weighted.length > 0 ? weighted.map(({ destination }) => destination) : [service.waypoint]
  return gateways.flatMap((gateway) => (gateway && findGateway(state, source, gateway).service) ?? [])
}

/** Resolves a waypoint's name or address to one of its pods. */
export function chooseWaypoint(
  state: ProxyState,
  source: Workload,
  gateway: GatewayAddress,
  dialled: SocketAddress,
  random: Random,
  avoid?: (uid: string) => boolean,
): WaypointChoice | Rejection {
  const { service, workload } = findGateway(state, source, gateway)
  const port = gateway.hboneMtlsPort
  if (workload) {
    const address = gateway.address?.address ?? addressOf(workload, undefined, dialled.address)
    if (address === undefined) return unknownWaypoint(gateway)
    return { kind: 'waypoint', workload, address: { address, port }, service: undefined }
  }
  const chosen = service && chooseEndpoint(state, source, service, port, random, { avoid, networks: 'any' })
  const address = chosen && addressOf(chosen.workload, service, dialled.address)
  if (!chosen || address === undefined) return unknownWaypoint(gateway)
  return { kind: 'waypoint', workload: chosen.workload, address: { address, port: chosen.port }, service }
}

/** Resolves the gateway of another network to one of its pods; what is wrong with it is told as a missing waypoint is. */
export function chooseNetworkGateway(
  state: ProxyState,
  source: Workload,
  gateway: GatewayAddress,
  random: Random,
): WaypointChoice | Rejection {
  const chosen = chooseWaypoint(state, source, gateway, { address: '', port: gateway.hboneMtlsPort }, random)
  if (chosen.kind === 'waypoint') return chosen
  return rejection('UNKNOWN_NETWORK_GATEWAY', `unknown network gateway: network gateway ${nameOf(gateway)} not found`)
}

/** Whether `workload` is (a pod of) the waypoint that `gateway` names. */
export function isWaypoint(state: ProxyState, workload: Workload, gateway: GatewayAddress): boolean {
  const found = findGateway(state, workload, gateway)
  if (found.workload) return found.workload.uid === workload.uid
  return found.service !== undefined && state.endpointsOf(serviceKeyOf(found.service)).has(workload.uid)
}

function findGateway(
  state: ProxyState,
  source: Workload,
  gateway: GatewayAddress,
): { service?: Service | undefined; workload?: Workload | undefined } {
  if (gateway.hostname) return { service: state.service(serviceKeyOf(gateway.hostname)) }
  if (!gateway.address) return {}
  const { network, address } = gateway.address
  const workload = state.workloadByAddress(network, address)
  return workload ? { workload } : { service: state.serviceByVip(network, address, source.namespace) }
}

function unknownWaypoint(gateway: GatewayAddress): Rejection {
  return rejection('UNKNOWN_WAYPOINT', `unknown waypoint: waypoint ${nameOf(gateway)} not found`)
}

function nameOf(gateway: GatewayAddress): string {
  return gateway.hostname?.hostname ?? gateway.address?.address ?? ''
}
