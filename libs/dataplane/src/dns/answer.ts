import type { Service, Workload } from '@ambient-lab/xds'
import { isUsable } from '../state/endpoint-set.ts'
import { type ProxyState, preferredService, serviceKeyOf } from '../state/proxy-state.ts'

export interface DnsQuestion {
  /** As it was asked, with or without the final dot, in any case. */
  readonly name: string
  /** `A`, `AAAA`, or a type that the mesh knows nothing of. */
  readonly type: string
  /** Who asks: its namespace is the first search domain, its network decides which addresses it can reach. */
  readonly client: Workload
  readonly clusterDomain: string
  /** Services of the cluster's own domain alone, as its own DNS knows them: nothing that a ServiceEntry names. @default false */
  readonly ofClusterOnly?: boolean
  /** Whose service wins where neither the client's namespace nor a canonical one has the name. */
  readonly preferredNamespace?: string
}

export interface DnsRecord {
  /** With the final dot. */
  readonly name: string
  readonly type: 'A' | 'AAAA' | 'CNAME'
  /** An address, or the name with the final dot. */
  readonly data: string
}

/** What the mesh knows itself, maybe that there is nothing of that type; or a question for the resolver outside. */
export type DnsAnswer =
  | { readonly kind: 'answer'; readonly records: readonly DnsRecord[] }
  | { readonly kind: 'forward' }

/** One way to read the name that was asked for. */
interface Alias {
  readonly name: string
  /** The name before its search domain, when one was taken away. */
  readonly stripped?: string
}

interface Found {
  readonly service: Service
  readonly alias: Alias
  /** Found under `*.` something. */
  readonly isWildcard: boolean
}

const FORWARD: DnsAnswer = { kind: 'forward' }

/**
 * What the DNS proxy of the mesh answers. Pure. Services with virtual addresses and headless Services are its own;
 * everything else, a ServiceEntry without an address included, is asked outside.
 * @see ambient reference §4.6
 */
export function answerQuestion(state: ProxyState, question: DnsQuestion): DnsAnswer {
  const { type } = question
  if (type !== 'A' && type !== 'AAAA') return FORWARD
  const asked = withoutFinalDot(question.name.toLowerCase())
  const found = findService(state, asked, question)
  if (!found) return FORWARD
  const { alias, isWildcard } = found
  const owner = alias.stripped !== undefined && !isWildcard ? alias.stripped : asked
  const addresses = addressesOf(state, found.service, question).filter(
    (address) => address.includes(':') === (type === 'AAAA'),
  )
  const records = addresses.map((data): DnsRecord => ({ name: `${owner}.`, type, data }))
  if (owner === asked || records.length === 0) return { kind: 'answer', records }
  return { kind: 'answer', records: [{ name: `${asked}.`, type: 'CNAME', data: `${owner}.` }, ...records] }
}

function findService(state: ProxyState, asked: string, question: DnsQuestion): Found | undefined {
  for (const alias of aliasesOf(asked, question)) {
    for (const candidate of [alias.name, ...wildcardsOf(alias.name)]) {
      const known = state.servicesNamed(candidate).filter((service) => isAnswerable(service, question))
      const service = preferredService(known, question.client.namespace, question.preferredNamespace)
      if (service) return { service, alias, isWildcard: candidate !== alias.name }
    }
  }
  return undefined
}

/** The name as it is, expanded as Kubernetes would, and the same for what is left of it without a search domain. */
function* aliasesOf(asked: string, { client, clusterDomain }: DnsQuestion): Generator<Alias> {
  const svcDomain = `svc.${clusterDomain}`
  const searchDomains = [`${client.namespace}.${svcDomain}`, svcDomain, clusterDomain]
  yield { name: asked }
  for (const name of expansionsOf(asked, searchDomains)) yield { name }
  for (const domain of searchDomains) {
    if (!asked.endsWith(`.${domain}`)) continue
    const stripped = asked.slice(0, -domain.length - 1)
    yield { name: stripped, stripped }
    for (const name of expansionsOf(stripped, searchDomains)) yield { name, stripped }
  }
}

/** `name`, `name.namespace` and `name.namespace.svc` as full names; longer ones are full already. */
function expansionsOf(name: string, searchDomains: readonly string[]): string[] {
  const labels = name.split('.')
  const domain = labels.length === 3 && labels[2] !== 'svc' ? undefined : searchDomains[labels.length - 1]
  return domain === undefined ? [] : [`${name}.${domain}`]
}

/** `*.example.com`, `*.com` of `www.example.com`. */
function* wildcardsOf(name: string): Generator<string> {
  for (let dot = name.indexOf('.'); dot >= 0; dot = name.indexOf('.', dot + 1)) yield `*${name.slice(dot)}`
}

function isAnswerable(service: Service, { clusterDomain, ofClusterOnly }: DnsQuestion): boolean {
  const isOfCluster = service.hostname.endsWith(`.svc.${clusterDomain}`)
  return isOfCluster || (service.addresses.length > 0 && !ofClusterOnly)
}

function addressesOf(state: ProxyState, service: Service, { client, type }: DnsQuestion): readonly string[] {
  if (service.addresses.length > 0) {
    return service.addresses
      .filter(({ network, length }) => network === client.network && length === undefined)
      .map(({ address }) => address)
  }
  if (type === 'A' ? service.ipFamilies === 'IPV6_ONLY' : service.ipFamilies === 'IPV4_ONLY') return []
  const wantsV6 = type === 'AAAA'
  return [...state.endpointsOf(serviceKeyOf(service)).values()]
    .filter((endpoint) => isUsable(endpoint, service) && endpoint.workload.network === client.network)
    .flatMap(({ workload }) => workload.addresses.find((address) => address.includes(':') === wantsV6) ?? [])
}

function withoutFinalDot(name: string): string {
  return name.endsWith('.') ? name.slice(0, -1) : name
}
