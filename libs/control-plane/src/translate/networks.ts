import type { Gateway, Pod, Resource } from '@ambient-lab/api'
import type { GatewayAddress, NetworkAddress } from '@ambient-lab/xds'
import { builtinClassOf } from '../gateways/gateway-classes.ts'
import { deployedName, isDeployed } from '../gateways/gateway-names.ts'
import type { MeshConfig } from '../mesh-config.ts'
import type { StoreEvent } from '../store/store.ts'
import { GATEWAY_CLASSES, GATEWAYS, type KnownType, NAMESPACES, NODES } from '../stored-kinds.ts'
import { serviceHostname } from './service-info.ts'
import type { Touched } from './translation.ts'
import type { ObjectReader, TranslationView } from './view.ts'

export const NETWORK_LABEL = 'topology.istio.io/network'
const HBONE_PORT = 15008

/** The networks of one mesh: between two of them no address has a meaning, and gateways lead from one to the other. */
export interface Networks {
  /** Of whoever says nothing else: the root namespace's label, else the mesh's settings. */
  readonly own: string
  /** Those that a workload here may be in, sorted: the own one, and each that a Node or an east-west Gateway names. */
  readonly all: readonly string[]
  readonly gateways: ReadonlyMap<string, GatewayAddress>
}

/** Reads all Nodes and Gateways; the view keeps the outcome until one of them changes. */
export function networksOf(reader: ObjectReader, mesh: MeshConfig): Networks {
  const own = labelOf(reader.get(NAMESPACES, mesh.rootNamespace)) || mesh.network
  const all = new Set([own])
  for (const node of reader.list(NODES)) if (labelOf(node)) all.add(labelOf(node))
  const gateways = new Map<string, GatewayAddress>()
  const named = reader.list(GATEWAYS).filter((gateway) => labelOf(gateway))
  for (const gateway of named.toSorted((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1))) {
    const network = labelOf(gateway)
    const proxy = proxyOf(gateway, reader)
    if (proxy !== 'east-west' && proxy !== 'remote') continue
    if (proxy === 'east-west') all.add(network)
    const address = addressOf(gateway, reader, network, mesh)
    // Of several the first by name; Istio draws one for each network, too.
    if (address && !gateways.has(network)) gateways.set(network, address)
  }
  return { own, all: [...all].sort(), gateways }
}

/** A pod's own word counts before its node's. */
export function podNetwork({ metadata, spec }: Pod, view: TranslationView): string {
  const node = spec?.nodeName ? view.node(spec.nodeName) : undefined
  return metadata.labels?.[NETWORK_LABEL] || labelOf(node) || view.networks.own
}

/** Who lets others in to a workload of a network. */
export function gatewayOfNetwork(network: string, view: TranslationView): { networkGateway?: GatewayAddress } {
  const networkGateway = view.networks.gateways.get(network)
  return networkGateway ? { networkGateway } : {}
}

/** A service's virtual address is the same in all networks: each has its own pods behind it. */
export function inAllNetworks(addresses: readonly NetworkAddress[], view: TranslationView): NetworkAddress[] {
  return view.networks.all.flatMap((network) => addresses.map((address) => ({ ...address, network })))
}

type Dependencies = { readonly [D in KnownType]?: (change: StoreEvent, view: TranslationView) => Touched }

/** Kinds that networks are made of. */
export const NETWORK_KINDS: ReadonlySet<string> = new Set<KnownType>([NODES, GATEWAYS, GATEWAY_CLASSES, NAMESPACES])

/** What a translation depends on besides the networks of the mesh, and on them: they concern everything, and seldom change. */
export function withNetworks(dependencies: Dependencies): Dependencies {
  const merged: { [D in KnownType]?: (change: StoreEvent, view: TranslationView) => Touched } = { ...dependencies }
  for (const kind of [NODES, GATEWAYS, GATEWAY_CLASSES, NAMESPACES] as const) {
    const other = dependencies[kind]
    merged[kind] = (change, view) =>
      changesNetworks(change, view) ? { namespace: undefined } : (other?.(change, view) ?? { keys: [] })
  }
  return merged
}

function changesNetworks({ type, operation, object, previous }: StoreEvent, view: TranslationView): boolean {
  const after = operation === 'deleted' ? undefined : object
  switch (type) {
    case NODES:
      return labelOf(after) !== labelOf(previous)
    case NAMESPACES:
      return object.metadata.name === view.mesh.rootNamespace && labelOf(after) !== labelOf(previous)
    case GATEWAYS:
      return gatewayState(after, view) !== gatewayState(previous, view)
    default:
      return view.list(GATEWAYS).some((one) => labelOf(one) && one.spec?.gatewayClassName === object.metadata.name)
  }
}

/** Comparable; the status of a Gateway is written far more often than what matters here changes. */
function gatewayState(object: Resource | undefined, view: TranslationView): string | undefined {
  const network = labelOf(object)
  if (!object || !network) return undefined
  const gateway = object as Gateway
  return JSON.stringify([network, proxyOf(gateway, view), addressOf(gateway, view, network, view.mesh)])
}

function proxyOf({ spec }: Gateway, reader: Pick<ObjectReader, 'get'>) {
  const name = spec?.gatewayClassName ?? ''
  return builtinClassOf(name, reader.get(GATEWAY_CLASSES, name))?.proxy
}

/** Undefined until it was ready once. What runs here is reached by the name of its Service, anything else by what it says. */
function addressOf(
  gateway: Gateway,
  reader: Pick<ObjectReader, 'get'>,
  network: string,
  { clusterDomain }: MeshConfig,
): GatewayAddress | undefined {
  const { metadata, spec, status } = gateway
  const namespace = metadata.namespace ?? ''
  const addresses = status?.addresses ?? []
  const className = spec?.gatewayClassName ?? ''
  const builtin = builtinClassOf(className, reader.get(GATEWAY_CLASSES, className))
  if (builtin?.proxy === 'east-west' && isDeployed(gateway)) {
    if (addresses.length === 0) return undefined
    const hostname = serviceHostname(deployedName(gateway, builtin), namespace, clusterDomain)
    return { hostname: { namespace, hostname }, hboneMtlsPort: HBONE_PORT }
  }
  const [first] = addresses.length > 0 ? addresses : (spec?.addresses ?? [])
  if (!first?.value) return undefined
  return first.type === 'Hostname'
    ? { hostname: { namespace, hostname: first.value }, hboneMtlsPort: HBONE_PORT }
    : { address: { network, address: first.value }, hboneMtlsPort: HBONE_PORT }
}

function labelOf(object: Resource | undefined): string {
  return object?.metadata.labels?.[NETWORK_LABEL] ?? ''
}

function keyOf({ metadata }: Resource): string {
  return `${metadata.namespace ?? ''}/${metadata.name}`
}
