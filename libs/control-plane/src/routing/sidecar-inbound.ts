import type { Pod, SidecarIngress } from '@ambient-lab/api'
import {
  type Cluster,
  type FilterChain,
  INBOUND_PASSTHROUGH_CLUSTER,
  type Route,
  type ServicePort,
} from '@ambient-lab/xds'
import { ingressTarget, sidecarOf } from '../sidecars/sidecar-scope.ts'
import { appProtocolOf } from '../translate/app-protocol.ts'
import { podUid } from '../translate/pod-workload.ts'
import { podPortMappings, type ServiceInfo } from '../translate/service-info.ts'
import type { TranslationView } from '../translate/view.ts'
import { podMutualTls, podNamedPorts } from '../translate/workload-parts.ts'
import { inboundCluster } from './cluster-names.ts'
import { sidecarRateLimits, withRateLimits } from './rate-limits.ts'
import { INBOUND_RETRY } from './retry-policy.ts'
import { httpSecurity, tcpSecurity, workloadSecurity } from './security.ts'
import { portTraffic, targetOfHost } from './targets.ts'
import { trafficPolicyFields } from './traffic-policy.ts'

/** A port of a workload as the sidecar at its side takes it. */
interface InboundPort {
  /** What peers ask for; 0: every other one. */
  readonly port: number
  /** What the workload listens on; undefined: the port that was asked for. */
  readonly target: number | undefined
  /** Of the service, for the name of the virtual host. */
  readonly servicePort: number
  readonly appProtocol: ServicePort['appProtocol']
}

/** What the sidecar of a pod does with what is sent to its workload: one chain for each port, and one for all others. */
export function inboundChains(pod: Pod, view: TranslationView): FilterChain[] {
  const { namespace = '', name, labels = {} } = pod.metadata
  const uid = podUid(namespace, name, view.mesh.clusterId)
  const mutualTls = podMutualTls(namespace, labels, view)
  const security = workloadSecurity(namespace, labels, view)
  const limits = sidecarRateLimits(namespace, labels, view)
  const ports = inboundPorts(pod, view)
  // A port that only a PeerAuthentication names is taken like any other that no service has, but for that.
  const named = [...mutualTls.ports.keys()].filter((port) => ports.every((known) => known.port !== port))
  return [...ports, ...named.map((port) => ({ ...ANY_PORT, port })), ANY_PORT].map((inbound): FilterChain => {
    const { port } = inbound
    const cluster = clusterOf(inbound)
    const traffic = portTraffic(inbound)
    const route = { name: 'default', serverNames: [], destinationCidrs: [], backends: [{ cluster, weight: 1 }] }
    return {
      name: `${uid}|inbound|${port}`,
      proxy: uid,
      match: { kind: 'inbound', port },
      mutualTls: mutualTls.ports.get(port) ?? mutualTls.mode,
      ...(traffic !== 'tcp' && {
        http: withRateLimits(
          {
            statPrefix: `inbound_0.0.0.0_${port}`,
            virtualHosts: [
              { name: `inbound|http|${inbound.servicePort}`, domains: ['*'], routes: [inboundRoute(cluster)] },
            ],
            ...httpSecurity(security, view),
          },
          limits,
        ),
      }),
      ...(traffic !== 'http' && { tcp: { routes: [route], ...tcpSecurity(security, view) } }),
      ...(traffic === 'sniff' && { sniff: true }),
    }
  })
}

/** What those chains send to. Pods of one node share them: they say a port, and not whose. */
export function inboundClusters(pod: Pod, view: TranslationView): Cluster[] {
  const targets = new Map([...inboundPorts(pod, view), ANY_PORT].map((port) => [clusterOf(port), port.target ?? 0]))
  return Array.from(targets, ([name, port]) => ({
    name,
    endpoints: { kind: 'local', port },
    protocol: 'downstream',
    ...trafficPolicyFields({}),
  }))
}

/** Nobody declares its protocol: the first bytes tell. */
const ANY_PORT: InboundPort = { port: 0, target: undefined, servicePort: 0, appProtocol: 'UNKNOWN' }

/** What the Sidecar resource lists, else what services lead to; of several the first by name says the protocol. */
function inboundPorts(pod: Pod, view: TranslationView): InboundPort[] {
  const { namespace = '', name, labels = {} } = pod.metadata
  const { ingress } = sidecarOf(view, namespace, labels)?.spec ?? {}
  if (ingress?.length) return ingress.map(ingressPort)
  const named = podNamedPorts(pod)
  const infos = [
    ...view.servicesSelecting(namespace, labels),
    ...view.servicesNamingPod(namespace, `${namespace}/${name}`),
  ].toSorted((a, b) => (a.key < b.key ? -1 : 1))
  const ports = new Map<number, InboundPort>()
  for (const info of infos) {
    for (const { servicePort, targetPort } of podPortMappings(info, named)) {
      const appProtocol = protocolOf(info, servicePort, namespace, view)
      if (!ports.has(targetPort))
        ports.set(targetPort, { port: targetPort, target: targetPort, servicePort, appProtocol })
    }
  }
  return [...ports.values()]
}

function ingressPort(ingress: SidecarIngress): InboundPort {
  const { number = 0, protocol, name } = ingress.port
  const declared = protocol ?? name
  const appProtocol = appProtocolOf({ ...(declared !== undefined && { name: declared.toLowerCase() }) })
  return { port: number, target: ingressTarget(ingress), servicePort: number, appProtocol }
}

function protocolOf(
  { key }: ServiceInfo,
  servicePort: number,
  namespace: string,
  view: TranslationView,
): ServicePort['appProtocol'] {
  const target = targetOfHost(view, key.slice(key.indexOf('/') + 1), namespace)
  return target?.ports.find((port) => port.servicePort === servicePort)?.appProtocol ?? 'UNKNOWN'
}

function clusterOf({ target }: InboundPort): string {
  return target === undefined ? INBOUND_PASSTHROUGH_CLUSTER : inboundCluster(target)
}

function inboundRoute(cluster: string): Route {
  const forward = { backends: [{ cluster, weight: 1 }], retry: INBOUND_RETRY }
  return { name: 'default', match: {}, action: { kind: 'forward', forward } }
}
