import {
  controllerReference,
  type Deployment,
  type Gateway,
  type ObjectMeta,
  type Resource,
  type Service,
  type ServicePort,
} from '@ambient-lab/api'
import type { BuiltinClass } from './gateway-classes.ts'
import { deployedAccount, deployedName } from './gateway-names.ts'

/** The objects that stand for a Gateway in its namespace. */
export interface GatewayDeployment {
  readonly serviceAccount: Resource
  readonly deployment: Deployment
  readonly service: Service
}

export const PROXY_IMAGE = 'istio/proxyv2'
const STATUS_PORT = 15021
const METRICS_PORT = 15020
const SERVICE_TYPE = 'networking.istio.io/service-type'
const REPLICAS = 'ambient.lab/replicas'
const APPLIED_CONFIGURATION = 'kubectl.kubernetes.io/last-applied-configuration'

/**
 * What a Gateway stands for, as Istio's deployment controller makes it from its templates. Pure.
 * @see reference: istio/istio manifests/charts/istio-control/istio-discovery/files/{waypoint,kube-gateway}.yaml
 */
export function gatewayDeployment(gateway: Gateway, builtin: BuiltinClass): GatewayDeployment {
  const name = deployedName(gateway, builtin)
  const account = deployedAccount(gateway, builtin)
  return {
    serviceAccount: {
      apiVersion: 'v1',
      kind: 'ServiceAccount',
      metadata: { ...deployedMetadata(gateway, builtin), name: account },
    },
    deployment: {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { ...deployedMetadata(gateway, builtin), name },
      spec: {
        ...replicasOf(gateway),
        selector: { matchLabels: selectorOf(gateway) },
        template: podTemplate(gateway, builtin, { name, account }),
      },
    },
    service: {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { ...deployedMetadata(gateway, builtin), name },
      spec: {
        type: serviceType(gateway, builtin),
        selector: selectorOf(gateway),
        ports: servicePorts(gateway),
      },
    },
  }
}

function selectorOf({ metadata }: Gateway): Readonly<Record<string, string>> {
  return { 'gateway.networking.k8s.io/gateway-name': metadata.name }
}

function deployedMetadata(gateway: Gateway, builtin: BuiltinClass): ObjectMeta {
  const { namespace = '', name, annotations } = gateway.metadata
  const { infrastructure } = gateway.spec ?? {}
  const { [APPLIED_CONFIGURATION]: _, ...inherited } = infrastructure?.annotations ?? annotations ?? {}
  return {
    name,
    namespace,
    labels: gatewayLabels(gateway, builtin),
    ...(Object.keys(inherited).length > 0 && { annotations: inherited }),
    ownerReferences: [controllerReference(gateway)],
  }
}

/** A Gateway without infrastructure of its own hands its labels on. */
function gatewayLabels(gateway: Gateway, { controllerName }: BuiltinClass): Readonly<Record<string, string>> {
  const { metadata, spec } = gateway
  return {
    ...(spec?.infrastructure?.labels ?? metadata.labels),
    ...selectorOf(gateway),
    'gateway.networking.k8s.io/gateway-class-name': spec?.gatewayClassName ?? '',
    'gateway.istio.io/managed': controllerName.replaceAll('/', '-'),
  }
}

function podTemplate(
  gateway: Gateway,
  builtin: BuiltinClass,
  { name, account }: { readonly name: string; readonly account: string },
): NonNullable<Deployment['spec']>['template'] {
  return {
    metadata: {
      labels: {
        'sidecar.istio.io/inject': 'false',
        'istio.io/dataplane-mode': 'none',
        'service.istio.io/canonical-name': name,
        'service.istio.io/canonical-revision': 'latest',
        ...gatewayLabels(gateway, builtin),
        'istio.io/gateway-name': gateway.metadata.name,
        ...(builtin.proxy !== 'gateway' && { 'networking.istio.io/tunnel': 'http' }),
      },
      annotations: {
        'prometheus.io/path': '/stats/prometheus',
        'prometheus.io/port': String(METRICS_PORT),
        'prometheus.io/scrape': 'true',
      },
    },
    spec: {
      serviceAccountName: account,
      containers: [
        {
          name: 'istio-proxy',
          image: PROXY_IMAGE,
          args: ['proxy', builtin.proxy === 'waypoint' ? 'waypoint' : 'router'],
          ports: [
            { name: 'metrics', containerPort: METRICS_PORT, protocol: 'TCP' },
            { name: 'status-port', containerPort: STATUS_PORT, protocol: 'TCP' },
            ...listenerPorts(gateway).map((containerPort) => ({ containerPort, protocol: 'TCP' as const })),
          ],
        },
      ],
    },
  }
}

function listenerPorts({ spec }: Gateway): readonly number[] {
  return [...new Set((spec?.listeners ?? []).map(({ port }) => port))]
}

/** One for readiness, then one for each port that listeners share, named after the first of them. */
function servicePorts({ spec }: Gateway): ServicePort[] {
  const status = { name: 'status-port', port: STATUS_PORT, protocol: 'TCP' as const, appProtocol: 'tcp' }
  const byPort = new Map<number, ServicePort>()
  for (const [index, { name, port, protocol }] of (spec?.listeners ?? []).entries()) {
    if (byPort.has(port)) continue
    const appProtocol = protocol.toLowerCase()
    byPort.set(port, { name: portName(name) ?? `${appProtocol}-${index}`, port, protocol: 'TCP', appProtocol })
  }
  return [status, ...byPort.values()]
}

const PORT_NAME_MAX = 63

/** A listener's name may hold dots and be long, a port's may not; undefined when nothing of it is left. */
function portName(listener: string): string | undefined {
  return listener.replaceAll('.', '-').slice(0, PORT_NAME_MAX).replace(/-+$/, '') || undefined
}

function serviceType({ metadata, spec }: Gateway, { proxy }: BuiltinClass): 'ClusterIP' | 'NodePort' | 'LoadBalancer' {
  const asked = spec?.infrastructure?.annotations?.[SERVICE_TYPE] ?? metadata.annotations?.[SERVICE_TYPE]
  if (asked === 'ClusterIP' || asked === 'NodePort' || asked === 'LoadBalancer') return asked
  return proxy === 'waypoint' ? 'ClusterIP' : 'LoadBalancer'
}

/**
 * Istio has replicas by a ConfigMap only; the annotation is the lab's shorter way. Where neither says how many, nobody
 * here does: `scale` and autoscalers are not overruled.
 */
function replicasOf({ metadata, spec }: Gateway): { readonly replicas?: number } {
  const text = spec?.infrastructure?.annotations?.[REPLICAS] ?? metadata.annotations?.[REPLICAS]
  return text !== undefined && /^\d{1,4}$/.test(text) ? { replicas: Number(text) } : {}
}
