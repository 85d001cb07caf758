import {
  BLACK_HOLE_CLUSTER,
  type FilterChain,
  PASSTHROUGH_CLUSTER,
  type Route,
  type ServiceKey,
  type TcpProxy,
} from '@ambient-lab/xds'
import { PORT_OUTBOUND_CAPTURE } from '../limits.ts'
import type { CompiledRoute } from '../waypoint/http-runtime.ts'
import { type CompiledChain, type ProxyConfig, serviceMatch } from '../waypoint/proxy-config.ts'
import { DomainTable, hostOf } from '../waypoint/router/domains.ts'
import type { RouteFinder } from '../waypoint/router/route-table.ts'
import { compileKnownServices, type KnowsService } from './known-services.ts'

/** What is worked out of one version of the configuration, as connections ask for it. */
interface Tables {
  readonly version: number
  readonly knows: KnowsService
  readonly ports: Map<number, PortChains | undefined>
  beyond: CompiledChain | undefined
  nowhere: CompiledChain | undefined
}

/** HTTP on one port: which service is meant only the Host of each request says. */
interface PortChains {
  /** Of connections to a service that speaks HTTP there. */
  readonly declared: CompiledChain
  /** Of all others: their first bytes tell. */
  readonly sniffed: CompiledChain
}

const BAD_GATEWAY = 502

/**
 * Where the connections of a sidecar's workload lead: Istio's outbound listeners, made of the chains of the services
 * that the sidecar knows.
 */
export class OutboundRoutes {
  readonly #config: ProxyConfig
  #tables: Tables | undefined

  constructor({ config }: { readonly config: ProxyConfig }) {
    this.#config = config
  }

  /** Of a port of a service; undefined where the sidecar does not know it. */
  ofService(service: ServiceKey, port: number): CompiledChain | undefined {
    const chain = this.#config.find([serviceMatch(service, port)])
    if (!chain || !this.#current().knows(service)) return undefined
    return chain.http && !chain.source.sniff ? this.#ofPort(port)?.declared : chain
  }

  /** Of connections to a port at which services speak HTTP, wherever they go; undefined where none does. */
  ofPort(port: number): CompiledChain | undefined {
    return this.#ofPort(port)?.sniffed
  }

  /** Of everything else. */
  get beyond(): CompiledChain {
    const tables = this.#current()
    tables.beyond ??= this.#config.compile(this.#virtualOutbound('virtualOutbound', this.#passthrough))
    return tables.beyond
  }

  /** Of what aims at the proxy itself. */
  get nowhere(): CompiledChain {
    const tables = this.#current()
    tables.nowhere ??= this.#config.compile(
      this.#virtualOutbound('virtualOutbound-blackhole', tcpTo(BLACK_HOLE_CLUSTER)),
    )
    return tables.nowhere
  }

  #virtualOutbound(name: string, tcp: TcpProxy): FilterChain {
    const match = { kind: 'listener', port: PORT_OUTBOUND_CAPTURE, serverNames: [] } as const
    return { name, proxy: this.#config.name, match, tcp }
  }

  #current(): Tables {
    const { version, proxy } = this.#config
    if (this.#tables?.version !== version) {
      const knows = compileKnownServices(proxy.outbound?.hosts)
      this.#tables = { version, knows, ports: new Map(), beyond: undefined, nowhere: undefined }
    }
    return this.#tables!
  }

  #ofPort(port: number): PortChains | undefined {
    const { ports } = this.#current()
    if (!ports.has(port)) ports.set(port, this.#compilePort(port))
    return ports.get(port)
  }

  #compilePort(port: number): PortChains | undefined {
    const { knows } = this.#current()
    const entries: (readonly [string, RouteFinder<CompiledRoute>])[] = []
    for (const { source, http } of this.#config.compiledChains()) {
      const { match, sniff } = source
      if (match.kind !== 'service' || match.port !== port || !http || sniff || !knows(match.service)) continue
      for (const { domains } of source.http!.virtualHosts) {
        for (const domain of domains) entries.push([domain, http.routes])
      }
    }
    if (entries.length === 0) return undefined
    const sniffed = this.#config.compile(this.#portChain(port))
    const routes = hostRoutes(new DomainTable(entries), sniffed.http!.routes)
    const chain = { ...sniffed, http: { ...sniffed.http!, routes } }
    const { sniff: _, tcp: __, ...source } = chain.source
    return { declared: { ...chain, source }, sniffed: chain }
  }

  /** With the route of hosts that nobody knows. */
  #portChain(port: number): FilterChain {
    const route = this.#isOpen ? ALLOW_ANY : BLOCK_ALL
    return {
      name: `0.0.0.0_${port}`,
      proxy: this.#config.name,
      match: { kind: 'listener', port, serverNames: [] },
      http: {
        statPrefix: `outbound_0.0.0.0_${port}`,
        virtualHosts: [{ name: route.name, domains: ['*'], routes: [route] }],
      },
      tcp: this.#passthrough,
      sniff: true,
    }
  }

  get #passthrough(): TcpProxy {
    return tcpTo(this.#isOpen ? PASSTHROUGH_CLUSTER : BLACK_HOLE_CLUSTER)
  }

  get #isOpen(): boolean {
    return this.#config.proxy.outbound?.mode !== 'REGISTRY_ONLY'
  }
}

const ALLOW_ANY: Route = {
  name: 'allow_any',
  match: {},
  action: { kind: 'forward', forward: { backends: [{ cluster: PASSTHROUGH_CLUSTER, weight: 1 }] } },
}
const BLOCK_ALL: Route = {
  name: 'block_all',
  match: {},
  action: { kind: 'direct-response', status: BAD_GATEWAY },
}

function tcpTo(cluster: string): TcpProxy {
  return { routes: [{ name: '', serverNames: [], destinationCidrs: [], backends: [{ cluster, weight: 1 }] }] }
}

function hostRoutes(
  hosts: DomainTable<RouteFinder<CompiledRoute>>,
  others: RouteFinder<CompiledRoute>,
): RouteFinder<CompiledRoute> {
  return { find: (request) => (hosts.find(hostOf(request.authority)) ?? others).find(request) }
}
