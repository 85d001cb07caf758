import {
  type Gateway,
  type IstioGateway,
  type IstioGatewayServer,
  objectKey,
  type VirtualService,
} from '@ambient-lab/api'
import type { DownstreamTls, FilterChain, ProxyPort, Route, VirtualHost } from '@ambient-lab/xds'
import { ISTIO_GATEWAYS, VIRTUAL_SERVICES } from '../stored-kinds.ts'
import { oldestFirst } from '../translate/route-index.ts'
import type { TranslationView } from '../translate/view.ts'
import { gatewayClusterNamer } from './cluster-names.ts'
import { bySpecificity, intersectHostnames } from './hostnames.ts'
import { keyPairOf } from './listener-tls.ts'
import { secretTexts } from './upstream-tls.ts'
import { appliesTo, virtualServiceRoutes } from './virtual-service.ts'
import { virtualServiceL4Routes } from './virtual-service-l4.ts'
import { isExportedTo } from './visibility.ts'

/** The pods that Istio's own Gateways may select. */
export interface IstioGatewayProxy {
  /** `namespace/name`, the resource name of its L7Proxy. */
  readonly proxy: string
  readonly namespace: string
  readonly labels: Readonly<Record<string, string>>
  /** Ports that the pods listen on for a port of their service; none: the port is no service's. */
  readonly targetPorts: (port: number) => readonly number[]
}

interface BoundServer {
  readonly gateway: IstioGateway
  readonly server: IstioGatewayServer
  /** What the pods listen on. */
  readonly port: number
}

type ServerProtocol = ProxyPort['protocol'] | 'HTTPS'

const PROTOCOLS: Readonly<Record<string, ServerProtocol>> = {
  ...{ HTTP: 'HTTP', HTTP2: 'HTTP', GRPC: 'HTTP', 'GRPC-WEB': 'HTTP' },
  ...{ HTTPS: 'HTTPS', TLS: 'TLS', TCP: 'TCP', MONGO: 'TCP' },
}
const MOVED_PERMANENTLY = 301

/**
 * What the Gateways of `networking.istio.io` have a proxy do: servers of one port share it, the oldest Gateway says as
 * what; routes are those of VirtualServices that name the Gateway.
 * @see reference: istio/istio pilot/pkg/model, MergeGateways
 */
export function istioGatewayChains(proxy: IstioGatewayProxy, view: TranslationView): FilterChain[] {
  const byPort = Map.groupBy(boundServers(proxy, view), ({ port }) => port)
  return [...byPort].flatMap(([port, servers]) => {
    const [first] = servers
    const protocol = protocolOf(first!.server)
    const sharing = servers.filter(({ server }) => isCompatible(protocolOf(server), protocol))
    if (protocol === 'HTTP') return [httpChain(proxy, port, `http.${port}`, sharing, view)]
    if (protocol === 'TCP') return tcpChain(proxy, port, sharing, view)
    return tlsChains(proxy, port, sharing, view)
  })
}

/** Of the proxies that a Gateway of the Gateway API stands for, by the labels of their pods. */
export function istioGatewayChainsOf(gateway: Gateway, view: TranslationView): FilterChain[] {
  const proxy = objectKey(gateway.metadata)
  const [replica] = view.routes.replicasOf(proxy)
  if (!replica) return []
  const { namespace = '' } = gateway.metadata
  return istioGatewayChains({ proxy, namespace, labels: replica.metadata.labels ?? {}, targetPorts: () => [] }, view)
}

/** Whether a Gateway means pods with these labels; one without a selector means none. */
export function selectsProxy({ spec }: IstioGateway, labels: Readonly<Record<string, string>>): boolean {
  const selector = Object.entries(spec?.selector ?? {})
  return selector.length > 0 && selector.every(([key, value]) => labels[key] === value)
}

function boundServers({ labels, targetPorts }: IstioGatewayProxy, view: TranslationView): BoundServer[] {
  const gateways = view.list(ISTIO_GATEWAYS).filter((gateway) => selectsProxy(gateway, labels))
  return gateways.toSorted(oldestFirst).flatMap((gateway) =>
    (gateway.spec?.servers ?? []).flatMap((server) => {
      const ports = targetPorts(server.port.number)
      return (ports.length > 0 ? ports : [server.port.number]).map((port) => ({ gateway, server, port }))
    }),
  )
}

function protocolOf({ port, tls }: IstioGatewayServer): ServerProtocol | undefined {
  const protocol = PROTOCOLS[port.protocol.toUpperCase()]
  // HTTPS that is let through cannot be read.
  return protocol === 'HTTPS' && tls?.mode === 'PASSTHROUGH' ? 'TLS' : protocol
}

/** Ends of TLS of all sorts stand side by side on a port, told apart by server name; nothing else does. */
function isCompatible(protocol: ServerProtocol | undefined, first: ServerProtocol | undefined): boolean {
  const isTls = (one: ServerProtocol | undefined) => one === 'HTTPS' || one === 'TLS'
  return protocol === first || (isTls(protocol) && isTls(first))
}

function httpChain(
  { proxy, namespace }: IstioGatewayProxy,
  port: number,
  destination: string,
  servers: readonly BoundServer[],
  view: TranslationView,
): FilterChain {
  return {
    name: `${proxy}|${destination}|${port}`,
    proxy,
    match: { kind: 'listener', port, serverNames: [] },
    http: { statPrefix: `outbound_0.0.0.0_${port}`, virtualHosts: virtualHosts(namespace, port, servers, view) },
  }
}

function virtualHosts(
  namespace: string,
  port: number,
  servers: readonly BoundServer[],
  view: TranslationView,
): VirtualHost[] {
  const byHost = new Map<string, { readonly routes: Route[]; readonly servicePort: number }>()
  for (const { gateway, server } of servers) {
    for (const [hostname, virtualServices] of boundHosts(gateway, server, view)) {
      const scope = { port: server.port.number, namespace, gateway: objectKey(gateway.metadata) }
      const context = { view, clusterOf: gatewayClusterNamer, enforceGrants: true }
      const known = byHost.get(hostname) ?? { routes: [], servicePort: server.port.number }
      byHost.set(hostname, known)
      if (server.tls?.httpsRedirect) known.routes.push(REDIRECT)
      known.routes.push(...virtualServiceRoutes(virtualServices, scope, context))
    }
  }
  if (byHost.size === 0) return [{ name: `blackhole:${port}`, domains: ['*'], routes: [] }]
  return [...byHost]
    .sort(([a], [b]) => bySpecificity(a, b))
    .map(([hostname, { routes, servicePort }]) => ({ name: `${hostname}:${servicePort}`, domains: [hostname], routes }))
}

/** `httpsRedirect`: whoever comes without TLS is sent to where there is. */
const REDIRECT: Route = {
  name: 'https-redirect',
  match: {},
  action: { kind: 'redirect', redirect: { status: MOVED_PERMANENTLY, scheme: 'https' } },
}

/** The hosts that a server and VirtualServices bound to its Gateway share, each with those, the oldest first. */
function boundHosts(
  gateway: IstioGateway,
  server: IstioGatewayServer,
  view: TranslationView,
): Map<string, VirtualService[]> {
  const found = new Map<string, VirtualService[]>()
  for (const virtualService of boundTo(gateway, view)) {
    const home = virtualService.metadata.namespace ?? ''
    for (const [wanted, own] of server.hosts.flatMap((host) => admitted(host, home, gateway))) {
      if (!wanted) continue
      for (const host of view.routes.hostsOf(virtualService)) {
        const shared = intersectHostnames(host, own)
        const list = shared === undefined ? undefined : (found.get(shared) ?? [])
        if (!list || list.includes(virtualService)) continue
        found.set(shared!, [...list, virtualService])
      }
    }
  }
  return found
}

function boundTo(gateway: IstioGateway, view: TranslationView): VirtualService[] {
  const key = objectKey(gateway.metadata)
  return view
    .list(VIRTUAL_SERVICES)
    .filter((one) => appliesTo(one, { gateway: key }) && isExportedTo(one, gateway.metadata.namespace ?? ''))
    .toSorted(oldestFirst)
}

/** `host`, or `namespace/host` for VirtualServices of that namespace alone; `.` is the Gateway's own, `*` any. */
function admitted(text: string, home: string, { metadata }: IstioGateway): [boolean, string][] {
  const slash = text.indexOf('/')
  if (slash < 0) return [[true, text]]
  const namespace = text.slice(0, slash)
  const wanted = namespace === '*' || namespace === home || (namespace === '.' && home === metadata.namespace)
  return [[wanted, text.slice(slash + 1)]]
}

/** Connections know no host: the first Gateway takes them all. */
function tcpChain(
  { proxy, namespace }: IstioGatewayProxy,
  port: number,
  servers: readonly BoundServer[],
  view: TranslationView,
): FilterChain[] {
  const { gateway, server } = servers[0]!
  const routes = l4RoutesOf(gateway, server, namespace, view)
  if (routes.length === 0) return []
  const match = { kind: 'listener' as const, port, serverNames: [] }
  return [{ name: `${proxy}|tcp.${port}|${port}`, proxy, match, tcp: { routes } }]
}

function l4RoutesOf(gateway: IstioGateway, server: IstioGatewayServer, namespace: string, view: TranslationView) {
  const scope = { port: server.port.number, namespace, gateway: objectKey(gateway.metadata) }
  const context = { view, clusterOf: gatewayClusterNamer, enforceGrants: true }
  return virtualServiceL4Routes(boundTo(gateway, view), scope, context, undefined)
}

/** One for each server; of several that name one host the oldest counts. */
function tlsChains(
  proxy: IstioGatewayProxy,
  port: number,
  servers: readonly BoundServer[],
  view: TranslationView,
): FilterChain[] {
  const taken = new Set<string>()
  return servers.flatMap((bound) => {
    const { gateway, server } = bound
    const names = server.hosts.map((host) => host.slice(host.indexOf('/') + 1)).filter((host) => !taken.has(host))
    for (const name of names) taken.add(name)
    const tls = serverTls(bound, proxy.namespace, view)
    if (!tls || names.length === 0) return []
    const serverNames = names.includes('*') ? [] : names
    const match = { kind: 'listener' as const, port, serverNames }
    const destination = `https.${port}.${server.port.name}.${gateway.metadata.name}.${gateway.metadata.namespace}`
    if (protocolOf(server) === 'HTTPS') {
      return [{ ...httpChain(proxy, port, destination, [bound], view), match, tls }]
    }
    const tcp = { routes: l4RoutesOf(gateway, server, proxy.namespace, view) }
    return [{ name: `${proxy.proxy}|${destination}|${port}`, proxy: proxy.proxy, match, tls, tcp }]
  })
}

/** Undefined while its certificate is not there: such a server takes nothing. */
function serverTls({ server }: BoundServer, namespace: string, view: TranslationView): DownstreamTls | undefined {
  const { mode = 'SIMPLE', credentialName, credentialNames = [] } = server.tls ?? {}
  if (mode === 'PASSTHROUGH' || mode === 'AUTO_PASSTHROUGH') return { mode: 'PASSTHROUGH', certificates: [] }
  if (mode === 'ISTIO_MUTUAL') return { mode, certificates: [] }
  const names = credentialName ? [credentialName] : credentialNames
  const pairs = names.flatMap((name) => {
    const pair = keyPairOf(view, namespace, name, name)
    return 'reason' in pair ? [] : pair
  })
  if (pairs.length === 0) return undefined
  const [first = ''] = names
  const texts = secretTexts(view, namespace, first)
  const clientCaPem = texts['ca.crt'] ?? secretTexts(view, namespace, `${first}-cacert`)['ca.crt']
  return { mode, certificates: pairs, ...(mode !== 'SIMPLE' && clientCaPem && { clientCaPem }) }
}
