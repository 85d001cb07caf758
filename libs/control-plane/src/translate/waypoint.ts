import type { Gateway, GatewayClass, LabelSelector, ObjectMeta } from '@ambient-lab/api'
import { GATEWAY_NAME_LABEL } from '@ambient-lab/api'
import type { GatewayAddress, Workload } from '@ambient-lab/xds'
import { GATEWAY_CLASSES, GATEWAYS } from '../stored-kinds.ts'
import type { TranslationView } from './view.ts'

export type WaypointTraffic = 'service' | 'workload' | 'all' | 'none'

/** Which namespaces may use a waypoint: `allowedRoutes.namespaces` of the listener that takes its traffic. */
export interface AllowedRoutes {
  readonly from: 'Same' | 'All' | 'Selector'
  readonly selector?: LabelSelector
}

/** How a waypoint that cannot speak HBONE gets its traffic: from its ztunnel, on this port. */
export interface InboundBinding {
  readonly protocol: 'NONE' | 'PROXY'
  /** 0: no port was given. */
  readonly port: number
}

/** A Gateway that can be used as a waypoint: one that was ready at least once. */
export interface Waypoint {
  readonly namespace: string
  readonly name: string
  readonly address: GatewayAddress
  readonly traffic: WaypointTraffic
  readonly allowedRoutes: AllowedRoutes
  readonly binding: InboundBinding | undefined
}

const MESH_CONTROLLER = 'istio.io/mesh-controller'
const WAYPOINT_CLASS = 'istio-waypoint'
const WAYPOINT_FOR = 'istio.io/waypoint-for'
const INBOUND_BINDING = 'ambient.istio.io/waypoint-inbound-binding'
const HBONE_PORT = 15008

/** By `namespace/name` of its Gateway; undefined while there is no such Gateway, and until it was ready once. */
export function waypointByKey(view: Pick<TranslationView, 'get' | 'mesh'>, key: string): Waypoint | undefined {
  const gateway = view.get(GATEWAYS, key)
  if (!gateway) return undefined
  return waypointOf(gateway, view.get(GATEWAY_CLASSES, gateway.spec?.gatewayClassName ?? ''), view.mesh.network)
}

/**
 * @param gatewayClass its class; `istio-waypoint` is known without one
 * @param network of addresses that are no host names
 */
export function waypointOf(
  gateway: Gateway,
  gatewayClass: GatewayClass | undefined,
  network: string,
): Waypoint | undefined {
  const binding = inboundBinding(gateway, gatewayClass)
  if (!isMeshControlled(gateway, gatewayClass) && !binding) return undefined
  const address = waypointAddress(gateway, network)
  if (!address) return undefined
  const { namespace = '', name } = gateway.metadata
  return {
    namespace,
    name,
    address,
    traffic: waypointTraffic(gateway, gatewayClass),
    allowedRoutes: allowedRoutes(gateway, binding),
    binding,
  }
}

/** Gateways with a binding are waypoints of another make; all others have to be of Istio's own class. */
function isMeshControlled({ spec }: Gateway, gatewayClass: GatewayClass | undefined): boolean {
  if (!gatewayClass) return spec?.gatewayClassName === WAYPOINT_CLASS
  return gatewayClass.spec?.controllerName === MESH_CONTROLLER
}

/** A host name is preferred, for addresses may be shared. */
function waypointAddress({ metadata, status }: Gateway, network: string): GatewayAddress | undefined {
  const addresses = status?.addresses ?? []
  const hostname = addresses.find(({ type }) => type === 'Hostname')?.value
  if (hostname) {
    return { hostname: { namespace: metadata.namespace ?? '', hostname }, hboneMtlsPort: HBONE_PORT }
  }
  const address = addresses[0]?.value
  return address ? { address: { network, address }, hboneMtlsPort: HBONE_PORT } : undefined
}

/** The Gateway's label counts before its class's. */
export function waypointTraffic(gateway: Gateway, gatewayClass: GatewayClass | undefined): WaypointTraffic {
  const label = gateway.metadata.labels?.[WAYPOINT_FOR] ?? gatewayClass?.metadata.labels?.[WAYPOINT_FOR]
  const value = label?.toLowerCase()
  return value === 'workload' || value === 'all' || value === 'none' ? value : 'service'
}

/** `PROXY/15088`, `PROXY`, `NONE/8080`: the Gateway's annotation, else its class's; undefined for anything else. */
export function inboundBinding(gateway: Gateway, gatewayClass: GatewayClass | undefined): InboundBinding | undefined {
  const text = gateway.metadata.annotations?.[INBOUND_BINDING] ?? gatewayClass?.metadata.annotations?.[INBOUND_BINDING]
  const match = /^(PROXY|NONE)(?:\/(\d{1,5}))?$/.exec(text ?? '')
  return match ? { protocol: match[1] as InboundBinding['protocol'], port: Number(match[2] ?? 0) } : undefined
}

/** Of the HBONE listener, or of that which the binding names; without one the waypoint serves its own namespace. */
export function allowedRoutes({ spec }: Gateway, binding: InboundBinding | undefined): AllowedRoutes {
  const protocol = binding ? `istio.io/${binding.protocol}` : 'HBONE'
  const port = binding ? binding.port : HBONE_PORT
  const listener = spec?.listeners?.find(
    (candidate) => candidate.protocol === protocol && (port === 0 || candidate.port === port),
  )
  const namespaces = (listener?.allowedRoutes as { readonly namespaces?: Partial<AllowedRoutes> } | undefined)
    ?.namespaces
  if (namespaces?.from === 'All') return { from: 'All' }
  if (namespaces?.from === 'Selector') return { from: 'Selector', selector: namespaces.selector ?? {} }
  return { from: 'Same' }
}

/** What a waypoint's own pod gets from its ztunnel, when it does not speak HBONE itself. */
export function applicationTunnelOf(
  view: Pick<TranslationView, 'get' | 'mesh'>,
  { namespace = '', labels }: ObjectMeta,
): Pick<Workload, 'applicationTunnel'> {
  const gateway = labels?.[GATEWAY_NAME_LABEL]
  const binding = gateway === undefined ? undefined : waypointByKey(view, `${namespace}/${gateway}`)?.binding
  return binding ? { applicationTunnel: { protocol: binding.protocol, port: binding.port } } : {}
}
