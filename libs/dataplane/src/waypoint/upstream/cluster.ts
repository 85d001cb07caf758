import { canonicalIp } from '@ambient-lab/policy'
import { type CancelTimer, type Clock, every, type Random } from '@ambient-lab/std'
import type { Logger } from '@ambient-lab/telemetry'
import type { Cluster as ClusterConfig, Service, ServiceKey, Workload } from '@ambient-lab/xds'
import { formatAddress, type SocketAddress } from '../../address.ts'
import type { PlainNetwork } from '../../plain-network.ts'
import { type EndpointSet, isUsable, NO_ENDPOINTS, targetPortOf } from '../../state/endpoint-set.ts'
import type { ProxyStateHolder } from '../../state/proxy-state-holder.ts'
import type { ByteStream } from '../../stream/byte-stream.ts'
import { encodeProxyHeader, encodeProxyLine } from '../../ztunnel/proxy-protocol.ts'
import { addressOf } from '../../ztunnel/workload-address.ts'
import { ORIGINAL_DESTINATIONS_MAX, POOLS_MAX } from '../limits.ts'
import type { DownstreamPeer } from '../request-record.ts'
import { CircuitBreaker } from './circuit-breaker.ts'
import { ConnectionPool, type ConnectionPoolComponents } from './connection-pool.ts'
import type { EndpointDialer, EndpointDialOptions } from './endpoint-dialer.ts'
import { type NetworkDoor, UpstreamHost } from './host.ts'
import { HostSelection } from './host-selection.ts'
import { Http2Pool } from './http2-pool.ts'
import type { Draw } from './load-balancer.ts'
import type { OwnPlace } from './locality.ts'
import {
  describeLeftOut,
  gatewayText,
  groupByNetwork,
  type LeftOut,
  localityText,
  type NetworkGroup,
  type RemoteEndpoint,
} from './other-networks.ts'
import { type HostOutcome, OutlierDetection } from './outlier-detection.ts'
import type { UpstreamPool } from './upstream-connection.ts'
import { needsTls, secureUpstream } from './upstream-tls.ts'

export interface ClusterComponents {
  readonly clock: Clock
  readonly random: Random
  readonly state: ProxyStateHolder
  readonly network: PlainNetwork
  readonly dialer: EndpointDialer
  readonly log: Pick<Logger, 'warn'>
}

/** What requests are sent to: its hosts as they are at this moment, and what is open to them. */
export class Cluster implements Disposable {
  readonly config: ClusterConfig
  readonly breaker: CircuitBreaker
  readonly #components: ClusterComponents
  readonly #own: OwnPlace
  readonly #hosts = new Map<string, UpstreamHost>()
  readonly #selection: HostSelection
  readonly #outliers: OutlierDetection | undefined
  /** By host and client address: what a tunnel tells the destination about the client holds for all it carries. */
  readonly #pools = new Map<UpstreamHost, Map<string, UpstreamPool>>()
  #poolCount = 0
  #endpoints: EndpointSet | undefined
  #service: Service | undefined
  /** Replicas of this proxy. */
  #peers: EndpointSet = NO_ENDPOINTS
  /** Of the snapshot that they were read from. */
  #peersVersion = -1
  #resolution: Promise<void> | undefined
  #stopResolving: CancelTimer | undefined
  #list: readonly UpstreamHost[] = []
  #leftOut: readonly LeftOut[] = []
  /** Of them, in the log. */
  #said = ''

  constructor(components: ClusterComponents, config: ClusterConfig, own: OwnPlace) {
    const { clock } = components
    const { outlierDetection, circuitBreakers, loadBalancing, endpoints } = config
    this.config = config
    this.#components = components
    this.#own = own
    this.breaker = new CircuitBreaker({ clock }, circuitBreakers)
    this.#selection = new HostSelection(
      { clock },
      {
        ...{ loadBalancing, own, hasFailover: outlierDetection !== undefined },
        panicPercent: outlierDetection?.minHealthPercent ?? 0,
      },
    )
    this.#outliers =
      outlierDetection &&
      new OutlierDetection(
        { clock, hosts: () => this.#list, onChange: () => this.#selection.healthChanged() },
        outlierDetection,
      )
    if (endpoints.kind === 'dns') this.#resolveNow(endpoints)
  }

  /** Undefined when hosts can be picked at once; else it settles when that is so, never rejects. */
  get warming(): Promise<void> | undefined {
    return this.#resolution
  }

  get hosts(): readonly UpstreamHost[] {
    this.#refresh()
    return this.#list
  }

  /** Endpoints of other networks that it has no use for. */
  get leftOut(): readonly LeftOut[] {
    this.#refresh()
    return this.#leftOut
  }

  /** @returns undefined when no host is healthy */
  pick(draw: Draw, peer: DownstreamPeer): UpstreamHost | undefined {
    const { endpoints } = this.config
    if (endpoints.kind === 'original-destination') return this.#hostAt(peer.local)
    if (endpoints.kind === 'local') {
      return this.#hostAt({ address: peer.local.address, port: endpoints.port || peer.local.port })
    }
    this.#refresh()
    return this.#dialledPod(peer) ?? this.#selection.pick(draw)
  }

  /**
   * The way to a host on behalf of a client, or of the proxy itself, whose connections are nobody else's.
   * @param isHttp2 whether the client spoke HTTP/2, which a cluster of protocol `downstream` follows
   */
  poolOf(host: UpstreamHost, peer: DownstreamPeer | undefined, isHttp2: boolean): UpstreamPool {
    const { protocol } = this.config
    const speaksHttp2 = protocol === 'http2' || (protocol === 'downstream' && isHttp2)
    // Each request asks: the address is a key as it is, since a text made anew is slow to find.
    const client = this.#clientKey(peer)
    const key = speaksHttp2 ? `${client} h2` : client
    const known = this.#pools.get(host)?.get(key)
    if (known) return known
    const { clock, random } = this.#components
    const { connectTimeoutMs, idleTimeoutMs, maxRequestsPerConnection, maxConnectionDurationMs, http2 } = this.config
    const components: ConnectionPoolComponents = {
      clock,
      breaker: this.breaker,
      dial: (options) => this.dial(host, peer, options, speaksHttp2 ? ['h2'] : []),
    }
    const pool = speaksHttp2
      ? new Http2Pool(
          { ...components, random },
          { ...http2, connectTimeoutMs, idleTimeoutMs, maxRequestsPerConnection, maxConnectionDurationMs },
        )
      : new ConnectionPool(components, {
          connectTimeoutMs,
          idleTimeoutMs,
          maxRequestsPerConnection,
          maxConnectionDurationMs,
        })
    if (this.#poolCount >= POOLS_MAX) this.#forgetEmptyPools()
    let pools = this.#pools.get(host)
    if (!pools) {
      pools = new Map()
      this.#pools.set(host, pools)
    }
    pools.set(key, pool)
    this.#poolCount += 1
    return pool
  }

  /**
   * A connection to a host for a client, or the proxy itself, as the cluster wants it, from the outside in: what leads there, PROXY protocol, TLS.
   * @param protocols for ALPN
   * @throws CodedError as EndpointDialer.dial and secureUpstream
   */
  async dial(
    host: UpstreamHost,
    peer: DownstreamPeer | undefined,
    options: EndpointDialOptions,
    protocols: readonly string[],
  ): Promise<ByteStream> {
    const { tls, proxyProtocol, plaintext, tcpKeepalive: keepalive, endpoints } = this.config
    const { dialer } = this.#components
    const stream =
      endpoints.kind === 'local'
        ? await dialer.dialLocal(host.port, options)
        : await dialer.dial(host, peer, {
            ...options,
            ...(plaintext && { plaintext }),
            ...(keepalive && { keepalive }),
          })
    const { address, local } = peer ?? { address: dialer.ownAddress(), local: { address: host.host, port: host.port } }
    if (proxyProtocol === 'V1') stream.write(encodeProxyLine(address, local))
    if (proxyProtocol === 'V2') stream.write(encodeProxyHeader(address, local))
    return needsTls(tls) ? secureUpstream(stream, tls, { host: host.host, protocols, signal: options.signal }) : stream
  }

  /** One try is over. */
  record(host: UpstreamHost, outcome: HostOutcome): void {
    this.#outliers?.record(host, outcome)
  }

  /** What its successor takes over, so that a change of a timeout neither forgives nor forgets. */
  adopt(predecessor: Cluster): void {
    predecessor.#refresh()
    this.#said = predecessor.#said
    for (const [key, host] of predecessor.#hosts) this.#hosts.set(key, host)
    this.#endpoints = undefined
  }

  /** Nothing new; exchanges that are under way end by themselves. */
  [Symbol.dispose](): void {
    this.#stopResolving?.()
    this.#outliers?.[Symbol.dispose]()
    for (const pools of this.#pools.values()) for (const pool of pools.values()) pool.drain()
    this.#pools.clear()
    this.#poolCount = 0
  }

  /**
   * Who may share a connection: a client's address, and where what it says of a client is one connection, that; all who
   * like when it says nothing.
   */
  #clientKey(peer: DownstreamPeer | undefined): string {
    if (!peer) return 'own'
    const { address, local } = peer
    const { proxyProtocol, endpoints } = this.config
    if (proxyProtocol) return `${formatAddress(address)} ${formatAddress(local)}`
    return endpoints.kind === 'local' ? '' : address.address
  }

  #refresh(): void {
    const { endpoints: source } = this.config
    if (source.kind !== 'service') return
    const state = this.#components.state.current
    this.#followPeers()
    const endpoints = state.endpointsOf(source.service)
    const service = state.service(source.service)
    if (endpoints === this.#endpoints && service === this.#service) return
    this.#endpoints = endpoints
    this.#service = service
    const throughWaypoint = service && this.#throughWaypoint(service)
    if (throughWaypoint !== undefined) {
      this.#leftOut = []
      return this.#keepService(throughWaypoint, source.servicePort)
    }
    const { dialer } = this.#components
    const nowMs = this.#components.clock.monotonic()
    const seen = new Set<string>()
    const elsewhere: RemoteEndpoint[] = []
    for (const endpoint of service ? endpoints.values() : NO_ENDPOINTS.values()) {
      const { workload } = endpoint
      if (source.subset && !source.subset.includes(workload.uid)) continue
      if (!isUsable(endpoint, service!) || workload.capacity === 0) continue
      const port = targetPortOf(endpoint, service!, source.servicePort)
      if (port === undefined) continue
      if (dialer.isElsewhere(workload)) {
        elsewhere.push({ workload, isPlaintext: dialer.isPlaintext(workload, port, this.config.plaintext) })
        continue
      }
      const address = addressOf(workload, service, '') ?? workload.hostname
      if (address === '') continue
      const key = `${workload.uid}:${port}`
      seen.add(key)
      const known = this.#hosts.get(key)
      if (known && known.host === address) {
        if (!isReachedAlike(known.workload, workload)) this.#dropPools(key)
        known.workload = workload
        known.weight = workload.capacity
      } else {
        this.#add({ key, host: address, port, nowMs, workload })
      }
    }
    this.#keepNetworks(elsewhere, service, source, seen)
    this.#keepOnly(seen)
    this.#sayLeftOut()
  }

  /** Who lets in to a network stands for what the service has there (ambient.md §1.10). */
  #keepNetworks(
    elsewhere: readonly RemoteEndpoint[],
    service: Service | undefined,
    { service: key, servicePort }: { readonly service: string; readonly servicePort: number },
    seen: Set<string>,
  ): void {
    if (!service || elsewhere.length === 0) {
      this.#leftOut = []
      return
    }
    const { groups, leftOut } = groupByNetwork(elsewhere, service)
    this.#leftOut = leftOut
    const host = service.addresses.find(({ network }) => network === this.#own.network)?.address ?? ''
    for (const group of groups) seen.add(this.#keepNetwork(group, key, { address: host, port: servicePort }))
  }

  /** @returns its key */
  #keepNetwork(
    { network: name, locality, gateway, weight }: NetworkGroup,
    service: string,
    { address: host, port }: SocketAddress,
  ): string {
    const key = `network ${name} ${localityText(locality)}`
    const address = gatewayText(gateway)
    const known = this.#hosts.get(key)
    if (known && known.address === address && known.host === host) {
      known.weight = weight
      return key
    }
    const network: NetworkDoor = { name, gateway, service, locality }
    this.#add({ key, host, port, nowMs: this.#components.clock.monotonic(), network, address, weight })
    return key
  }

  /** Who waits for an answer hears `no healthy upstream`; why there is none, the log says once. */
  #sayLeftOut(): void {
    const told = this.#leftOut.filter(({ reason }) => reason !== 'not global' || this.#list.length === 0)
    const words = told.map(describeLeftOut).join('; ')
    if (words !== this.#said && words !== '') this.#components.log.warn(`${this.config.name}: ${words}`)
    this.#said = words
  }

  /** Who else sends as this proxy does: the endpoints of the service that it belongs to. */
  #followPeers(): void {
    const { state, dialer } = this.#components
    if (!this.config.loadBalancing.zoneAware || state.current.version === this.#peersVersion) return
    this.#peersVersion = state.current.version
    const [service] = Object.keys(dialer.ownServices()) as ServiceKey[]
    const peers = service === undefined ? NO_ENDPOINTS : state.current.endpointsOf(service)
    if (peers === this.#peers) return
    this.#peers = peers
    this.#selection.updatePeers([...peers.values()].map(({ workload }) => workload.locality))
  }

  /** The virtual address that leads through the service's waypoint, where a gateway shall go that way. */
  #throughWaypoint({ ingressUseWaypoint, waypoint, addresses }: Service): string | undefined {
    if (!ingressUseWaypoint || !waypoint || this.#components.dialer.kind !== 'gateway') return undefined
    return addresses.find(({ network }) => network === this.#own.network)?.address
  }

  #keepService(host: string, port: number): void {
    const key = `service ${host}:${port}`
    if (!this.#hosts.has(key))
      this.#add({ key, host, port, nowMs: this.#components.clock.monotonic(), isService: true })
    this.#keepOnly(new Set([key]))
  }

  #add(init: {
    readonly key: string
    readonly host: string
    readonly port: number
    readonly nowMs: number
    readonly workload?: UpstreamHost['workload']
    readonly isService?: boolean
    readonly network?: NetworkDoor
    /** @default that of host and port */
    readonly address?: string
    /** @default the workload's */
    readonly weight?: number
  }): void {
    const { key, host, port, nowMs, workload, isService = false, network } = init
    const { address = formatAddress({ address: host, port }), weight = workload?.capacity ?? 1 } = init
    this.#dropPools(key)
    this.#hosts.set(
      key,
      new UpstreamHost({ key, address, host, port, addedMs: nowMs, workload, isService, network, weight }),
    )
  }

  #keepOnly(keys: ReadonlySet<string>): void {
    for (const key of this.#hosts.keys()) {
      if (keys.has(key)) continue
      this.#hosts.delete(key)
      this.#dropPools(key)
    }
    this.#list = [...this.#hosts.values()]
    this.#selection.update(this.#list)
  }

  /** Clients come and go; what they leave behind is a pool without connections. */
  #forgetEmptyPools(): void {
    for (const pools of this.#pools.values()) {
      for (const [key, pool] of pools) if (pool.isEmpty && pools.delete(key)) this.#poolCount -= 1
    }
  }

  #dropPools(hostKey: string): void {
    for (const [host, pools] of this.#pools) {
      if (host.key !== hostKey) continue
      for (const pool of pools.values()) pool.drain()
      this.#pools.delete(host)
      this.#poolCount -= pools.size
    }
  }

  /** Of a headless service the workload of a sidecar has chosen the pod itself. */
  #dialledPod({ side, local }: DownstreamPeer): UpstreamHost | undefined {
    if (side !== 'outbound' || this.#service?.addresses.length !== 0) return undefined
    return this.#list.find(({ host }) => host === local.address)
  }

  /** Where the client was going is the one host; a client that comes back finds it again. */
  #hostAt(local: SocketAddress): UpstreamHost {
    const key = formatAddress(local)
    let host = this.#hosts.get(key)
    if (!host) {
      const nowMs = this.#components.clock.monotonic()
      const workload = this.#components.state.current.workloadByAddress(this.#own.network, local.address)
      const [oldest] = this.#hosts.keys()
      if (oldest !== undefined && this.#hosts.size >= ORIGINAL_DESTINATIONS_MAX) {
        this.#hosts.delete(oldest)
        this.#dropPools(oldest)
      }
      this.#add({ key, host: local.address, port: local.port, nowMs, workload })
      host = this.#hosts.get(key)!
      this.#list = [...this.#hosts.values()]
    }
    return host
  }

  #resolveNow(source: Extract<ClusterConfig['endpoints'], { kind: 'dns' }>): void {
    this.#resolution = this.#resolve(source).finally(() => {
      this.#resolution = undefined
    })
    this.#stopResolving = every(this.#components.clock, source.dnsTtlMs, () => void this.#resolve(source))
  }

  /** A name that does not resolve keeps the hosts that it had. */
  async #resolve({ hosts }: Extract<ClusterConfig['endpoints'], { kind: 'dns' }>): Promise<void> {
    const { network, clock } = this.#components
    const found = await Promise.all(
      hosts.map(async ({ host, port }) => ({ host: canonicalIp(host) ?? (await network.lookup(host)), port })),
    )
    const addresses = found.flatMap(({ host, port }) => (host === undefined ? [] : { host, port }))
    if (addresses.length === 0 && this.#hosts.size > 0) return
    const nowMs = clock.monotonic()
    const keys = addresses.map(({ host, port }) => formatAddress({ address: host, port }))
    for (const [index, key] of keys.entries()) {
      if (!this.#hosts.has(key)) this.#add({ key, ...addresses[index]!, nowMs })
    }
    this.#keepOnly(new Set(keys))
  }
}

/** Whether connections that were made to a workload as it was are such as would be made now. */
function isReachedAlike(before: Workload | undefined, { sidecar }: Workload): boolean {
  return before?.sidecar === sidecar || JSON.stringify(before?.sidecar) === JSON.stringify(sidecar)
}
