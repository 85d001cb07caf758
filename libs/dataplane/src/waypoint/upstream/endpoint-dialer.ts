import type { SpiffeId } from '@ambient-lab/pki'
import { type Cidr, cidrContains, parseIp } from '@ambient-lab/policy'
import type { CodedError, Random } from '@ambient-lab/std'
import type { Workload } from '@ambient-lab/xds'
import type { HostPort, SocketAddress } from '../../address.ts'
import { dataplaneError } from '../../errors.ts'
import type { PlainNetwork } from '../../plain-network.ts'
import type { ProxyStateHolder } from '../../state/proxy-state-holder.ts'
import type { ByteStream } from '../../stream/byte-stream.ts'
import type { TunnelPool } from '../../tunnel/tunnel-pool.ts'
import { formatForwarded, newTraceparent } from '../../ztunnel/forwarded.ts'
import { planDirect, type TunnelPlan } from '../../ztunnel/outbound-plan.ts'
import { encodeProxyHeader } from '../../ztunnel/proxy-protocol.ts'
import { serverNameOf } from '../../ztunnel/server-name.ts'
import { factsOf } from '../../ztunnel/workload-facts.ts'
import type { DownstreamPeer } from '../request-record.ts'
import type { UpstreamHost } from './host.ts'

export interface EndpointDialerComponents {
  readonly random: Random
  readonly state: ProxyStateHolder
  readonly tunnels: TunnelPool
  readonly network: PlainNetwork
}

export interface EndpointDialerInit {
  readonly node: string
  /** uid of the proxy's own pod. */
  readonly uid: string
  /** As whom it dials. */
  readonly identity: SpiffeId
  readonly clusterDomain: string
  /** Addresses that exist in the lab only: never dialled on the machine's own network. */
  readonly labRanges: readonly Cidr[]
}

export interface EndpointDialOptions {
  readonly timeoutMs: number
  readonly signal: AbortSignal
}

/** Opens connections to endpoints as the proxy: through a tunnel where the workload has one, else as the network is. */
export class EndpointDialer {
  readonly #components: EndpointDialerComponents
  readonly #init: EndpointDialerInit

  constructor(components: EndpointDialerComponents, init: EndpointDialerInit) {
    this.#components = components
    this.#init = init
  }

  /**
   * @param peer whose request it is: its address travels along, so that the destination knows the client
   * @throws CodedError as TunnelPool.connect and Dialer.dial; NODE_UNREACHABLE, NO_ROUTE
   */
  dial(host: UpstreamHost, peer: DownstreamPeer, options: EndpointDialOptions): Promise<ByteStream> {
    const { workload } = host
    if (!workload) return this.#dialOutside({ host: host.host, port: host.port }, options)
    const { state, random } = this.#components
    const own = state.current.workload(this.#init.uid)
    if (!own) throw sourceUnknown(this.#init.uid)
    const request = { source: own, destination: { address: host.host, port: host.port }, random }
    // Straight to the pod: a waypoint that answers for it too is not asked (ambient.md §1.8).
    const plan = planDirect(state.current, request, workload, host.port, undefined)
    if (plan.kind === 'rejection') throw dataplaneError(plan.code, plan.reason, { origin: 'upstream' })
    if (plan.kind === 'tunnel') return this.#tunnel(own, plan, peer, options)
    return this.#dialPlain(plan.target, workload, peer.address, options)
  }

  async #tunnel(
    own: Workload,
    plan: TunnelPlan,
    peer: DownstreamPeer,
    { signal }: EndpointDialOptions,
  ): Promise<ByteStream> {
    const { random, state, tunnels } = this.#components
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
      forwarded: formatForwarded(peer.address, peer.service?.hostname),
      traceparent: newTraceparent(random),
    }
    return (await tunnels.connect(target, request, signal)).stream
  }

  /** To a pod over its node's underlay, where a header says who and whom. */
  async #dialPlain(
    target: HostPort,
    workload: Workload,
    source: SocketAddress,
    options: EndpointDialOptions,
  ): Promise<ByteStream> {
    if (!workload.node) return this.#dialOutside(target, options)
    const listener = this.#components.state.current.node(workload.node)?.underlay
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

function sourceUnknown(uid: string): CodedError {
  return dataplaneError('SOURCE_UNKNOWN', `failed to fetch information about local workload: ${uid}`)
}

function nodeUnreachable(destination: Workload): CodedError {
  return dataplaneError('NODE_UNREACHABLE', `io error: no agent serves node ${destination.node}`, {
    where: `node ${destination.node}`,
    origin: 'upstream',
  })
}
