import type { ServicePort } from '@ambient-lab/xds'
import { portTraffic, type RouteTarget } from './targets.ts'

/** Names the Cluster that a proxy sends to for a port of a target, or for a subset of it. */
export type ClusterNamer = (target: Pick<RouteTarget, 'hostname' | 'ports'>, port: number, subset?: string) => string

/** Traffic to workloads themselves, past any service. */
export const ENCAP_CLUSTER = 'encap'

/** `inbound-vip|80|http/v2|reviews.default.svc.cluster.local` */
export function waypointCluster(hostname: string, port: number, traffic: 'http' | 'tcp', subset?: string): string {
  return `inbound-vip|${port}|${traffic}${subset ? `/${subset}` : ''}|${hostname}`
}

/** `outbound|80|v2|reviews.default.svc.cluster.local` */
export function outboundCluster(hostname: string, port: number, subset?: string): string {
  return `outbound|${port}|${subset ?? ''}|${hostname}`
}

/** `inbound|8080||`: of a sidecar, to a port of its own workload. */
export function inboundCluster(port: number): string {
  return `inbound|${port}||`
}

/** A waypoint's, for routes of HTTP or of connections; a port that carries only the other is sent to as that. */
export function waypointClusterNamer(wanted: 'http' | 'tcp'): ClusterNamer {
  return (target, port, subset) => {
    const traffic = target.ports.find(({ servicePort }) => servicePort === port)
    return waypointCluster(target.hostname, port, trafficOf(traffic, wanted), subset)
  }
}

/** A gateway's, and a sidecar's. */
export const gatewayClusterNamer: ClusterNamer = ({ hostname }, port, subset) => outboundCluster(hostname, port, subset)

function trafficOf(port: ServicePort | undefined, wanted: 'http' | 'tcp'): 'http' | 'tcp' {
  const traffic = port ? portTraffic(port) : 'sniff'
  return traffic === 'sniff' ? wanted : traffic
}
