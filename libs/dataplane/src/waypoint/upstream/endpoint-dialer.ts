import type { SpiffeId } from '@ambient-lab/pki'
import { type Cidr, cidrContains, parseIp } from '@ambient-lab/policy'
import type { CodedError, Random } from '@ambient-lab/std'
import type { Cluster, L7Proxy, Workload } from '@ambient-lab/xds'
import type { HostPort, SocketAddress } from '../../address.ts'
import { dataplaneError, type Rejection } from '../../errors.ts'
import type { PlainNetwork } from '../../plain-network.ts'
import type { ProxyStateHolder } from '../../state/proxy-state-holder.ts'
import type { ByteStream } from '../../stream/byte-stream.ts'
import { connectThroughGateway } from '../../tunnel/double-tunnel.ts'
import type { Transport } from '../../tunnel/transport.ts'
import type { TunnelPool } from '../../tunnel/tunnel-pool.ts'
import { formatForwarded, newTraceparent } from '../../ztunnel/forwarded.ts'
import {
  type OutboundPlan,
  planDirect,
  planOutbound,
  planPastWaypoints,
  planToNetwork,
  type TunnelPlan,
} from '../../ztunnel/outbound-plan.ts'
import { encodeProxyHeader } from '../../ztunnel/proxy-protocol.ts'
import { serverNameOf } from '../../ztunnel/server-name.ts'
import { factsOf } from '../../ztunnel/workload-facts.ts'
import type { OwnWorkload } from '../own-workload.ts'
import type { DownstreamPeer } from '../request-record.ts'
import type { NetworkDoor, UpstreamHost } from './host.ts'

export interface EndpointDialerComponents {
  readonly random: Random
  readonly state: ProxyStateHolder
  readonly own: Pick<OwnWorkload, 'uid' | 'current'>
  /** Dials inside of tunnels. */
  readonly transport: Transport
  readonly tunnels: TunnelPool
  readonly network: PlainNetwork
  /** Of a sidecar: where a port of its own workload really listens. */
  readonly local?: (port: number) => HostPort | undefined
}

export interface EndpointDialerInit {
  readonly node: string
  /** As whom it dials. */
  readonly identity: SpiffeId
  readonly clusterDomain: string
  /** Addresses that exist in the lab only: never dialled on the machine's own network. */
  readonly labRanges: readonly Cidr[]
  /** A gateway goes through the waypoints of services that want that; other networks' gateways are told. @default waypoint */
  readonly kind?: () => L7Proxy['kind']
}

export interface EndpointDialOptions {
  readonly timeoutMs: number
  readonly signal: AbortSignal
  /** As the cluster has it. */
  readonly plaintext?: Cluster['plaintext']
  /** As the cluster has it; a tunnel's connection has its own. */
  readonly keepalive?: Cluster['tcpKeepalive']
}

/** What a kernel would give a socket: nobody listens there, it only has to be told apart. */
const EPHEMERAL_PORT_FIRST = 32_768
const EPHEMERAL_PORTS = 28_232

/** For whom a connection is opened. */
interface Client {
  readonly address: SocketAddress
  /** Host name of the service that it dialled. */
  readonly service: string | undefined
}

/** Opens connections to endpoints as the proxy: through a tunnel where the workload has one, else as the network is. */
export class EndpointDialer {
  readonly #components: EndpointDialerComponents
  readonly #init: EndpointDialerInit

  constructor(components: EndpointDialerComponents, init: EndpointDialerInit) {
    this.#components = components
    this.#init = init
  }

  get kind(): L7Proxy['kind'] {
    return this.#init.kind?.() ?? 'waypoint'
  }

  /** Whether a workload is of another network than ours. */
  isElsewhere(workload: Workload): boolean {
    const { current } = this.#components.own
    return current !== undefined && current.network !== workload.network
  }

  /** Whether this is a sidecar, and would send to a workload in the clear. */
  isPlaintext(workload: Workload, port: number, plaintext: Cluster['plaintext']): boolean {
    return this.#components.own.current?.sidecar !== undefined && isPlaintext(workload, port, plaintext)
  }

  /**
   * @param peer whose request it is: its address travels along, so that the destination knows the client; undefined: ours
   * @throws CodedError as TunnelPool.connect and Dialer.dial; NODE_UNREACHABLE, NO_ROUTE
   */
  dial(host: UpstreamHost, peer: DownstreamPeer | undefined, options: EndpointDialOptions): Promise<ByteStream> {
    const { workload } = host
    if (host.isService) return this.#dialThroughWaypoint(host, peer, options)
    if (host.network) return this.#dialNetwork(host.network, host.port, peer, options)
    if (!workload) return this.#dialOutside({ host: host.host, port: host.port }, options)
    // An endpoint that somebody wrote by hand may be at a pod's address: then it is the pod that answers there.
    const pod = workload.node
      ? undefined
      : this.#components.state.current.workloadByAddress(workload.network, host.host)
    return this.#dialWorkload(pod ?? workload, { address: host.host, port: host.port }, this.#clientOf(peer), options)
  }

  /** To a port of the workload at whose side this proxy is. @throws CodedError as Dialer.dial; CONNECT_REFUSED */
  async dialLocal(port: number, options: EndpointDialOptions): Promise<ByteStream> {
    const target = this.#components.local?.(port)
    if (!target) throw dataplaneError('CONNECT_REFUSED', `connection refused: port ${port}`, { origin: 'upstream' })
    return this.#components.network.dial(target, options)
  }

  /**
   * A connection for the proxy's own ends, to a service or workload by its address, or to anything outside.
   * @throws CodedError as `dial`; NO_HEALTHY_UPSTREAM
   */
  async dialAddress(destination: SocketAddress, options: EndpointDialOptions): Promise<ByteStream> {
    const { random, state } = this.#components
    const own = this.#own()
    const plan = planPastWaypoints(state.current, { source: own, destination, random, sentBy: this.kind })
    return this.#follow(own, plan, { address: this.ownAddress(), service: undefined }, options)
  }

  /** Of a connection of ours. @throws CodedError SOURCE_UNKNOWN */
  ownAddress(): SocketAddress {
    const port = EPHEMERAL_PORT_FIRST + this.#components.random.integer(EPHEMERAL_PORTS)
    return { address: this.#own().addresses[0] ?? '', port }
  }

  /** What the proxy itself is an endpoint of. */
  ownServices(): Workload['services'] {
    return this.#components.own.current?.services ?? {}
  }

  /** As a ztunnel plans it for a workload: the service's waypoint is given the address and chooses. */
  #dialThroughWaypoint(
    host: UpstreamHost,
    peer: DownstreamPeer | undefined,
    options: EndpointDialOptions,
  ): Promise<ByteStream> {
    const { random, state } = this.#components
    const own = this.#own()
    const destination = { address: host.host, port: host.port }
    const plan = planOutbound(state.current, { source: own, destination, random, sentBy: this.kind })
    return this.#follow(own, plan, this.#clientOf(peer), options)
  }

  /** Through the gateway of another network, to whomever it picks. */
  async #dialNetwork(
    { service: key, name: network, gateway }: NetworkDoor,
    servicePort: number,
    peer: DownstreamPeer | undefined,
    options: EndpointDialOptions,
  ): Promise<ByteStream> {
    const { random, state } = this.#components
    const source = this.#own()
    const service = state.current.service(key)
    if (!service) throw dataplaneError('NO_HEALTHY_UPSTREAM', `no healthy upstream: ${key}`)
    const request = { source, random, service, servicePort, network, gateway, sentBy: this.kind }
    return this.#follow(source, planToNetwork(state.current, request), this.#clientOf(peer), options)
  }

  #clientOf(peer: DownstreamPeer | undefined): Client {
    return { address: peer?.address ?? this.ownAddress(), service: peer?.service?.hostname }
  }

  #own(): Workload {
    const { current, uid } = this.#components.own
    if (!current) throw sourceUnknown(uid)
    return current
  }

  async #dialWorkload(
    workload: Workload,
    destination: SocketAddress,
    client: Client,
    options: EndpointDialOptions,
  ): Promise<ByteStream> {
    const { state, random } = this.#components
    const own = this.#own()
    // Straight to the pod: a waypoint that answers for it too is not asked (ambient.md §1.8).
    const plan = planDirect(state.current, { source: own, destination, random }, workload, destination.port, undefined)
    return this.#follow(own, plan, client, options)
  }

  async #follow(
    own: Workload,
    plan: OutboundPlan | Rejection,
    client: Client,
    options: EndpointDialOptions,
  ): Promise<ByteStream> {
    if (plan.kind === 'rejection') throw dataplaneError(plan.code, plan.reason, { origin: 'upstream' })
    if (plan.kind === 'tunnel') {
      const { destination, requested, inner } = plan
      // To another network there is no way in the clear.
      if (inner || !this.isPlaintext(destination, requested.port, options.plaintext)) {
        return this.#tunnel(own, plan, client, options)
      }
      const target = { host: requested.address, port: requested.port }
      return this.#dialPlain(target, destination, client.address, options)
    }
    if (!plan.destination) return this.#dialOutside(plan.target, options)
    return this.#dialPlain(plan.target, plan.destination, client.address, options)
  }

  async #tunnel(own: Workload, plan: TunnelPlan, client: Client, { signal }: EndpointDialOptions): Promise<ByteStream> {
    const { random, state, tunnels, transport } = this.#components
    const { node, identity, clusterDomain } = this.#init
    const { destination } = plan
    const listener = destination.hbone ?? state.current.node(destination.node)?.hbone
    if (!listener) throw nodeUnreachable(destination)
    const target = {
      source: identity,
      address: listener,
      serverName: serverNameOf(plan.hboneAddress.address, destination.namespace, clusterDomain),
      expectedIds: plan.expectedIds,
      fromNode: node,
      toNode: destination.node,
      sourceIp: own.addresses[0] ?? '',
    }
    const request = {
      authority: plan.authority,
      baggage: factsOf(own).baggage,
      forwarded: formatForwarded(client.address, client.service),
      traceparent: newTraceparent(random),
    }
    if (!plan.inner) return (await tunnels.connect(target, request, signal)).stream
    const { expectedIds, originNetwork } = plan.inner
    const inner = { serverName: plan.service?.hostname ?? target.serverName, expectedIds }
    const through = { outer: target, inner, request, originNetwork, sentBy: this.kind }
    return connectThroughGateway({ transport, tunnels }, through, signal)
  }

  /** To a pod over its node's underlay, where a header says who and whom. */
  async #dialPlain(
    target: HostPort,
    workload: Workload,
    source: SocketAddress,
    options: EndpointDialOptions,
  ): Promise<ByteStream> {
    if (!workload.node) return this.#dialOutside(target, options)
    const listener = workload.sidecar?.underlay ?? this.#components.state.current.node(workload.node)?.underlay
    if (!listener) throw nodeUnreachable(workload)
    const stream = await this.#components.network.dial(listener, options)
    stream.write(encodeProxyHeader(source, { address: target.host, port: target.port }))
    return stream
  }

  async #dialOutside(target: HostPort, options: EndpointDialOptions): Promise<ByteStream> {
    const ip = parseIp(target.host)
    if (ip && this.#init.labRanges.some((range) => cidrContains(range, ip))) {
      throw dataplaneError('NODE_UNREACHABLE', 'io error: no route to host', { origin: 'upstream' })
    }
    return this.#components.network.dial(target, options)
  }
}

/** Whether a sidecar does without mutual TLS: as its cluster says, or the PeerAuthentication of the sidecar at the other end. */
export function isPlaintext({ sidecar }: Workload, port: number, plaintext: Cluster['plaintext']): boolean {
  if (plaintext === 'all') return true
  if (!sidecar) return false
  return plaintext === 'sidecars' || sidecar.plaintext !== sidecar.exceptPorts.includes(port)
}

function sourceUnknown(uid: string): CodedError {
  return dataplaneError('SOURCE_UNKNOWN', `failed to fetch information about local workload: ${uid}`)
}

function nodeUnreachable(destination: Workload): CodedError {
  return dataplaneError('NODE_UNREACHABLE', `io error: no agent serves node ${destination.node}`, {
    where: `node ${destination.node}`,
    origin: 'upstream',
  })
}
