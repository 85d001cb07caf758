import { type FetchText, JwkSetStore, type SpiffeId, type SvidSource } from '@ambient-lab/pki'
import { type Clock, CodedError, type Random, Scope, sleep } from '@ambient-lab/std'
import type { Logger, MetricsRegistry } from '@ambient-lab/telemetry'
import {
  type EdgeCounters,
  type HistogramMetric,
  type ReplayAnswer,
  type ReplayQuery,
  type RequestsAnswer,
  type RequestsQuery,
  type ReviewAnswer,
  type ReviewQuery,
  sidecarGroup,
  type TypeUrl,
} from '@ambient-lab/xds'
import type { HostPort } from '../address.ts'
import { dataplaneError } from '../errors.ts'
import { parseRanges } from '../lab-ranges.ts'
import { DRAIN_DEADLINE_MS } from '../limits.ts'
import type { PlainNetwork } from '../plain-network.ts'
import { replayRequests } from '../review/request-replay.ts'
import { reviewSidecar } from '../review/sidecar-review.ts'
import { reviewKept, reviewWaypoint } from '../review/waypoint-review.ts'
import { RequestEdges } from '../sidecar/request-edges.ts'
import { Sidecar, type SidecarPod } from '../sidecar/sidecar.ts'
import { ProxyStateHolder, type ResourceError, type Upsert } from '../state/proxy-state-holder.ts'
import type { Transport } from '../tunnel/transport.ts'
import { TunnelPool } from '../tunnel/tunnel-pool.ts'
import { TunnelServer } from '../tunnel/tunnel-server.ts'
import { DryRunSeries } from './dry-run-series.ts'
import { EastWest } from './east-west.ts'
import { GatewayListeners } from './gateway-listeners.ts'
import { GrpcMessageSeries } from './grpc-message-series.ts'
import { Listener } from './listener.ts'
import { OwnHttpClient } from './own-http-client.ts'
import { OwnWorkload } from './own-workload.ts'
import { ProxyConfig } from './proxy-config.ts'
import { RequestDecisions } from './request-decisions.ts'
import type { DownstreamPeer } from './request-record.ts'
import { RequestRecorder } from './request-recorder.ts'
import { RequestSeries } from './request-series.ts'
import { TcpSeries } from './tcp-series.ts'
import { Clusters } from './upstream/clusters.ts'
import { EndpointDialer } from './upstream/endpoint-dialer.ts'
import { HOSTNAME_LABEL } from './upstream/locality.ts'

export interface WaypointComponents {
  readonly clock: Clock
  readonly random: Random
  /** Presents the waypoint's own certificate, as client and as server. */
  readonly transport: Transport
  readonly network: PlainNetwork
  readonly svids: SvidSource
  readonly metrics: MetricsRegistry
  /** Of policies: what those in dry run would have done. */
  readonly log: Logger
  /** Of clusters: what of a service nothing is sent to, and why. */
  readonly upstreamLog: Pick<Logger, 'warn'>
  /** Reads the keys of issuers. */
  readonly fetchText: FetchText
  /** Takes the lines of the access log, without their ends. */
  readonly accessLogSink: (line: string) => void
}

export interface WaypointInit {
  /** uid of the pod that this is. */
  readonly uid: string
  /** Resource name of its L7Proxy. */
  readonly proxy: string
  readonly node: string
  readonly identity: SpiffeId
  readonly labels: Readonly<Record<string, string>>
  /** Where the HBONE listener listens. @default 127.0.0.1 */
  readonly host?: string
  /** @default 0: a free one */
  readonly port?: number
  /** Where a gateway's listeners listen, and a sidecar's for its own programs. @default 127.0.0.1 */
  readonly gatewayHost?: string
  /** Told whenever a gateway's ports are others: the Gateway's port → where it really listens. */
  readonly onGatewayPorts?: (ports: Readonly<Record<string, HostPort>>) => void
  /** The pod at whose side this is a sidecar. @default it is none */
  readonly sidecar?: SidecarPod
  /** @default cluster.local */
  readonly clusterDomain?: string
  /** CIDRs that exist in the lab only. @default pods, services, ServiceEntries */
  readonly labRanges?: readonly string[]
  /** @default 5 s */
  readonly drainDeadlineMs?: number
}

/**
 * One L7 proxy: a replica of the waypoint of a service, a namespace or a service account, one of a gateway into the mesh,
 * or the sidecar of a workload.
 */
export class Waypoint implements AsyncDisposable {
  readonly state = new ProxyStateHolder()
  readonly config: ProxyConfig
  readonly clusters: Clusters
  readonly #decisions: RequestDecisions
  readonly #edges: RequestEdges | undefined
  readonly #components: WaypointComponents
  readonly #init: WaypointInit
  readonly #scope: Scope
  readonly #own: OwnWorkload
  readonly #tunnels: TunnelPool
  readonly #server: TunnelServer
  readonly #listener: Listener
  readonly #gateway: GatewayListeners
  readonly #sidecar: Sidecar | undefined
  #draining: Promise<void> | undefined

  constructor(options: { readonly components: WaypointComponents; readonly init: WaypointInit }) {
    const { components, init } = options
    const { clock, random, transport, network, metrics, log, upstreamLog, fetchText, accessLogSink } = components
    const { state } = this
    const { uid, node, identity, sidecar: pod, labels, clusterDomain = 'cluster.local' } = init
    const labRanges = parseRanges(init.labRanges)
    this.#components = components
    this.#init = init
    this.#scope = new Scope(`waypoint ${init.proxy}`)
    const own = new OwnWorkload(state, uid)
    this.#own = own
    this.#tunnels = new TunnelPool({ transport, clock })
    const dialer = new EndpointDialer(
      {
        ...{ random, state, own, transport, network, tunnels: this.#tunnels },
        ...(pod && { local: (port) => pod.targetOf(port) }),
      },
      { node, identity, clusterDomain, labRanges, kind: () => this.config.proxy.kind },
    )
    this.clusters = new Clusters({ clock, random, state, network, dialer, log: upstreamLog }, () => this.#ownPlace())
    const reporter = ({ side }: DownstreamPeer) => {
      if (side === 'inbound') return 'destination'
      return this.config.proxy.kind === 'waypoint' ? 'waypoint' : 'source'
    }
    const switches = (peer: DownstreamPeer) => recorder.tellingOf(peer).metrics
    const tags = (peer: DownstreamPeer) => recorder.tellingOf(peer).tags
    const buckets = (metric: HistogramMetric) => this.config.proxy.histogramBuckets?.[metric]
    const series = new RequestSeries({ metrics, reporter, switches, tags, buckets })
    const messageSeries = new GrpcMessageSeries({ clock }, { metrics, reporter, switches, tags })
    const tcpSeries = new TcpSeries({ metrics, reporter, switches, tags })
    const plaintextOf = (cluster: string) => this.clusters.get(cluster)?.config.plaintext
    const edges = pod && new RequestEdges({ node, plaintextOf })
    this.#edges = edges
    const recorder: RequestRecorder = new RequestRecorder({
      clock,
      series,
      messageSeries,
      tcpSeries,
      edges,
      logSink: accessLogSink,
    })
    this.#decisions = new RequestDecisions({ clock })
    const client = new OwnHttpClient({ random, state, own, dialer }, { clusterDomain })
    this.config = new ProxyConfig(
      init.proxy,
      {
        clock,
        random,
        clusters: this.clusters,
        recorder,
        keys: new JwkSetStore({
          clock,
          fetchText: (url, signal) => (client.reaches(url) ? client.fetchText(url, signal) : fetchText(url, signal)),
        }),
        decisions: this.#decisions,
        dryRuns: new DryRunSeries({ metrics, log }),
        post: (endpoint, body) => client.post(endpoint, body, clock),
      },
      pod && { group: sidecarGroup(pod.namespace), labels },
    )
    this.#listener = new Listener({
      clock,
      random,
      clusters: this.clusters,
      recorder,
      state,
      own,
      config: this.config,
    })
    this.#gateway = new GatewayListeners(
      { clock, network, own, config: this.config, listener: this.#listener },
      { host: init.gatewayHost ?? '127.0.0.1', onPorts: init.onGatewayPorts ?? (() => {}) },
    )
    const eastWest = new EastWest({ clock, random, state, own, network, recorder, listener: this.#listener })
    this.#sidecar =
      pod &&
      new Sidecar(
        { clock, random, network, state, own, config: this.config, listener: this.#listener, recorder },
        {
          ...{ uid, identity, pod, clusterDomain },
          host: init.host ?? '127.0.0.1',
          captureHost: init.gatewayHost ?? '127.0.0.1',
        },
      )
    this.#server = new TunnelServer(
      { transport, clock },
      {
        node,
        host: init.host ?? '127.0.0.1',
        port: init.port ?? 0,
        drainDeadlineMs: this.#drainDeadlineMs,
        onConnect: (incoming) =>
          this.config.proxy.kind === 'east-west'
            ? eastWest.handle(incoming)
            : (this.#sidecar ?? this.#listener).tunnel(incoming),
      },
    )
  }

  /** Opens the HBONE listener. @throws CodedError ADDRESS_IN_USE */
  async start(): Promise<void> {
    const { svids } = this.#components
    svids.prefetch(this.#init.identity)
    this.#scope.own(this.clusters)
    this.#scope.own(this.config)
    this.#scope.defer(() => this.#tunnels[Symbol.asyncDispose]())
    await this.#server.start()
    this.#scope.own(this.#server)
    this.#scope.own(this.#gateway)
    if (this.#sidecar) {
      this.#scope.own(this.#sidecar)
      await this.#sidecar.start()
    }
    this.#scope.defer(this.config.onProxy.on(({ ports }) => void this.#gateway.update(ports)))
    await this.#gateway.update(this.config.proxy.ports)
    this.#scope.defer(
      svids.onChange(({ id, kind }) => {
        if (kind === 'available' || kind === 'trusts-less') this.#tunnels.drainSource(id)
        if (kind === 'trusts-less') this.#server.drainLocal(id)
      }),
    )
  }

  /** Where the HBONE listener really listens; known after `start`. */
  get address(): HostPort {
    return this.#server.address
  }

  /** Of a sidecar: Envoy's port → where it really listens, known after `start`. */
  get sidecarAddresses(): Readonly<Record<string, HostPort>> {
    return this.#sidecar?.addresses ?? {}
  }

  get connectionCount(): number {
    return this.#listener.connectionCount
  }

  /** One push of the control plane; what is no business of a proxy is ignored. @returns the refusals */
  apply(typeUrl: TypeUrl, upserts: readonly Upsert[], removed: readonly string[]): readonly ResourceError[] {
    if (ProxyStateHolder.holds(typeUrl)) {
      const refused = this.state.apply(typeUrl, upserts, removed)
      this.#own.follow()
      return refused
    }
    if (!ProxyConfig.holds(typeUrl)) return []
    // With its last replica a node loses what replicas run on; what this one has taken it still has to serve.
    return this.config.apply(typeUrl, upserts, this.#own.isRetired ? [] : removed)
  }

  /** Of a sidecar: who talked to whom through it, since its start. */
  edges(): readonly EdgeCounters[] {
    return this.#edges?.edges() ?? []
  }

  /**
   * What the control plane's `review` call answers: the decisions on a request that nobody has sent, or on one of late.
   * @throws CodedError NOT_FOUND for a request that is forgotten
   */
  async review(query: ReviewQuery): Promise<ReviewAnswer> {
    const { clock, svids } = this.#components
    const { uid, identity, sidecar: pod, clusterDomain = 'cluster.local' } = this.#init
    const { config, clusters } = this
    const init = {
      ...{ clock, state: this.state.current, config, clusters, uid, identity, svid: svids.state(identity) },
      decisions: this.#decisions,
      title: pod ? `sidecar ${pod.namespace}/${pod.name}` : `${config.proxy.kind} ${config.name}`,
    }
    if (query.at === 'waypoint') return reviewWaypoint(init, query)
    if (query.at !== 'request') {
      if (!pod || !this.#sidecar) throw new CodedError('NOT_FOUND', `${config.name} is nobody's sidecar`)
      return reviewSidecar({ ...init, sidecar: this.#sidecar, pod, clusterDomain }, query)
    }
    const kept = this.#decisions.find(query.serial)
    if (!kept) throw new CodedError('NOT_FOUND', `${config.name} has forgotten the request: later ones took its place`)
    return reviewKept(init, kept)
  }

  /** What the control plane's `requests` call answers: requests of late, without what may be a secret of them. */
  requests({ id }: RequestsQuery): RequestsAnswer {
    const { uid, node, sidecar: pod } = this.#init
    const { name, proxy: settings } = this.config
    const at = { uid, node, proxy: pod ? `${pod.namespace}/${pod.name}` : name, kind: settings.kind }
    return { requests: this.#decisions.requests(id).map((kept) => kept.view(at)) }
  }

  /** What the control plane's `replay` call answers: late decisions under other policies. */
  replay(query: ReplayQuery): ReplayAnswer {
    return replayRequests({ config: this.config, decisions: this.#decisions }, query)
  }

  /** What it runs on, for `/config_dump`: Envoy's sections in the lab's shapes. */
  configDump(): unknown {
    return {
      proxy: this.config.proxy,
      listeners: { hbone: this.address, ...this.#gateway.addresses, ...this.sidecarAddresses },
      filterChains: this.config.chains(),
      clusters: [...this.clusters.values()].map(({ config, hosts, breaker }) => ({
        ...config,
        hosts: hosts.map(({ address, weight, health, activeRequests }) => ({
          address,
          weight,
          activeRequests,
          ejected: health.isEjected,
        })),
        open: { connections: breaker.count('connections'), requests: breaker.count('requests') },
      })),
    }
  }

  /** Stops accepting; requests in flight are answered, connections close behind them, and what is left is cut. */
  drain(): Promise<void> {
    this.#draining ??= this.#drainAll()
    return this.#draining
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.cutAll(dataplaneError('DRAINED', 'connection closed due to connection drain'))
    await this.#scope.dispose()
  }

  get #drainDeadlineMs(): number {
    return this.#init.drainDeadlineMs ?? DRAIN_DEADLINE_MS
  }

  async #drainAll(): Promise<void> {
    const over = new AbortController()
    await Promise.all([this.#gateway[Symbol.asyncDispose](), this.#sidecar?.[Symbol.asyncDispose]()])
    const drained = Promise.all([this.#server.drain(), this.#listener.drain(this.#drainDeadlineMs / 2)]).then(() =>
      over.abort(),
    )
    await Promise.race([drained, sleep(this.#components.clock, this.#drainDeadlineMs, over.signal).catch(() => {})])
    this.#listener.cutAll(dataplaneError('DRAIN_TIMEOUT', 'connection failed to drain within the timeout'))
  }

  #ownPlace() {
    const own = this.#own.current
    const { labels, node } = this.#init
    return { network: own?.network ?? '', locality: own?.locality, labels: { ...labels, [HOSTNAME_LABEL]: node } }
  }
}
