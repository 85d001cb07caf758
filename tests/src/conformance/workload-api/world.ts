import type { Resource } from '@ambient-lab/api'
import {
  ENDPOINT_SLICES,
  GATEWAYS,
  MESH_CONFIG_DEFAULT,
  type MeshConfig,
  NAMESPACES,
  NODES,
  SERVICE_ENTRIES,
  SERVICES,
  TranslationView,
} from '@ambient-lab/control-plane'
import { ObjectList, type TypedObject } from '../object-list.ts'
import type { TypedInput, WorkloadApiInput } from './cases.ts'

/** Objects as the store has them, from the tables' mixture of objects and of records made from them. */
export function viewFor(input: WorkloadApiInput): TranslationView {
  const objects: TypedObject[] = (input.inputs ?? []).flatMap(objectOf)
  if (input.we) objects.push(...REMOTE_GATEWAYS)
  if (input.se) objects.push([SERVICE_ENTRIES, input.se as Resource])
  return new TranslationView(new ObjectList(objects), {
    ...MESH_CONFIG_DEFAULT,
    ...{ clusterId: 'cluster0', network: 'testnetwork', clusterDomain: 'domain.suffix' },
    ...meshConfig(input),
  })
}

/** What the table of WorkloadEntries has beside its inputs: networks that other clusters let in to. */
const REMOTE_GATEWAYS: readonly TypedObject[] = [
  remoteGateway('remote-network', 'ns-gtw', { type: 'IPAddress', value: '9.9.9.9' }),
  remoteGateway('remote-network-hostname', 'ns-gtw', { type: 'Hostname', value: 'networkgateway.example.com' }),
]

function remoteGateway(network: string, namespace: string, address: { type: string; value: string }): TypedObject {
  const gateway: Resource = {
    apiVersion: 'gateway.networking.k8s.io/v1',
    kind: 'Gateway',
    metadata: { name: network, namespace, labels: { 'topology.istio.io/network': network } },
    spec: { gatewayClassName: 'istio-remote', addresses: [address] },
  }
  return [GATEWAYS, gateway]
}

function meshConfig({ inputs = [], meshCfg }: WorkloadApiInput): Partial<MeshConfig> {
  const resource = inputs.find(({ type }) => type === 'meshwatcher.MeshConfigResource')?.value ?? meshCfg
  return (resource as { readonly meshConfig?: Partial<MeshConfig> } | undefined)?.meshConfig ?? {}
}

function objectOf({ type, value }: TypedInput): TypedObject[] {
  if (type === 'v1.Namespace') return [[NAMESPACES, value as unknown as Resource]]
  if (type === 'discovery.EndpointSlice') return [[ENDPOINT_SLICES, value as unknown as Resource]]
  if (type === 'Node') return [[NODES, nodeObject(value)]]
  if (type === 'Waypoint') return [[GATEWAYS, gatewayObject(value)]]
  if (type === 'model.ServiceInfo') return [serviceObject(value)]
  return []
}

function nodeObject(value: Record<string, unknown>): Resource {
  const { region = '', zone = '' } = value.locality as { region?: string; zone?: string }
  const labels = { 'topology.kubernetes.io/region': region, 'topology.kubernetes.io/zone': zone }
  return { apiVersion: 'v1', kind: 'Node', metadata: { name: String(value.name), labels } }
}

interface WaypointRecord {
  readonly named: { readonly name: string; readonly namespace: string }
  readonly trafficType: string
  readonly address: { readonly hostname: { readonly hostname: string } }
  readonly allowedRoutes?: { readonly fromNamespaces: string; readonly selector?: object }
  readonly defaultBinding?: { readonly protocol: string; readonly port: number }
}

/** A Gateway that istiod would make this waypoint of. */
function gatewayObject(value: Record<string, unknown>): Resource {
  const { named, trafficType, address, allowedRoutes, defaultBinding } = value as unknown as WaypointRecord
  const binding = defaultBinding && `${defaultBinding.protocol}/${defaultBinding.port}`
  const namespaces = { from: allowedRoutes?.fromNamespaces ?? 'Same', selector: allowedRoutes?.selector }
  return {
    apiVersion: 'gateway.networking.k8s.io/v1',
    kind: 'Gateway',
    metadata: {
      ...named,
      labels: { 'istio.io/waypoint-for': trafficType },
      ...(binding && { annotations: { 'ambient.istio.io/waypoint-inbound-binding': binding } }),
    },
    spec: {
      gatewayClassName: 'istio-waypoint',
      listeners: [{ name: 'mesh', port: 15008, protocol: 'HBONE', allowedRoutes: { namespaces } }],
    },
    status: { addresses: [{ type: 'Hostname', value: address.hostname.hostname }] },
  }
}

interface CorpusPort {
  readonly servicePort: number
  readonly targetPort?: number
}

/** A Service or ServiceEntry from which the record of the table could have come; `hostname` stands for its host name. */
function serviceObject(info: Record<string, unknown>): TypedObject {
  const service = info.service as { name: string; namespace: string; hostname: string; ports: CorpusPort[] }
  const names = (info.portNames ?? {}) as Record<string, { portName?: string; targetPortName?: string }>
  const labels = (info.labelSelector as { labels?: Record<string, string> } | undefined)?.labels
  const metadata = { name: service.name, namespace: service.namespace }
  // The tables invent host names; a Service's would be name.namespace.svc.domain.
  if (!/\.svc\./.test(service.hostname)) {
    const ports = service.ports.map(({ servicePort, targetPort }) => {
      const { portName, targetPortName } = names[servicePort] ?? {}
      return { number: servicePort, name: portName, targetPort: targetPort || undefined, targetPortName }
    })
    if (ports.every(({ targetPortName }) => targetPortName === undefined) && info.source !== undefined) {
      const spec = { hosts: [service.hostname], ports, workloadSelector: { labels } }
      return [SERVICE_ENTRIES, { apiVersion: 'networking.istio.io/v1', kind: 'ServiceEntry', metadata, spec }]
    }
  }
  const ports = service.ports.map(({ servicePort, targetPort }) => {
    const { portName, targetPortName } = names[servicePort] ?? {}
    return { port: servicePort, name: portName, targetPort: targetPortName ?? (targetPort || `none-${servicePort}`) }
  })
  return [SERVICES, { apiVersion: 'v1', kind: 'Service', metadata, spec: { selector: labels, ports } }]
}
