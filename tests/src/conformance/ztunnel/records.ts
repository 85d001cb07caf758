import { type ProxyState, ProxyStateHolder } from '@ambient-lab/dataplane'
import {
  ADDRESS_TYPE,
  type Address,
  type GatewayAddress,
  type LoadBalancing,
  type NetworkAddress,
  type PortMapping,
  type Service,
  type Workload,
} from '@ambient-lab/xds'

interface GatewayRecord {
  /** `network/address`, under either name. */
  readonly address?: string
  readonly destination?: string
  readonly hboneMtlsPort: number
}

/** A workload as the corpus writes one: ztunnel's own structs, or the messages they come from. */
export interface WorkloadRecord extends Omit<Partial<Workload>, 'waypoint' | 'networkMode' | 'locality' | 'services'> {
  readonly services?: Workload['services'] | readonly string[]
  readonly workloadIps?: readonly string[]
  readonly protocol?: string
  readonly waypoint?: GatewayRecord
  readonly networkMode?: string
  readonly locality?: Workload['locality'] | null
}

export interface ServiceRecord
  extends Omit<Partial<Service>, 'addresses' | 'ports' | 'waypoint' | 'loadBalancing' | 'ipFamilies' | 'visibility'> {
  readonly vips?: readonly string[]
  readonly cidrVips?: readonly string[]
  readonly addresses?: readonly string[]
  readonly ports?: Readonly<Record<string, number>> | Service['ports']
  readonly endpoints?: readonly (
    | string
    | { readonly workloadUid: string; readonly port: Readonly<Record<string, number>> }
  )[]
  readonly waypoint?: GatewayRecord
  readonly loadBalancing?: BalancerRecord
  readonly loadBalancer?: BalancerRecord
  readonly ipFamilies?: string
  readonly visibility?: string
}

interface BalancerRecord {
  readonly mode: string
  readonly routingPreferences?: readonly string[]
  readonly healthPolicy?: string
}

/** `network/address`, with an optional prefix length. */
export function networkAddress(text: string): NetworkAddress {
  const [network = '', address = '', length] = text.split('/')
  return { network, address, ...(length !== undefined && { length: Number(length) }) }
}

export function workloadOf(record: WorkloadRecord): Workload {
  const { workloadIps, protocol, waypoint, networkMode, locality, services, ...rest } = record
  const name = record.name ?? record.uid?.split('/').at(-1) ?? ''
  // The corpus names services of no namespace `/host`; ours live in default.
  const memberships = Object.entries(named(services)).map(([key, ports]) => [key.replace(/^\//, 'default/'), ports])
  return {
    ...WORKLOAD_DEFAULTS,
    uid: `cluster1//v1/Pod/${record.namespace ?? 'default'}/${name}`,
    serviceAccount: name,
    tunnelProtocol: protocol === 'HBONE' ? 'HBONE' : 'NONE',
    ...rest,
    name,
    namespace: record.namespace ?? 'default',
    addresses: record.addresses ?? workloadIps ?? [],
    services: Object.fromEntries(memberships),
    ...(waypoint && { waypoint: gatewayOf(waypoint) }),
    networkMode: networkMode === undefined || networkMode === 'Standard' ? 'STANDARD' : 'HOST_NETWORK',
    ...(locality && { locality }),
  }
}

const WORKLOAD_DEFAULTS: Omit<Workload, 'uid' | 'name' | 'namespace' | 'addresses' | 'serviceAccount'> = {
  hostname: '',
  network: '',
  tunnelProtocol: 'NONE',
  trustDomain: 'cluster.local',
  node: 'node',
  clusterId: 'Kubernetes',
  canonicalName: '',
  canonicalRevision: '',
  workloadType: 'DEPLOYMENT',
  workloadName: '',
  nativeTunnel: false,
  authorizationPolicies: [],
  status: 'HEALTHY',
  services: {},
  capacity: 1,
  networkMode: 'STANDARD',
}

function named(services: WorkloadRecord['services'] = {}): Workload['services'] {
  return isList(services) ? Object.fromEntries(services.map((key) => [key, []])) : services
}

function isList(value: unknown): value is readonly string[] {
  return Array.isArray(value)
}

function gatewayOf(record: GatewayRecord): GatewayAddress {
  const { network, address } = networkAddress(record.address ?? record.destination ?? '')
  return { address: { network, address }, hboneMtlsPort: record.hboneMtlsPort }
}

export function serviceOf(record: ServiceRecord): Service {
  const { vips, cidrVips, addresses, ports, endpoints, waypoint, loadBalancing, loadBalancer, ...rest } = record
  const balancer = loadBalancer ?? loadBalancing
  return {
    subjectAltNames: [],
    canonical: false,
    ingressUseWaypoint: false,
    hostname: '',
    ...rest,
    name: record.name ?? record.hostname ?? 'service',
    namespace: record.namespace ?? 'default',
    addresses: [...(vips ?? []), ...(cidrVips ?? []), ...(addresses ?? [])].map(networkAddress),
    ports: portsOf(ports),
    ...(waypoint && { waypoint: gatewayOf(waypoint) }),
    ipFamilies: constant(record.ipFamilies ?? 'Automatic') as Service['ipFamilies'],
    visibility: constant(record.visibility ?? 'Public') as Service['visibility'],
    ...(balancer && { loadBalancing: balancingOf(balancer) }),
  }
}

function portsOf(ports: ServiceRecord['ports'] = {}): Service['ports'] {
  if (Array.isArray(ports)) return ports
  return portMappings(ports as Readonly<Record<string, number>>).map((mapping) => ({
    ...mapping,
    appProtocol: 'UNKNOWN' as const,
  }))
}

function balancingOf({ mode, routingPreferences = [], healthPolicy }: BalancerRecord): LoadBalancing {
  return {
    mode: constant(mode) as LoadBalancing['mode'],
    routingPreference: routingPreferences.map(constant) as LoadBalancing['routingPreference'][number][],
    healthPolicy: healthPolicy === 'AllowAll' ? 'ALLOW_ALL' : 'ONLY_HEALTHY',
  }
}

/** `IPV6_ONLY` of `Ipv6Only`, as the messages spell what the structs say. */
function constant(text: string): string {
  return text.replaceAll(/(?<=[a-z0-9])([A-Z])/g, '_$1').toUpperCase()
}

/**
 * Endpoints of the corpus belong to the service, ours to the workload: they are moved over.
 * @throws Error when the state refuses a record
 */
export function stateOf(services: readonly ServiceRecord[], workloads: readonly WorkloadRecord[]): ProxyState {
  const resources: Address[] = [
    ...services.map((record) => ({ service: serviceOf(record) })),
    ...workloads.map((record) => ({ workload: withMemberships(workloadOf(record), services) })),
  ]
  const holder = new ProxyStateHolder()
  const upserts = resources.map((resource) => ({
    name: 'workload' in resource ? resource.workload.uid : `${resource.service.namespace}/${resource.service.hostname}`,
    resource,
  }))
  const [refused] = holder.apply(ADDRESS_TYPE, upserts, [])
  if (refused) throw new Error(`the state refused ${JSON.stringify(refused)}`)
  return holder.current
}

function withMemberships(workload: Workload, services: readonly ServiceRecord[]): Workload {
  const memberships = services.flatMap((record) => {
    const { namespace, hostname } = serviceOf(record)
    return (record.endpoints ?? []).flatMap((endpoint) => {
      const { workloadUid, port } = typeof endpoint === 'string' ? { workloadUid: endpoint, port: {} } : endpoint
      return workloadUid === workload.uid ? [[`${namespace}/${hostname}`, portMappings(port)] as const] : []
    })
  })
  return { ...workload, services: { ...workload.services, ...Object.fromEntries(memberships) } }
}

function portMappings(ports: Readonly<Record<string, number>>): PortMapping[] {
  return Object.entries(ports).map(([servicePort, targetPort]) => ({ servicePort: Number(servicePort), targetPort }))
}
