import { canonicalIp } from '@ambient-lab/policy'

/**
 * SNI of a pod: the DNS name that Kubernetes gives every pod, `10-244-1-5.default.pod.cluster.local`. One listener
 * serves all pods of a node, so the client has to say which one it means.
 * @see https://kubernetes.io/docs/concepts/services-networking/dns-pod-service/#a-aaaa-records-1
 */
export function serverNameOf(address: string, namespace: string, clusterDomain: string): string {
  const label = address.includes(':') ? address.replaceAll(':', '-') : address.replaceAll('.', '-')
  // A DNS label must not begin or end with a dash, which `::1` and `fd00::` would.
  const padded = `${label.startsWith('-') ? '0' : ''}${label}${label.endsWith('-') ? '0' : ''}`
  return `${padded}.${namespace}.pod.${clusterDomain}`
}

/** The pod's address in such a name; undefined for any other name. */
export function addressOfServerName(serverName: string): string | undefined {
  const dot = serverName.indexOf('.')
  const rest = serverName.indexOf('.', dot + 1)
  if (dot < 0 || rest < 0 || !serverName.startsWith('.pod.', rest)) return undefined
  const label = serverName.slice(0, dot)
  return canonicalIp(label.replaceAll('-', '.')) ?? canonicalIp(label.replaceAll('-', ':'))
}
