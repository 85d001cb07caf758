import virtualServiceKind, { type VirtualService, type VirtualServiceDestination } from '../../kinds/virtual-service.ts'
import type { AnalysisWorld } from '../analysis-world.ts'
import { defineAnalyzer, finding } from '../analyzer.ts'
import type { Finding } from '../finding.ts'
import { findHost, wholeHost } from '../hosts.ts'

interface Destination {
  readonly destination: VirtualServiceDestination
  readonly path: string
  readonly isMirror: boolean
}

/** Hosts and ports that VirtualServices route to; and subsets that a gateway's requests do not get. */
export default defineAnalyzer({
  name: 'virtual-service-destinations',
  codes: ['IST0101', 'IST0112', 'IST0140'],
  *find(world) {
    const all = world.list(virtualServiceKind)
    const subsetHosts = hostsWithSubsets(world, all)
    for (const virtualService of all) {
      const destinations = destinationsOf(virtualService)
      for (const one of destinations) yield* findDestination(world, virtualService, one)
      yield* findIngress(world, virtualService, destinations, subsetHosts)
    }
  },
})

function* findDestination(
  world: AnalysisWorld,
  virtualService: VirtualService,
  { destination: { host, port }, path, isMirror }: Destination,
): Iterable<Finding> {
  const { namespace = '' } = virtualService.metadata
  for (const viewer of viewersOf(virtualService)) {
    // A short name is one of the VirtualService's own namespace, whoever looks.
    const known = findHost(world, wholeHost(host, namespace, world), viewer)
    if (!known) {
      const label = isMirror ? 'mirror host' : 'host'
      yield finding(
        'IST0101',
        virtualService,
        [viewer === namespace ? label : `${label} in ${viewer}`, host],
        `${path}.host`,
      )
      continue
    }
    const ports = known.ports.map((one) => one.port)
    if (port?.number === undefined) {
      if (ports.length > 1 && known.object.kind === 'Service') {
        yield finding('IST0112', virtualService, [host, `[${ports.join(' ')}]`], path)
      }
    } else if (known.object.kind === 'Service' && !ports.includes(port.number)) {
      yield finding('IST0101', virtualService, ['host:port', `${host}:${port.number}`], `${path}.port.number`)
    }
  }
}

/** Namespaces in which it holds: its own, and those that it names. */
function viewersOf({ metadata, spec }: VirtualService): readonly string[] {
  const own = metadata.namespace ?? ''
  const scopes = (spec?.exportTo ?? []).filter((scope) => scope !== '*').map((scope) => (scope === '.' ? own : scope))
  return scopes.length === 0 ? [own] : [...new Set(scopes)]
}

function destinationsOf({ spec }: VirtualService): readonly Destination[] {
  const http = (spec?.http ?? []).flatMap(({ route = [], mirror, mirrors = [] }, rule) => [
    ...routed(route, `spec.http[${rule}].route`),
    ...(mirror ? [{ destination: mirror, path: `spec.http[${rule}].mirror`, isMirror: true }] : []),
    ...routed(mirrors, `spec.http[${rule}].mirrors`, true),
  ])
  const tcp = (spec?.tcp ?? []).flatMap(({ route = [] }, rule) => routed(route, `spec.tcp[${rule}].route`))
  const tls = (spec?.tls ?? []).flatMap(({ route = [] }, rule) => routed(route, `spec.tls[${rule}].route`))
  return [...http, ...tcp, ...tls]
}

function routed(
  route: readonly { readonly destination?: VirtualServiceDestination }[],
  path: string,
  isMirror = false,
): readonly Destination[] {
  return route.map(({ destination = { host: '' } }, index) => ({
    destination,
    path: `${path}[${index}].destination`,
    isMirror,
  }))
}

/** Whole hosts that VirtualServices of the mesh route to by subset. */
function hostsWithSubsets(world: AnalysisWorld, all: readonly VirtualService[]): ReadonlySet<string> {
  const inMesh = all.filter(({ spec }) => (spec?.gateways ?? ['mesh']).includes('mesh'))
  return new Set(
    inMesh.flatMap((virtualService) =>
      destinationsOf(virtualService)
        .filter(({ destination }) => destination.subset !== undefined)
        .map(({ destination }) => wholeHost(destination.host, virtualService.metadata.namespace ?? '', world)),
    ),
  )
}

function* findIngress(
  world: AnalysisWorld,
  virtualService: VirtualService,
  destinations: readonly Destination[],
  subsetHosts: ReadonlySet<string>,
): Iterable<Finding> {
  const { name, namespace = '' } = virtualService.metadata
  const gateways = (virtualService.spec?.gateways ?? []).filter((gateway) => gateway !== 'mesh')
  if (gateways.length === 0) return
  for (const { destination, path, isMirror } of destinations) {
    if (isMirror || destination.subset !== undefined) continue
    if (!subsetHosts.has(wholeHost(destination.host, namespace, world))) continue
    yield finding('IST0140', virtualService, [name, gateways.join(',')], path)
  }
}
