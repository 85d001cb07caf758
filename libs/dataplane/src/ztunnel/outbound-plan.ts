import { parseSpiffeId, type SpiffeId } from '@ambient-lab/pki'
import type { Random } from '@ambient-lab/std'
import type { GatewayAddress, L7Proxy, Service, Workload } from '@ambient-lab/xds'
import { formatAddress, type HostPort, type SocketAddress } from '../address.ts'
import { type Rejection, rejection } from '../errors.ts'
import { PORT_HBONE, PORT_INBOUND_PLAINTEXT, PORT_OUTBOUND_CAPTURE, PORT_SOCKS5 } from '../limits.ts'
import type { EndpointSet } from '../state/endpoint-set.ts'
import { type ProxyState, serviceKeyOf } from '../state/proxy-state.ts'
import { type ChosenEndpoint, chooseEndpoint } from './load-balancing.ts'
import {
  chooseNetworkGateway,
  chooseWaypoint,
  isWaypoint,
  leadsToWaypoint,
  waypointOf,
  waypointServices,
} from './waypoint-choice.ts'
import { addressOf } from './workload-address.ts'
import { factsOf } from './workload-facts.ts'

export type OutboundPlan = TunnelPlan | PlainPlan

/** Through an HBONE tunnel to a workload that terminates it: the destination, or its waypoint. */
export interface TunnelPlan {
  readonly kind: 'tunnel'
  /** Who ends the tunnel. */
  readonly destination: Workload
  /** `pod ip:15008`. */
  readonly hboneAddress: SocketAddress
  /** What is asked for inside the tunnel. */
  readonly requested: SocketAddress
  /** `requested` as CONNECT writes it. */
  readonly authority: string
  /** The service that the program meant. */
  readonly service: Service | undefined
  /** The peer must prove to be one of these. */
  readonly expectedIds: readonly SpiffeId[]
  /** Present where `destination` is the gateway of another network: what is asked of it, and whom it leads to. */
  readonly inner?: InnerTunnel
}

/** The tunnel inside of the one to a network's gateway, to whichever pod the gateway picks. */
export interface InnerTunnel {
  /** Those pods, and what their services say besides. */
  readonly expectedIds: readonly SpiffeId[]
  /** Where the connection comes from: addresses of clients have their meaning there. */
  readonly originNetwork: string
}

/** Bytes as they are. */
export interface PlainPlan {
  readonly kind: 'plain'
  /** Undefined for a destination that the mesh does not know. */
  readonly destination: Workload | undefined
  readonly target: HostPort
  readonly service: Service | undefined
}

/** A connection that asks for its way. */
export interface OutboundRequest {
  readonly source: Workload
  /** As the program dialled it: a service's virtual address or a workload's own. */
  readonly destination: SocketAddress
  /** Draws the endpoint; the only chance in the plan. */
  readonly random: Random
  /** Workloads that a service's connection must not lead to: they failed it. @default none */
  readonly avoid?: (uid: string) => boolean
  /** Which proxy of requests asks: it decides whom another network's gateway leads to. @default none, a ztunnel */
  readonly sentBy?: L7Proxy['kind']
}

/**
 * Decides where one captured connection goes. Pure: reads one snapshot, opens nothing.
 * A service address consults the service's waypoint, a workload address the workload's, never both.
 * @returns a plan, or a Rejection with ztunnel's words
 * @see https://istio.io/latest/docs/ambient/architecture/data-plane/
 */
export function planOutbound(state: ProxyState, request: OutboundRequest): OutboundPlan | Rejection {
  const { source, destination, random } = request
  if (isProxyItself(destination)) return rejection('RECURSIVE_CALL', 'attempted recursive call to ourselves')
  const workload = state.workloadByAddress(source.network, destination.address)
  if (workload) return planToWorkload(state, request, workload)
  const service = state.serviceByVip(source.network, destination.address, source.namespace)
  if (!service) return { kind: 'plain', destination: undefined, target: asTarget(destination), service: undefined }
  const gateway = waypointOf(service, random)
  if (gateway) {
    const waypoint = chooseWaypoint(state, source, gateway, destination, random, request.avoid)
    if (waypoint.kind === 'rejection') return waypoint
    if (waypoint.workload.network !== source.network) {
      const expectedIds = waypointIds(waypoint.workload, waypoint.service)
      const { networkGateway: door } = waypoint.workload
      return planThroughGateway(state, request, { door, service, destination, expectedIds })
    }
    return tunnelThrough(waypoint.workload, waypoint.address, waypoint.service, destination, service)
  }
  return planToEndpoint(state, request, service)
}

/** As `planOutbound`, but past every waypoint: where a proxy of requests goes by itself. */
export function planPastWaypoints(state: ProxyState, request: OutboundRequest): OutboundPlan | Rejection {
  const { source, destination } = request
  const workload = state.workloadByAddress(source.network, destination.address)
  if (workload) return planDirect(state, request, workload, destination.port, undefined)
  const service = state.serviceByVip(source.network, destination.address, source.namespace)
  if (service) return planToEndpoint(state, request, service)
  return { kind: 'plain', destination: undefined, target: asTarget(destination), service: undefined }
}

/** What a proxy of requests has for the endpoints of a service in another network. */
export interface NetworkRequest extends Pick<OutboundRequest, 'source' | 'random' | 'sentBy'> {
  readonly service: Service
  readonly servicePort: number
  readonly network: string
  /** Who lets in there. */
  readonly gateway: GatewayAddress
}

/** To whomever the gateway of a network picks: an endpoint of the service, or its waypoint there. Pure. */
export function planToNetwork(state: ProxyState, request: NetworkRequest): TunnelPlan | Rejection {
  const { source, service, servicePort, network, gateway: door } = request
  const address = service.addresses.find((one) => one.network === source.network)?.address ?? ''
  const expectedIds = idsBehindGateway(state, request, service, network)
  const destination = { address, port: servicePort }
  return planThroughGateway(state, request, { door, service, destination, expectedIds })
}

/**
 * Where a connection goes that nothing captures: kube-proxy picks a pod, bytes travel as they are, waypoints and
 * tunnels play no part.
 */
export function planUncaptured(state: ProxyState, request: OutboundRequest): PlainPlan | Rejection {
  const { source, destination, random } = request
  const workload = state.workloadByAddress(source.network, destination.address)
  if (workload) return plainTo(workload, destination.port, destination, undefined)
  const service = state.serviceByVip(source.network, destination.address, source.namespace)
  const chosen = service && chooseEndpoint(state, source, service, destination.port, random, { networks: 'own' })
  if (chosen) return plainTo(chosen.workload, chosen.port, destination, service)
  if (service && service.loadBalancing?.mode !== 'PASSTHROUGH') return noHealthyUpstream(destination)
  return { kind: 'plain', destination: undefined, target: asTarget(destination), service }
}

function planToWorkload(state: ProxyState, request: OutboundRequest, workload: Workload): OutboundPlan | Rejection {
  const { source, destination, random } = request
  const gateway = workload.waypoint
  if (gateway && !isWaypoint(state, source, gateway)) {
    const waypoint = chooseWaypoint(state, source, gateway, destination, random)
    if (waypoint.kind === 'rejection') return waypoint
    if (waypoint.workload.network !== source.network) return noRoute()
    return tunnelThrough(waypoint.workload, waypoint.address, waypoint.service, destination, undefined)
  }
  return planDirect(state, request, workload, destination.port, undefined)
}

function planToEndpoint(state: ProxyState, request: OutboundRequest, service: Service): OutboundPlan | Rejection {
  const { source, destination, random, avoid } = request
  const chosen = chooseEndpoint(state, source, service, destination.port, random, { avoid })
  if (chosen) return planToChosen(state, request, chosen, service)
  if (isCutOff(state, request, service)) return noRoute()
  if (service.loadBalancing?.mode !== 'PASSTHROUGH') return noHealthyUpstream(destination)
  return { kind: 'plain', destination: undefined, target: asTarget(destination), service }
}

function planToChosen(
  state: ProxyState,
  request: OutboundRequest,
  { workload, port }: ChosenEndpoint,
  service: Service,
): OutboundPlan | Rejection {
  const { source, destination } = request
  const { network, networkGateway: door } = workload
  if (network === source.network) return planDirect(state, request, workload, port, service)
  const expectedIds = idsBehindGateway(state, request, service, network)
  return planThroughGateway(state, request, { door, service, destination, expectedIds })
}

/** Whether the service has endpoints, all in other networks, which it is not global for or which have no gateway. */
function isCutOff(state: ProxyState, { source, destination, random }: OutboundRequest, service: Service): boolean {
  return chooseEndpoint(state, source, service, destination.port, random, { networks: 'any' }) !== undefined
}

interface GatewayPassage {
  /** Undefined: nobody lets in. */
  readonly door: GatewayAddress | undefined
  readonly service: Service
  readonly destination: SocketAddress
  /** Of who may be behind it. */
  readonly expectedIds: readonly SpiffeId[]
}

/**
 * To another network: a tunnel to its gateway, which is asked for the service by name and picks an endpoint, and inside
 * of it a tunnel to that endpoint. Workloads of other networks have no addresses here, only services have names there.
 */
function planThroughGateway(
  state: ProxyState,
  { source, random }: Pick<OutboundRequest, 'source' | 'random'>,
  { door, service, destination, expectedIds }: GatewayPassage,
): TunnelPlan | Rejection {
  if (!door) return noRoute()
  const gateway = chooseNetworkGateway(state, source, door, random)
  if (gateway.kind === 'rejection') return gateway
  return {
    kind: 'tunnel',
    destination: gateway.workload,
    hboneAddress: gateway.address,
    requested: destination,
    authority: `${service.hostname}:${destination.port}`,
    service,
    expectedIds: waypointIds(gateway.workload, gateway.service),
    inner: { expectedIds, originNetwork: source.network },
  }
}

/** To the workload itself, whatever waypoints there are: the end of every plan, and all of a waypoint's own. */
export function planDirect(
  state: ProxyState,
  request: OutboundRequest,
  workload: Workload,
  port: number,
  service: Service | undefined,
): OutboundPlan | Rejection {
  const { source, destination } = request
  if (workload.network !== source.network) return noRoute()
  const address = addressOf(workload, service, destination.address)
  if (workload.tunnelProtocol !== 'HBONE' || address === undefined) return plainTo(workload, port, destination, service)
  return {
    kind: 'tunnel',
    destination: workload,
    hboneAddress: { address, port: PORT_HBONE },
    requested: { address, port },
    authority: formatAddress({ address, port }),
    service,
    expectedIds: expectedIdsOf(state, workload),
  }
}

function tunnelThrough(
  waypoint: Workload,
  hboneAddress: SocketAddress,
  waypointService: Service | undefined,
  requested: SocketAddress,
  service: Service | undefined,
): TunnelPlan {
  const expectedIds = waypointIds(waypoint, waypointService)
  return {
    kind: 'tunnel',
    destination: waypoint,
    hboneAddress,
    requested,
    authority: formatAddress(requested),
    service,
    expectedIds,
  }
}

function waypointIds(waypoint: Workload, service: Service | undefined): readonly SpiffeId[] {
  return [factsOf(waypoint).id, ...(service?.subjectAltNames ?? []).map(parseSpiffeId)]
}

/** A workload may have a name instead of an address; who dials resolves it. */
function plainTo(workload: Workload, port: number, dialled: SocketAddress, service: Service | undefined): PlainPlan {
  const host = addressOf(workload, service, dialled.address) ?? workload.hostname
  return { kind: 'plain', destination: workload, target: { host, port }, service }
}

/** The workload's own id, and what its services say besides. */
function expectedIdsOf(state: ProxyState, workload: Workload): readonly SpiffeId[] {
  const ids = [factsOf(workload).id]
  for (const key in workload.services) {
    const names = state.service(key)?.subjectAltNames
    if (names && names.length > 0) ids.push(...names.map(parseSpiffeId))
  }
  return ids
}

/** Of whom the gateway of a network may pick for a service. */
function idsBehindGateway(
  state: ProxyState,
  { source, sentBy }: Pick<OutboundRequest, 'source' | 'sentBy'>,
  service: Service,
  network: string,
): readonly SpiffeId[] {
  if (!leadsToWaypoint(service, sentBy)) return networkIdsOf(state, service, network)
  return waypointServices(state, source, service).flatMap((waypoint) => networkIdsOf(state, waypoint, network))
}

const networkIds = new WeakMap<EndpointSet, Map<string, readonly SpiffeId[]>>()

/** Endpoints of a service in a network; asked for often, and as lasting as the set of its endpoints. */
function networkIdsOf(state: ProxyState, service: Service, network: string): readonly SpiffeId[] {
  const endpoints = state.endpointsOf(serviceKeyOf(service))
  const known = networkIds.get(endpoints) ?? new Map<string, readonly SpiffeId[]>()
  networkIds.set(endpoints, known)
  let ids = known.get(network)
  if (!ids) {
    const byText = new Map<string, SpiffeId>()
    for (const { workload } of endpoints.values()) {
      if (workload.network === network) byText.set(factsOf(workload).identity, factsOf(workload).id)
    }
    ids = [...byText.values()]
    known.set(network, ids)
  }
  return service.subjectAltNames.length > 0 ? [...ids, ...service.subjectAltNames.map(parseSpiffeId)] : ids
}

function noRoute(): Rejection {
  return rejection('NO_ROUTE', 'no valid routing destination for workload')
}

function asTarget({ address, port }: SocketAddress): HostPort {
  return { host: address, port }
}

function noHealthyUpstream(destination: SocketAddress): Rejection {
  return rejection('NO_HEALTHY_UPSTREAM', `no healthy upstream: ${formatAddress(destination)}`)
}

const PROXY_PORTS = [PORT_OUTBOUND_CAPTURE, PORT_INBOUND_PLAINTEXT, PORT_HBONE, PORT_SOCKS5]

/** Whether a tunnel to there would come back to where it started. */
export function isProxyItself({ address, port }: SocketAddress): boolean {
  return PROXY_PORTS.includes(port) && isLoopback(address)
}

/** Whether a workload dials itself, by its own address or its loopback: nobody captures that. */
export function isSelfCall(own: string, destination: SocketAddress): boolean {
  const { address } = destination
  return (address === own || isLoopback(address)) && !isProxyItself(destination)
}

function isLoopback(address: string): boolean {
  return address.startsWith('127.') || address === '::1'
}
