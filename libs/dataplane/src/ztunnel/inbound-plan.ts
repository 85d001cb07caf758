import type { Service, Workload } from '@ambient-lab/xds'
import { formatAddress, parseAuthority, type SocketAddress } from '../address.ts'
import { type Rejection, rejection } from '../errors.ts'
import { PORT_HBONE, PORT_INBOUND_PLAINTEXT, PORT_OUTBOUND_CAPTURE } from '../limits.ts'
import { targetPortOf } from '../state/endpoint-set.ts'
import { type ProxyState, serviceKeyOf } from '../state/proxy-state.ts'
import { isWaypoint } from './waypoint-choice.ts'

/** Where a CONNECT that was accepted leads: always to the workload it reached. */
export interface InboundPlan {
  readonly kind: 'inbound'
  /** The workload's own address and the port to dial there. */
  readonly upstream: SocketAddress
  /** Of an application tunnel: the original destination, for the PROXY protocol header ahead of the bytes. */
  readonly tunnelTarget: SocketAddress | undefined
  /** The service that the authority named, if it named one. */
  readonly service: Service | undefined
}

/**
 * Decides what a CONNECT may reach. Pure. The authority must be the workload that the tunnel was opened to, or
 * something whose waypoint this workload is.
 * @param local the workload whose certificate the peer saw
 * @returns a plan, or a Rejection that becomes 400 or 503
 */
export function planInbound(state: ProxyState, local: Workload, authority: string): InboundPlan | Rejection {
  const requested = parseAuthority(authority)
  if (!requested) return rejection('AUTHORITY_INVALID', 'no valid authority pseudo header')
  const { host, port } = requested
  return requested.isIp
    ? planByAddress(state, local, { address: host, port })
    : planByHostname(state, local, host, port)
}

function planByAddress(state: ProxyState, local: Workload, requested: SocketAddress): InboundPlan | Rejection {
  const isOwn = local.addresses.includes(requested.address)
  if (!isOwn && !local.applicationTunnel && !isWaypointFor(state, local, requested)) {
    return rejection('AUTHORITY_MISMATCH', `ip mismatch: ${local.addresses[0] ?? ''} != ${requested.address}`)
  }
  return planToPort(local, isOwn ? requested.address : local.addresses[0], requested.port, requested, undefined)
}

function planByHostname(state: ProxyState, local: Workload, host: string, port: number): InboundPlan | Rejection {
  const hostname = host.endsWith('.') ? host.slice(0, -1) : host
  const service = state.serviceByHostname(hostname, local.namespace)
  if (!service) {
    if (local.hostname === hostname) return planToPort(local, local.addresses[0], port, undefined, undefined)
    return rejection('HOST_NOT_FOUND', `no service or workload for hostname: ${hostname}`)
  }
  const isItsWaypoint = service.waypoint !== undefined && isWaypoint(state, local, service.waypoint)
  const endpoint = state.endpointsOf(serviceKeyOf(service)).get(local.uid) ?? { workload: local, ports: [] }
  const targetPort = isItsWaypoint ? port : targetPortOf(endpoint, service, port)
  if (targetPort === undefined) {
    return rejection('SERVICE_PORT_UNRESOLVED', `requested service ${hostname}:${port} found, but cannot resolve port`)
  }
  return planToPort(local, local.addresses[0], targetPort, undefined, service)
}

function planToPort(
  local: Workload,
  address: string | undefined,
  port: number,
  requested: SocketAddress | undefined,
  service: Service | undefined,
): InboundPlan | Rejection {
  const target = { address: address ?? '', port }
  const tunnel = local.applicationTunnel
  if (tunnel?.protocol === 'PROXY') {
    const upstream = { address: target.address, port: tunnel.port }
    return { kind: 'inbound', upstream, tunnelTarget: requested ?? target, service }
  }
  if (port === PORT_OUTBOUND_CAPTURE || port === PORT_INBOUND_PLAINTEXT || port === PORT_HBONE) {
    return rejection('RECURSIVE_CALL', `attempted recursive call to ourselves: ${formatAddress(target)}`)
  }
  return { kind: 'inbound', upstream: target, tunnelTarget: undefined, service }
}

/** Whether the address is a workload's or service's whose waypoint is `local`. */
function isWaypointFor(state: ProxyState, local: Workload, requested: SocketAddress): boolean {
  const workload = state.workloadByAddress(local.network, requested.address)
  const owner = workload ?? state.serviceByVip(local.network, requested.address, undefined)
  if (!owner) return false
  if (owner.waypoint && isWaypoint(state, local, owner.waypoint)) return true
  const weighted = 'weightedWaypoints' in owner ? (owner.weightedWaypoints ?? []) : []
  return weighted.some(({ destination }) => isWaypoint(state, local, destination))
}
