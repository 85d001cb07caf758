import type { CorpusCase } from '../judge.ts'

/** A row of one of istiod's tables, `function` saying of which. */
export interface WorkloadApiCase extends CorpusCase {
  readonly function: string
  readonly input: WorkloadApiInput
  readonly expected: Readonly<Record<string, unknown>>
}

export type WorkloadApiInput = Readonly<Record<string, unknown>> & {
  /** What else the control plane knows: objects, and records that it made of objects. */
  readonly inputs?: readonly TypedInput[]
}

export interface TypedInput {
  readonly type: string
  readonly value: Readonly<Record<string, unknown>>
}

const CONSTANTS: Readonly<Record<string, string>> = {
  AmbientWaypointInboundBinding: 'ambient.istio.io/waypoint-inbound-binding',
  IoIstioIngressUseWaypoint: 'istio.io/ingress-use-waypoint',
  IoIstioUseWaypoint: 'istio.io/use-waypoint',
  IoIstioUseWaypointCanary: 'istio.io/use-waypoint-canary',
  IoIstioUseWaypointCanaryNamespace: 'istio.io/use-waypoint-canary-namespace',
  IoIstioUseWaypointCanaryWeight: 'istio.io/use-waypoint-canary-weight',
  IoIstioUseWaypointNamespace: 'istio.io/use-waypoint-namespace',
  IoK8sNetworkingGatewayGatewayName: 'gateway.networking.k8s.io/gateway-name',
  NetworkingEnableAutoallocateIp: 'networking.istio.io/enable-autoallocate-ip',
}

/** The tables name labels by Istio's Go constants. */
export function withLabelNames<T>(value: T): T {
  const text = JSON.stringify(value)
    .replaceAll(/(?:label|annotation)\.(\w+)\.Name/g, (_, name: string) => CONSTANTS[name] ?? name)
    .replaceAll('discovery.LabelServiceName', 'kubernetes.io/service-name')
  return JSON.parse(text)
}
