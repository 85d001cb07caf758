import type { Random } from '@ambient-lab/std'
import type { Service, Workload } from '@ambient-lab/xds'
import { parseAuthority, type SocketAddress } from '../address.ts'
import { type Rejection, rejection } from '../errors.ts'
import { PORT_HBONE } from '../limits.ts'
import { type ProxyState, serviceKeyOf } from '../state/proxy-state.ts'
import { chooseEndpoint } from '../ztunnel/load-balancing.ts'
import { chooseWaypoint, leadsToWaypoint, waypointOf } from '../ztunnel/waypoint-choice.ts'
import { addressOf } from '../ztunnel/workload-address.ts'

/** Whose HBONE port the bytes of a tunnel stream go to, unread. */
export interface EastWestPlan {
  readonly kind: 'east-west'
  readonly service: Service
  /** An endpoint of the service, or a pod of its waypoint. */
  readonly workload: Workload
  readonly isWaypoint: boolean
  /** `pod ip:15008`. */
  readonly address: SocketAddress
}

/**
 * Decides where the gateway of a network leads what another network asks of it: to the waypoint of the service, where
 * it has one here, else to an endpoint of this network. Pure. What is inside is meant for whoever is picked, so that
 * only who ends HBONE can be.
 * @param authority a service's host name and port: addresses have no meaning beyond their network
 * @param sentBy which proxy of requests asks, as it says; undefined: a ztunnel. Who says that it is a waypoint, and is
 *   none, gets no further than who dials the pod itself: what may be there, the pod's own policies say
 * @returns a plan, or a Rejection that becomes 400 or 503
 */
export function planEastWest(
  state: ProxyState,
  own: Workload,
  authority: string,
  random: Random,
  sentBy?: string,
): EastWestPlan | Rejection {
  const requested = parseAuthority(authority)
  if (!requested || requested.isIp) return rejection('AUTHORITY_INVALID', 'no valid authority pseudo header')
  const { host, port } = requested
  const hostname = host.endsWith('.') ? host.slice(0, -1) : host
  const service = state.servicesNamed(hostname).find(({ scope }) => scope === 'GLOBAL')
  if (!service) return rejection('HOST_NOT_FOUND', `no service or workload for hostname: ${hostname}`)
  if (!service.ports.some(({ servicePort }) => servicePort === port)) {
    return rejection('SERVICE_PORT_UNRESOLVED', `requested service ${hostname}:${port} found, but cannot resolve port`)
  }
  const waypoint = leadsToWaypoint(service, sentBy) ? toWaypoint(state, own, service, port, random) : undefined
  return waypoint ?? toEndpoint(state, own, service, port, random)
}

/** Undefined for a service without one. A waypoint that is elsewhere is none of ours: policies would not be kept. */
function toWaypoint(
  state: ProxyState,
  own: Workload,
  service: Service,
  port: number,
  random: Random,
): EastWestPlan | Rejection | undefined {
  const gateway = waypointOf(service, random)
  if (!gateway) return undefined
  const avoid = (uid: string) => state.workload(uid)?.network !== own.network
  const waypoint = chooseWaypoint(state, own, gateway, { address: '', port }, random, avoid)
  if (waypoint.kind === 'rejection') return waypoint
  const { workload, address } = waypoint
  return { kind: 'east-west', service, workload, isWaypoint: true, address }
}

function toEndpoint(
  state: ProxyState,
  own: Workload,
  service: Service,
  port: number,
  random: Random,
): EastWestPlan | Rejection {
  const avoid = (uid: string) => state.workload(uid)?.tunnelProtocol !== 'HBONE'
  const chosen = chooseEndpoint(state, own, service, port, random, { networks: 'own', avoid })
  const address = chosen && addressOf(chosen.workload, service, '')
  if (!chosen || address === undefined) {
    return rejection('NO_HEALTHY_UPSTREAM', `no healthy upstream: ${serviceKeyOf(service)}:${port}`)
  }
  return {
    kind: 'east-west',
    service,
    workload: chosen.workload,
    isWaypoint: false,
    address: { address, port: PORT_HBONE },
  }
}
