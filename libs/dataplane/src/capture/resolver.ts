import { canonicalIp } from '@ambient-lab/policy'
import type { Random } from '@ambient-lab/std'
import type { Workload } from '@ambient-lab/xds'
import { answerQuestion } from '../dns/answer.ts'
import type { ProxyState } from '../state/proxy-state.ts'

export interface ResolveRequest {
  /** As the program asked: literal, short name, or fully qualified, with or without the final dot. */
  readonly host: string
  /** Who asks; its namespace is the first search domain. */
  readonly source: Workload
  readonly clusterDomain: string
  /** See DnsQuestion. @default false */
  readonly ofClusterOnly?: boolean
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
 * One address of a name, as a program gets it from the DNS proxy of the mesh: a service's virtual address, a pod of a
 * headless service, or that the name belongs to the world outside. Names without a dot and names of the cluster's own
 * domain never go outside.
 */
export function resolveHost(state: ProxyState, request: ResolveRequest): Resolution {
  const literal = canonicalIp(request.host)
  if (literal !== undefined) return { kind: 'address', address: literal }
  const lower = request.host.toLowerCase()
  const name = lower.endsWith('.') ? lower.slice(0, -1) : lower
  if (name === 'localhost') return LOOPBACK
  const known = addressesOf(state, name, request)
  if (known) return known.length > 0 ? { kind: 'address', address: pickAddress(known, request.random) } : UNKNOWN
  if (name.endsWith('.localhost')) return LOOPBACK
  return isOutsideName(name, request.clusterDomain) ? { kind: 'external', name } : UNKNOWN
}

/** IPv4 first, as programs that ask for both prefer it; undefined: the mesh does not know the name. */
function addressesOf(state: ProxyState, name: string, request: ResolveRequest): readonly string[] | undefined {
  const { source: client, clusterDomain, ofClusterOnly = false } = request
  for (const type of ['A', 'AAAA']) {
    const answer = answerQuestion(state, { name, type, client, clusterDomain, ofClusterOnly })
    if (answer.kind === 'forward') return undefined
    const addresses = answer.records.filter((record) => record.type === type).map(({ data }) => data)
    if (addresses.length > 0) return addresses
  }
  return []
}

/** Chance is asked only where there is a choice. */
function pickAddress(addresses: readonly string[], random: Random): string {
  return addresses.length === 1 ? addresses[0]! : random.pick(addresses)
}

/** Whether anybody outside may be asked about a name: not about one label alone, nor about the cluster's own domain. */
export function isOutsideName(name: string, clusterDomain: string): boolean {
  const isOfCluster = name === clusterDomain || name.endsWith(`.${clusterDomain}`) || name.endsWith('.svc')
  return name.includes('.') && !isOfCluster
}
