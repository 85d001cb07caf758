import type {
  DumpedCertificate,
  DumpedConnection,
  DumpedGateway,
  DumpedIdentity,
  DumpedPolicy,
  DumpedService,
  DumpedState,
  DumpedWorkload,
  ZtunnelDump,
} from './dump.ts'
import { tabulate } from './tabulate.ts'

/** Which entries of a dump are wanted; what is undefined does not narrow. */
export interface DumpFilter {
  /** `name`, or `name.namespace`. */
  readonly workload?: string | undefined
  readonly workloadNamespace?: string | undefined
  readonly workloadNode?: string | undefined
  readonly address?: string | undefined
  /** `name`, or `name.namespace`. */
  readonly service?: string | undefined
  readonly serviceNamespace?: string | undefined
  readonly policyNamespace?: string | undefined
  readonly direction?: 'inbound' | 'outbound' | undefined
  /** Addresses of connections as they are, not by the names of what has them. */
  readonly raw?: boolean | undefined
}

export type SectionName = 'workload' | 'service' | 'policy' | 'certificate' | 'connections'

/** One table of `ztunnel-config`: its rows, first the headings, and the same as data. */
export interface Section {
  readonly rows: readonly (readonly string[])[]
  readonly items: readonly unknown[]
}

export const SECTIONS: Readonly<
  Record<SectionName, (dump: ZtunnelDump, filter: DumpFilter, nowMs: number) => Section>
> = { workload: workloads, service: services, policy: policies, certificate: certificates, connections }

/** Istio's text form of a section. */
export function sectionText({ rows }: Section): string {
  return tabulate(rows, 1)
}

/** Istio's JSON form of it. */
export function sectionJson({ items }: Section): string {
  return `${JSON.stringify(items, null, 4)}\n`
}

function workloads(dump: ZtunnelDump, filter: DumpFilter): Section {
  const items = byName(dump.workloads.filter((workload) => wantsWorkload(workload, filter)))
  const row = (workload: DumpedWorkload) => [
    ...[workload.namespace, workload.name, (workload.workloadIps ?? []).join(','), workload.node ?? ''],
    ...[waypointName(workload.waypoint, dump.services), workload.protocol ?? ''],
  ]
  return { rows: [['NAMESPACE', 'POD NAME', 'ADDRESS', 'NODE', 'WAYPOINT', 'PROTOCOL'], ...items.map(row)], items }
}

function wantsWorkload(workload: DumpedWorkload, filter: DumpFilter): boolean {
  const { workloadNode, address } = filter
  return (
    isNamed(workload, filter.workload, filter.workloadNamespace) &&
    (workloadNode === undefined || workload.node === workloadNode) &&
    (address === undefined || (workload.workloadIps ?? []).includes(address))
  )
}

function services(dump: ZtunnelDump, filter: DumpFilter): Section {
  const items = byName(dump.services.filter((service) => isNamed(service, filter.service, filter.serviceNamespace)))
  const row = (service: DumpedService) => {
    const { namespace, name, vips = [], waypoint } = service
    // One and the same in each network.
    const addresses = [...new Set(vips.map(addressOf))].join(',')
    return [namespace, name, addresses, waypointName(waypoint, dump.services), endpointCounts(service)]
  }
  return { rows: [['NAMESPACE', 'SERVICE NAME', 'SERVICE VIP', 'WAYPOINT', 'ENDPOINTS'], ...items.map(row)], items }
}

/** `healthy/total`; an endpoint of an older ztunnel, which has no status, is a healthy one. */
function endpointCounts({ endpoints = {} }: DumpedService): string {
  const all = Object.values(endpoints)
  const healthy = all.filter(({ status }) => status !== 'Unhealthy')
  return `${healthy.length}/${all.length}`
}

function policies(dump: ZtunnelDump, { policyNamespace }: DumpFilter): Section {
  const items = byName(
    dump.policies.filter(({ namespace }) => policyNamespace === undefined || namespace === policyNamespace),
  )
  const row = ({ namespace, name, action, scope }: DumpedPolicy) => [namespace, name, action, scope]
  return { rows: [['NAMESPACE', 'POLICY NAME', 'ACTION', 'SCOPE'], ...items.map(row)], items }
}

const CERTIFICATE_HEADINGS = [
  'CERTIFICATE NAME',
  ...['TYPE', 'STATUS', 'VALID CERT', 'SERIAL NUMBER', 'NOT AFTER', 'NOT BEFORE'],
]

function certificates({ certificates: identities }: ZtunnelDump, _: DumpFilter, nowMs: number): Section {
  const items = identities.toSorted((a, b) => (a.identity < b.identity ? -1 : 1))
  return { rows: [CERTIFICATE_HEADINGS, ...items.flatMap((identity) => certificateRows(identity, nowMs))], items }
}

function certificateRows({ identity, state, certChain = [], rootCerts }: DumpedIdentity, nowMs: number): string[][] {
  const status = state.includes('Unavailable') ? 'Unavailable' : state
  if (certChain.length === 0) return [[identity, 'NA', status, 'false', 'NA', 'NA', 'NA']]
  const row = (type: string, { serialNumber, expirationTime, validFrom }: DumpedCertificate) => [
    ...[identity, type, status, String(nowMs >= Date.parse(validFrom) && nowMs < Date.parse(expirationTime))],
    ...[serialText(serialNumber), orNA(expirationTime), orNA(validFrom)],
  ]
  const isRoot = (index: number) => rootCerts === undefined && index > 0 && index === certChain.length - 1
  return [
    ...certChain.map((certificate, index) =>
      row(index === 0 ? 'Leaf' : isRoot(index) ? 'Root' : 'Intermediate', certificate),
    ),
    ...(rootCerts ?? []).map((certificate) => row('Root', certificate)),
  ]
}

/** Dumps have it decimal, people and openssl hexadecimal. */
function serialText(serialNumber: string): string {
  return /^\d+$/.test(serialNumber) ? BigInt(serialNumber).toString(16) : orNA(serialNumber)
}

function orNA(text: string): string {
  return text === '' ? 'NA' : text
}

function connections(dump: ZtunnelDump, filter: DumpFilter): Section {
  const states = Object.values(dump.workloadState)
    .filter(({ info }) => isNamed(info, filter.workload, filter.workloadNamespace))
    .toSorted((a, b) => (nameKey(a.info) < nameKey(b.info) ? -1 : 1))
    .map((state) => withDirection(state, filter.direction))
  const shown = filter.raw ? (address: string) => address : nameLookup(dump)
  const rows = states.flatMap(({ info, connections: { inbound, outbound } }) => {
    const workload = `${info.name}.${info.namespace}`
    const row = (direction: string, local: string, remote: string, { originalDst, protocol }: DumpedConnection) => [
      ...[workload, direction, shown(local), shown(remote), shown(originalDst ?? ''), protocol],
    ]
    return [
      ...inbound.map((one) => row('Inbound', one.actualDst, one.src, one)),
      ...outbound.map((one) => row('Outbound', one.src, one.actualDst, one)),
    ]
  })
  return {
    rows: [['WORKLOAD', 'DIRECTION', 'LOCAL', 'REMOTE', 'REMOTE TARGET', 'PROTOCOL'], ...rows],
    items: states,
  }
}

/** With the fields that istioctl's own records have, in its order. */
function withDirection({ state, connections: of = {}, info }: DumpedState, direction: DumpFilter['direction']) {
  const all = (only: 'inbound' | 'outbound') =>
    direction === undefined || direction === only ? (of[only] ?? []).map(connectionRecord) : []
  const { name, namespace, trustDomain = '', serviceAccount = '' } = info
  return {
    state,
    connections: { inbound: all('inbound'), outbound: all('outbound') },
    info: { name, namespace, trustDomain, serviceAccount },
  }
}

function connectionRecord({ src, originalDst, actualDst, protocol }: DumpedConnection) {
  return { src, originalDst: originalDst ?? '', actualDst, protocol }
}

/** `ip:port` → `pod.namespace:port` or `host:port`, where the dump knows whose the address is. */
function nameLookup({ workloads: pods, services: all }: ZtunnelDump): (address: string) => string {
  const names = new Map<string, string>()
  for (const { vips = [], hostname } of all) for (const vip of vips) names.set(addressOf(vip), hostname)
  for (const { workloadIps = [], name, namespace } of pods)
    for (const ip of workloadIps) names.set(ip, `${name}.${namespace}`)
  return (address) => {
    const colon = address.lastIndexOf(':')
    const host = address.slice(0, colon).replace(/^\[(.*)\]$/, '$1')
    const name = colon < 0 ? undefined : names.get(host)
    return name === undefined ? address : `${name}${address.slice(colon)}`
  }
}

/** The waypoint by its service's name; `NA` for one that the dump does not know. */
function waypointName(waypoint: DumpedGateway | undefined, all: readonly DumpedService[]): string {
  if (!waypoint) return 'None'
  const { destination } = waypoint
  const service = all.find(
    ({ vips = [], namespace, hostname }) => vips.includes(destination) || `${namespace}/${hostname}` === destination,
  )
  return service?.name ?? 'NA'
}

/** Of `network/address`. */
function addressOf(vip: string): string {
  return vip.slice(vip.indexOf('/') + 1)
}

interface Named {
  readonly name: string
  readonly namespace: string
}

function isNamed(of: Named, wanted: string | undefined, namespace: string | undefined): boolean {
  if (namespace !== undefined && of.namespace !== namespace) return false
  return wanted === undefined || wanted === of.name || wanted === `${of.name}.${of.namespace}`
}

function nameKey({ namespace, name }: Named): string {
  return `${namespace} ${name}`
}

function byName<T extends Named>(items: readonly T[]): T[] {
  return items.toSorted((a, b) => (nameKey(a) < nameKey(b) ? -1 : 1))
}
