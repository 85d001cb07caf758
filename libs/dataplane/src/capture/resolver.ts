import { canonicalIp } from '@ambient-lab/policy'
import type { Random } from '@ambient-lab/std'
import type { Service, Workload } from '@ambient-lab/xds'
import { isUsable } from '../state/endpoint-set.ts'
import { type ProxyState, serviceKeyOf } from '../state/proxy-state.ts'

export interface ResolveRequest {
  /** As the program asked: literal, short name, or fully qualified, with or without the final dot. */
  readonly host: string
  /** Who asks; its namespace is the first search domain. */
  readonly source: Workload
  readonly clusterDomain: string
  /** Draws one address of a headless service, as a resolver's client does. */
  readonly random: Random
}

/** An address of the lab; or a name that only the machine's DNS can know; or nothing at all. */
export type Resolution =
  | { readonly kind: 'address'; readonly address: string }
  | { readonly kind: 'external'; readonly name: string }
  | { readonly kind: 'unknown' }

const UNKNOWN: Resolution = { kind: 'unknown' }
/** RFC 6761 §6.3; a pod's own, never the machine's. */
const LOOPBACK: Resolution = { kind: 'address', address: '127.0.0.1' }

/**
 * What the DNS proxy of the mesh would answer: a service's virtual address, a pod of a headless service, or that the
 * name belongs to the world outside. Names without a dot and names of the cluster's own domain never go outside.
 * @see ambient reference §4.6
 */
export function resolveHost(state: ProxyState, request: ResolveRequest): Resolution {
  const literal = canonicalIp(request.host)
  if (literal !== undefined) return { kind: 'address', address: literal }
  const lower = request.host.toLowerCase()
  const name = lower.endsWith('.') ? lower.slice(0, -1) : lower
  if (name === 'localhost') return LOOPBACK
  const service = findService(state, name, request)
  if (service) {
    const address = addressOfService(state, service, request)
    if (address !== undefined) return { kind: 'address', address }
    // A ServiceEntry without an address of its own stands for whatever the world says.
    if (state.endpointsOf(serviceKeyOf(service)).size > 0 || isOfCluster(service.hostname, request)) return UNKNOWN
    return { kind: 'external', name: service.hostname.startsWith('*') ? name : service.hostname }
  }
  if (name.endsWith('.localhost')) return LOOPBACK
  return name.includes('.') && !isOfCluster(name, request) ? { kind: 'external', name } : UNKNOWN
}

/** The name as it is, with each search domain behind it, and with each search domain taken away. */
function findService(state: ProxyState, name: string, request: ResolveRequest): Service | undefined {
  const { namespace } = request.source
  const searchDomains = [
    `${namespace}.svc.${request.clusterDomain}`,
    `svc.${request.clusterDomain}`,
    request.clusterDomain,
  ]
  const asked = state.serviceByHostname(name, namespace)
  if (asked) return asked
  for (const domain of searchDomains) {
    const service = state.serviceByHostname(`${name}.${domain}`, namespace)
    if (service) return service
  }
  for (const domain of searchDomains) {
    if (!name.endsWith(`.${domain}`)) continue
    const stripped = name.slice(0, -domain.length - 1)
    const service = findStripped(state, stripped, searchDomains, namespace)
    if (service) return service
  }
  return undefined
}

function findStripped(
  state: ProxyState,
  name: string,
  searchDomains: readonly string[],
  namespace: string,
): Service | undefined {
  const exact = state.serviceByHostname(name, namespace)
  if (exact || !name.includes('.')) return exact
  for (const domain of searchDomains) {
    const service = state.serviceByHostname(`${name}.${domain}`, namespace)
    if (service) return service
  }
  return undefined
}

function addressOfService(state: ProxyState, service: Service, request: ResolveRequest): string | undefined {
  const { network } = request.source
  const own = service.addresses.filter((address) => address.network === network && address.length === undefined)
  const preferred = own.find(({ address }) => !address.includes(':')) ?? own[0]
  if (preferred) return preferred.address
  const pods = [...state.endpointsOf(serviceKeyOf(service)).values()].filter(
    (endpoint) => isUsable(endpoint, service) && endpoint.workload.network === network,
  )
  const addresses = pods.flatMap(({ workload }) => workload.addresses.slice(0, 1))
  return addresses.length > 0 ? request.random.pick(addresses) : undefined
}

function isOfCluster(name: string, request: ResolveRequest): boolean {
  return name === request.clusterDomain || name.endsWith(`.${request.clusterDomain}`) || name.endsWith('.svc')
}
