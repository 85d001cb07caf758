import { JwkSetStore } from '@ambient-lab/pki'
import {
  type DryRunResult,
  type HttpAuthorization,
  HttpPolicies,
  JwtAuthenticator,
  LinearRegex,
} from '@ambient-lab/policy'

import { type Clock, Emitter, errorMessage, type Random, SeededRandom, systemClock } from '@ambient-lab/std'
import type { OtlpSpanExporterComponents } from '@ambient-lab/telemetry'

import {
  CLUSTER_TYPE,
  type Cluster,
  FILTER_CHAIN_TYPE,
  type FilterChain,
  type HttpConnectionManager,
  L7_PROXY_TYPE,
  type L7Proxy,
  type ProxyTelemetry,
  type Route,
  type ServiceKey,
  type TypeUrl,
  type WeightedBackend,
} from '@ambient-lab/xds'
import { withoutOthersRoutes } from '../sidecar/source-labels.ts'
import type { ResourceError, Upsert } from '../state/proxy-state-holder.ts'
import { checkCluster, checkFilterChain, checkL7Proxy } from './config-checks.ts'
import type { DryRunSeries } from './dry-run-series.ts'
import type { FilterContext, Guard } from './filter.ts'
import { compileFilters } from './filter-chain.ts'
import { checkDownstreamTls } from './gateway-listeners.ts'
import type { CompiledBackend, CompiledRoute, HttpRuntime } from './http-runtime.ts'
import type { HttpStream } from './http-stream.ts'
import { metricSwitches } from './metric-switches.ts'
import type { RequestDecisions } from './request-decisions.ts'
import { checkLogFormat, compileRequestLog } from './request-log.ts'
import type { RequestRecorder, Telling } from './request-recorder.ts'
import { DomainTable } from './router/domains.ts'
import { compileHeaderMutation } from './router/header-mutation.ts'
import type { CompilePattern } from './router/matchers.ts'
import { compileRedirect } from './router/redirect.ts'
import { RetryConditions } from './router/retries.ts'
import { compilePathRewrite } from './router/rewrite.ts'
import { RouteTable } from './router/route-table.ts'
import { TagRewriting } from './tag-rewriting.ts'
import { SpanExporter, Tracing } from './tracing.ts'
import type { Clusters } from './upstream/clusters.ts'
import { checkUpstreamTls } from './upstream/upstream-tls.ts'

export interface ProxyConfigComponents {
  readonly clock: Clock
  readonly random: Random
  readonly clusters: Clusters
  readonly recorder: RequestRecorder
  /** Where issuers' keys come from. */
  readonly keys: JwkSetStore
  readonly post: OtlpSpanExporterComponents['post']
  readonly decisions: RequestDecisions
  readonly dryRuns: DryRunSeries
}

/** What becomes of the connections to one destination; everything that requests need is compiled. */
export interface CompiledChain {
  readonly source: FilterChain
  readonly http: HttpRuntime | undefined
  /** What guards its requests. */
  readonly guard: Guard
  /** What guards connections whose bytes nobody reads. */
  readonly tcpPolicies: HttpPolicies | undefined
  /** Whom those have asked, by name. */
  readonly tcpExtAuthz: Guard['extAuthz']
}

/** Of a sidecar: what it has in common with its neighbours. */
export interface ChainSharing {
  /** Whose chains it follows besides its own, see `sidecarGroup`. */
  readonly group: string
  /** Of its pod: routes for others are left out. */
  readonly labels: Readonly<Record<string, string>>
}

const L7_TYPES: readonly TypeUrl[] = [L7_PROXY_TYPE, CLUSTER_TYPE, FILTER_CHAIN_TYPE]

const SILENT: Omit<L7Proxy, 'name'> = {
  namespace: '',
  kind: 'waypoint',
  workloads: [],
  ports: [],
  accessLog: { enabled: false, encoding: 'TEXT' },
  pathNormalization: 'NONE',
}

/**
 * The configuration of one proxy: its own settings, clusters, filter chains. Each resource takes effect by itself and
 * at once: requests ask for their chain when they begin, and keep what they began with.
 */
export class ProxyConfig implements Disposable {
  readonly name: string
  /** Another one whenever anything of it is another. */
  version = 0
  /** The proxy's own settings are others now. */
  readonly onProxy = new Emitter<L7Proxy>()
  readonly #components: ProxyConfigComponents
  readonly #sharing: ChainSharing | undefined
  #proxy: L7Proxy
  readonly #chains = new Map<string, CompiledChain>()
  /** By what they match. */
  readonly #byMatch = new Map<string, CompiledChain>()

  constructor(name: string, components: ProxyConfigComponents, sharing?: ChainSharing) {
    this.name = name
    this.#sharing = sharing
    this.#components = components
    this.#proxy = { ...SILENT, name }
  }

  static holds(typeUrl: TypeUrl): boolean {
    return L7_TYPES.includes(typeUrl)
  }

  get proxy(): L7Proxy {
    return this.#proxy
  }

  chains(): readonly FilterChain[] {
    return Array.from(this.#chains.values(), ({ source }) => source)
  }

  compiledChains(): Iterable<CompiledChain> {
    return this.#chains.values()
  }

  /** @param keys as `serviceMatch` and `workloadMatch` make them; the first that has a chain counts */
  find(keys: readonly string[]): CompiledChain | undefined {
    for (const key of keys) {
      const chain = this.#byMatch.get(key)
      if (chain) return chain
    }
    return undefined
  }

  /** By its resource name. */
  chain(name: string): CompiledChain | undefined {
    return this.#chains.get(name)
  }

  /** Of one port of a gateway. */
  listenerChains(port: number): readonly CompiledChain[] {
    return [...this.#chains.values()].filter(
      ({ source: { match } }) => match.kind === 'listener' && match.port === port,
    )
  }

  /** The one that names the server most closely. @param serverName undefined without TLS */
  listenerChain(port: number, serverName: string | undefined): CompiledChain | undefined {
    const chains = this.listenerChains(port)
    const table = new DomainTable(
      chains.flatMap((chain) => {
        const { match } = chain.source
        const names = match.kind === 'listener' && match.serverNames.length > 0 ? match.serverNames : ['*']
        return names.map((name) => [name, chain] as const)
      }),
    )
    return table.find(serverName ?? '')
  }

  /** Applies a push; what does not concern this proxy is left out. @returns the refusals */
  apply(typeUrl: TypeUrl, upserts: readonly Upsert[], removed: readonly string[]): readonly ResourceError[] {
    const errors: ResourceError[] = []
    for (const { name, resource } of upserts) {
      try {
        this.#upsert(typeUrl, name, resource)
      } catch (error) {
        errors.push({ name, reason: errorMessage(error) })
      }
    }
    for (const name of removed) this.#remove(typeUrl, name)
    this.version += 1
    return errors
  }

  [Symbol.dispose](): void {
    this.#components.recorder.tell()
  }

  #upsert(typeUrl: TypeUrl, name: string, resource: unknown): void {
    if (typeUrl === CLUSTER_TYPE) return this.#components.clusters.upsert(checkedCluster(name, resource))
    if (typeUrl === FILTER_CHAIN_TYPE) return this.#upsertChain(checkFilterChain(name, resource))
    const proxy = checkL7Proxy(resource)
    if (name === this.name) this.#use(proxy)
  }

  #remove(typeUrl: TypeUrl, name: string): void {
    if (typeUrl === CLUSTER_TYPE) this.#components.clusters.remove(name)
    else if (typeUrl === FILTER_CHAIN_TYPE) this.#removeChain(name)
    else if (name === this.name) this.#use({ ...SILENT, name })
  }

  #use(proxy: L7Proxy): void {
    const { recorder, clock, random, post } = this.#components
    const telling = ({ accessLog, tracing, disabledMetrics, tagOverrides }: ProxyTelemetry): Telling => ({
      lineOf: compileRequestLog(accessLog),
      tracing: tracing && new Tracing({ random }, tracing),
      spans: tracing && new SpanExporter({ clock, post }, tracing, 'Kubernetes'),
      metrics: metricSwitches(disabledMetrics),
      tags: TagRewriting.compile(tagOverrides),
    })
    recorder.tell(telling(proxy), proxy.outboundTelemetry && telling(proxy.outboundTelemetry))
    this.#proxy = proxy
    // What requests run on names the proxy's settings.
    for (const chain of [...this.#chains.values()]) this.#upsertChain(chain.source)
    this.onProxy.emit(proxy)
  }

  #upsertChain(resource: FilterChain): void {
    const isShared = this.#sharing !== undefined && resource.proxy === this.#sharing.group
    if (resource.proxy !== this.name && !isShared) return
    const source = isShared ? withoutOthersRoutes(resource, this.#sharing.labels) : resource
    const chain = this.compile(source)
    const before = this.#chains.get(source.name)
    if (before && matchKey(before.source) !== matchKey(source)) this.#removeChain(source.name)
    this.#chains.set(source.name, chain)
    this.#byMatch.set(matchKey(source), chain)
  }

  /** What connections of a chain run on, whether it was pushed or is of the proxy's own making. */
  compile(source: FilterChain): CompiledChain {
    if (source.tls) checkDownstreamTls(source.tls)
    const guard = compileGuard(source.http ?? {}, this.#components.keys)
    return {
      source,
      guard,
      http: source.http && this.#compileHttp(source.name, source.http, guard),
      tcpPolicies: compilePolicies(source.tcp?.authorization),
      tcpExtAuthz: providersByName(source.tcp?.extAuthz),
    }
  }

  #removeChain(name: string): void {
    const chain = this.#chains.get(name)
    if (!chain) return
    this.#chains.delete(name)
    const key = matchKey(chain.source)
    if (this.#byMatch.get(key) === chain) this.#byMatch.delete(key)
  }

  /** @param chain its resource name */
  #compileHttp(chain: string, source: HttpConnectionManager, guard: Guard): HttpRuntime {
    const { clock, random, clusters, recorder, decisions, dryRuns } = this.#components
    const onDecision = (stream: HttpStream, allowed: boolean) => decisions.add(chain, stream, allowed)
    const onDryRun = (results: DryRunResult) => dryRuns.count(source.statPrefix, results)
    const context = { clock, random, compilePattern, guard, onDecision, onDryRun }
    return {
      clock,
      random,
      clusters,
      recorder,
      proxy: this.#proxy,
      routes: compileRoutes(source, context),
      routeless: compileFilters({ ...context, route: undefined }),
      onRefused: (stream, reply) => decisions.refused(chain, stream, reply),
    }
  }
}

/**
 * Whether a proxy could run on a resource: for the NACK of an agent whose proxies live in other threads.
 * @throws CodedError INVALID_RESOURCE, INVALID_REGEX, INVALID_FORMAT, CERTIFICATE_MALFORMED
 */
export function checkProxyResource(typeUrl: TypeUrl, name: string, resource: unknown): void {
  if (typeUrl === CLUSTER_TYPE) checkedCluster(name, resource)
  else if (typeUrl === L7_PROXY_TYPE) checkLogs(checkL7Proxy(resource))
  else if (typeUrl === FILTER_CHAIN_TYPE) {
    const { http, tcp, tls } = checkFilterChain(name, resource)
    if (tls) checkDownstreamTls(tls)
    compilePolicies(tcp?.authorization)
    if (!http) return
    const guard = compileGuard(
      http,
      new JwkSetStore({ clock: systemClock, fetchText: () => Promise.reject(new Error()) }),
    )
    compileRoutes(http, { clock: systemClock, random: new SeededRandom(0), compilePattern, guard })
  }
}

function checkedCluster(name: string, resource: unknown): Cluster {
  const cluster = checkCluster(name, resource)
  if (cluster.tls) checkUpstreamTls(cluster.tls)
  return cluster
}

/** What a connection to a service's port is looked up by. */
export function serviceMatch(service: ServiceKey, port: number): string {
  return `service ${service} ${port}`
}

/** @param port 0: of every port */
export function workloadMatch(uid: string, port: number): string {
  return `workload ${uid} ${port}`
}

/** @param port 0: of every port that no other chain is for */
export function inboundMatch(port: number): string {
  return `inbound ${port}`
}

const compilePattern: CompilePattern = (pattern) => LinearRegex.compile(pattern)

function matchKey({ match }: FilterChain): string {
  switch (match.kind) {
    case 'service':
      return serviceMatch(match.service, match.port)
    case 'workload':
      return workloadMatch(match.uid, match.port)
    case 'listener':
      return `listener ${match.port} ${match.serverNames.join(',')}`
    case 'inbound':
      return inboundMatch(match.port)
  }
}

/** @throws CodedError INVALID_POLICY */
function compileGuard(
  source: Pick<HttpConnectionManager, 'authorization' | 'jwt' | 'extAuthz' | 'rateLimit'>,
  keys: JwkSetStore,
): Guard {
  const { authorization, jwt, extAuthz, rateLimit } = source
  return {
    rateLimitService: rateLimit,
    policies: compilePolicies(authorization),
    authenticator:
      jwt && jwt.providers.length > 0
        ? new JwtAuthenticator(jwt, { keysAt: (location, timeoutMs) => keys.keysAt(location, timeoutMs) })
        : undefined,
    extAuthz: providersByName(extAuthz),
  }
}

function providersByName(providers: HttpConnectionManager['extAuthz']): Guard['extAuthz'] {
  return new Map((providers ?? []).map((provider) => [provider.provider, provider]))
}

function compilePolicies(sources: readonly HttpAuthorization[] | undefined): HttpPolicies | undefined {
  return sources && sources.length > 0 ? new HttpPolicies(sources) : undefined
}

function compileRoutes(
  { virtualHosts }: HttpConnectionManager,
  context: Omit<FilterContext, 'route'>,
): RouteTable<CompiledRoute> {
  return new RouteTable({
    virtualHosts,
    compilePattern,
    prepare: (route) => compileRoute(route, compileFilters({ ...context, route })),
  })
}

function compileRoute(source: Route, filters: CompiledRoute['filters']): CompiledRoute {
  const { action, match } = source
  const forward = action.kind === 'forward' ? action.forward : undefined
  const backends = (forward?.backends ?? []).filter(({ weight }) => weight > 0).map(compileBackend)
  const rewrite = forward?.rewrite?.path
  return {
    source,
    filters,
    requestHeaders: compileHeaderMutation(source.requestHeaders),
    responseHeaders: compileHeaderMutation(source.responseHeaders),
    backends,
    totalWeight: backends.reduce((sum, { weight }) => sum + weight, 0),
    rewritePath: rewrite && compilePathRewrite(rewrite, match.path, compilePattern),
    locationOf: action.kind === 'redirect' ? compileRedirect(action.redirect, match.path, compilePattern) : undefined,
    retryConditions: forward?.retry && new RetryConditions(forward.retry),
  }
}

function compileBackend({ cluster, weight, requestHeaders, responseHeaders }: WeightedBackend): CompiledBackend {
  return {
    cluster,
    weight,
    requestHeaders: compileHeaderMutation(requestHeaders),
    responseHeaders: compileHeaderMutation(responseHeaders),
  }
}

function checkLogs({ accessLog, outboundTelemetry }: L7Proxy): void {
  checkLogFormat(accessLog)
  if (outboundTelemetry) checkLogFormat(outboundTelemetry.accessLog)
}
