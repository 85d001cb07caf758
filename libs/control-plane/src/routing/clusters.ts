import { matchesEvery } from '@ambient-lab/api'
import type { Cluster, ClusterEndpoints, LoadBalancing, ServicePort } from '@ambient-lab/xds'
import { PODS, WORKLOAD_ENTRIES } from '../stored-kinds.ts'
import { entryLoadBalancing, nearnessLabels, serviceLoadBalancing } from '../translate/load-balancing.ts'
import { podUid } from '../translate/pod-workload.ts'
import type { TranslationView } from '../translate/view.ts'
import { withBackendTraffic } from './backend-traffic.ts'
import { outboundCluster, waypointCluster } from './cluster-names.ts'
import { destinationRuleOf, type EffectiveRule, trafficPolicyOf } from './destination-rule.ts'
import { portTraffic, type RouteTarget, targetKey } from './targets.ts'
import { trafficPolicyFields } from './traffic-policy.ts'
import { upstreamTls } from './upstream-tls.ts'

type Subset = EffectiveRule['subsets'][number]

/** Names are looked up again so often. */
const DNS_TTL_MS = 5000

/** What waypoints and gateways send to, for every port of a service and every subset of it. */
export function serviceClusters(
  target: RouteTarget,
  proxies: 'waypoint' | 'gateway',
  view: TranslationView,
): Cluster[] {
  const rule = withBackendTraffic(destinationRuleOf(view, target.hostname, target.namespace), target, view)
  const subsets: readonly (Subset | undefined)[] = [undefined, ...(rule?.subsets ?? [])]
  return target.ports.flatMap((port) =>
    subsets.flatMap((subset) => portClusters(target, port, { rule, subset, proxies }, view)),
  )
}

interface Selection {
  readonly rule: EffectiveRule | undefined
  readonly subset: Subset | undefined
  readonly proxies: 'waypoint' | 'gateway'
}

function portClusters(
  target: RouteTarget,
  port: ServicePort,
  { rule, subset, proxies }: Selection,
  view: TranslationView,
): Cluster[] {
  const policy = trafficPolicyOf(rule, subset, port.servicePort)
  const tls = upstreamTls(target, port, policy.tls, view)
  const common = {
    endpoints: endpointsOf(target, port, subset, view),
    ...trafficPolicyFields(policy, {
      ...{ proxies, isHttp2Port: isHttp2Port(port), whole: rule?.trafficPolicy },
      nearnessLabels: nearnessLabels(distributionOf(target, view)),
    }),
    ...(tls && { tls }),
    ...(policy.tls?.mode === 'DISABLE' && proxies === 'gateway' && { plaintext: 'sidecars' as const }),
  }
  const { hostname } = target
  const { servicePort } = port
  const protocol = httpProtocol(port, policy)
  if (proxies === 'gateway') {
    const traffic = portTraffic(port)
    const name = outboundCluster(hostname, servicePort, subset?.name)
    return [{ name, ...common, protocol: traffic === 'tcp' ? 'tcp' : protocol }]
  }
  return trafficsOf(port).map((traffic) => ({
    name: waypointCluster(hostname, servicePort, traffic, subset?.name),
    ...common,
    protocol: traffic === 'tcp' ? 'tcp' : protocol,
  }))
}

/** Where nobody declared a protocol there is one cluster for each that the bytes may turn out to be. */
function trafficsOf(port: ServicePort): readonly ('http' | 'tcp')[] {
  const traffic = portTraffic(port)
  return traffic === 'sniff' ? ['http', 'tcp'] : [traffic]
}

function httpProtocol(port: ServicePort, { connectionPool }: ReturnType<typeof trafficPolicyOf>): Cluster['protocol'] {
  if (connectionPool?.http?.useClientProtocol) return 'downstream'
  if (isHttp2Port(port) || connectionPool?.http?.h2UpgradePolicy === 'UPGRADE') return 'http2'
  return port.appProtocol === 'UNKNOWN' ? 'downstream' : 'http1'
}

function distributionOf({ source, namespace }: RouteTarget, view: TranslationView): LoadBalancing | undefined {
  const home = view.namespace(namespace)
  return source.kind === 'Service'
    ? serviceLoadBalancing(source.object, home)
    : entryLoadBalancing(source.object, home, source.object.spec?.resolution)
}

function isHttp2Port({ appProtocol }: ServicePort): boolean {
  return appProtocol === 'HTTP2' || appProtocol === 'GRPC'
}

function endpointsOf(
  target: RouteTarget,
  port: ServicePort,
  subset: Subset | undefined,
  view: TranslationView,
): ClusterEndpoints {
  const { source } = target
  if (source.kind === 'ServiceEntry') {
    const { resolution = 'NONE', endpoints = [], workloadSelector } = source.object.spec ?? {}
    if (resolution === 'NONE' && !workloadSelector) return { kind: 'original-destination' }
    if (resolution !== 'STATIC' && resolution !== 'NONE') {
      const hosts = endpoints.filter(({ labels }) => !subset?.labels || matchesEvery(subset.labels, labels))
      const named = hosts.map(({ address = '', ports }) => ({
        host: address,
        port: ports?.[port.name ?? ''] ?? port.targetPort,
      }))
      const self = { host: target.hostname, port: port.targetPort }
      return { kind: 'dns', hosts: endpoints.length > 0 ? named : [self], dnsTtlMs: DNS_TTL_MS }
    }
  }
  const service = { kind: 'service' as const, service: targetKey(target), servicePort: port.servicePort }
  return subset ? { ...service, subset: subsetWorkloads(target, subset, view) } : service
}

/** uids of the workloads that the labels of a subset pick out of a service. Sorted. */
function subsetWorkloads(target: RouteTarget, { labels = {} }: Subset, view: TranslationView): string[] {
  const { source, namespace } = target
  const { clusterId } = view.mesh
  const selector =
    source.kind === 'Service' ? source.object.spec?.selector : source.object.spec?.workloadSelector?.labels
  if (selector === undefined || Object.keys(selector).length === 0) return endpointUids(target, labels, view)
  const wanted = { ...selector, ...labels }
  const agrees = Object.entries(selector).every(([key, value]) => wanted[key] === value)
  if (!agrees) return []
  const pods = view
    .list(PODS, namespace)
    .filter(({ metadata, status }) => status?.podIP && matchesEvery(wanted, metadata.labels))
    .map(({ metadata }) => podUid(namespace, metadata.name, clusterId))
  const entries = view
    .list(WORKLOAD_ENTRIES, namespace)
    .filter(({ metadata, spec }) => matchesEvery(wanted, { ...metadata.labels, ...spec?.labels }))
    .map(({ metadata }) => `${clusterId}/networking.istio.io/WorkloadEntry/${namespace}/${metadata.name}`)
  return [...pods, ...entries].sort()
}

/** Of the endpoints that a ServiceEntry lists itself. */
function endpointUids(
  { source, namespace, name }: RouteTarget,
  labels: Readonly<Record<string, string>>,
  view: TranslationView,
): string[] {
  if (source.kind !== 'ServiceEntry') return []
  return (source.object.spec?.endpoints ?? [])
    .filter((endpoint) => matchesEvery(labels, endpoint.labels))
    .map(
      ({ address = '' }) => `${view.mesh.clusterId}/networking.istio.io/ServiceEntry/${namespace}/${name}/${address}`,
    )
    .sort()
}
