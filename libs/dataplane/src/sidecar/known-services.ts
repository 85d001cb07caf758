import type { OutboundVisibility, ServiceKey } from '@ambient-lab/xds'
import { DomainTable } from '../waypoint/router/domains.ts'

/** Whether a sidecar knows a service, by the `egress` of its Sidecar resource. */
export type KnowsService = (service: ServiceKey) => boolean

const ANY_NAMESPACE = '*'

/** @param hosts `namespace/host name`, as OutboundVisibility has them; undefined: every service is known */
export function compileKnownServices(hosts: OutboundVisibility['hosts']): KnowsService {
  if (!hosts) return () => true
  const byNamespace = new Map<string, string[]>()
  for (const host of hosts) {
    const [namespace, name] = split(host)
    byNamespace.set(namespace, [...(byNamespace.get(namespace) ?? []), name])
  }
  const tables = new Map(
    Array.from(byNamespace, ([namespace, names]) => [
      namespace,
      new DomainTable(names.map((name) => [name, true] as const)),
    ]),
  )
  return (service) => {
    const [namespace, hostname] = split(service)
    return (tables.get(namespace)?.find(hostname) ?? tables.get(ANY_NAMESPACE)?.find(hostname)) === true
  }
}

function split(key: string): readonly [namespace: string, name: string] {
  const slash = key.indexOf('/')
  return [key.slice(0, slash), key.slice(slash + 1)]
}
