import { type Cidr, cidrContains, parseIp } from '@ambient-lab/policy'
import { type Clock, CodedError, errorMessage, type Random } from '@ambient-lab/std'
import type { L4Traffic, Service, Workload } from '@ambient-lab/xds'
import type { HostPort, SocketAddress } from '../address.ts'
import { DestinationLookup } from '../capture/destination-lookup.ts'
import type { CapturedConnection } from '../capture/redirect.ts'
import { dataplaneError, type Rejection } from '../errors.ts'
import { CONNECT_TIMEOUT_MS } from '../limits.ts'
import type { PlainNetwork } from '../plain-network.ts'
import { type ProxyState, serviceKeyOf } from '../state/proxy-state.ts'
import type { ProxyStateHolder } from '../state/proxy-state-holder.ts'
import type { ByteStream } from '../stream/byte-stream.ts'
import { connectThroughGateway } from '../tunnel/double-tunnel.ts'
import { ConnectRejectedError } from '../tunnel/errors.ts'
import type { ConnectRequest, Transport } from '../tunnel/transport.ts'
import type { PoolTarget, TunnelPool } from '../tunnel/tunnel-pool.ts'
import type { ConnectionOpening, ConnectionRecord } from './connection-record.ts'
import type { ConnectionRecorder } from './connection-recorder.ts'
import type { ConnectionSpans } from './connection-spans.ts'
import type { ConnectionTracker, StandingConnection } from './connection-tracker.ts'
import { formatForwarded, newTraceparent, traceIdOf } from './forwarded.ts'
import { guardedConnect } from './guarded-connect.ts'
import type { OnDemandDns } from './on-demand-dns.ts'
import {
  isSelfCall,
  type OutboundPlan,
  type OutboundRequest,
  type PlainPlan,
  planOutbound,
  planUncaptured,
  type TunnelPlan,
} from './outbound-plan.ts'
import { encodeProxyHeader } from './proxy-protocol.ts'
import { errorCodeOf } from './response-flags.ts'
import { serverNameOf } from './server-name.ts'
import { ServiceLimitsTable } from './service-limits.ts'
import { factsOf } from './workload-facts.ts'

export interface OutboundComponents {
  readonly clock: Clock
  readonly random: Random
  readonly state: ProxyStateHolder
  /** Dials inside of tunnels. */
  readonly transport: Transport
  readonly tunnels: TunnelPool
  readonly network: PlainNetwork
  readonly onDemandDns: OnDemandDns
  readonly recorder: ConnectionRecorder
  /** @default no connection is sampled */
  readonly spans?: ConnectionSpans | undefined
  readonly tracker: ConnectionTracker
  /** Aborts what is being dialled when the ztunnel goes away. */
  readonly signal: AbortSignal
}

export interface OutboundInit {
  readonly node: string
  readonly clusterDomain: string
  /** Addresses that exist in the lab only: never dialled on the machine's own network. */
  readonly labRanges: readonly Cidr[]
}

/** The source's half of a connection: captured → resolved → planned → moved. */
export class Outbound {
  readonly #components: OutboundComponents
  readonly #init: OutboundInit
  readonly #limits: ServiceLimitsTable
  readonly #lookup: DestinationLookup

  constructor({ components, init }: { readonly components: OutboundComponents; readonly init: OutboundInit }) {
    this.#components = components
    this.#init = init
    this.#limits = new ServiceLimitsTable(components)
    this.#lookup = new DestinationLookup(
      components,
      {
        onFound: (captured, source, destination) => this.#plan(captured, source, destination),
        onRefused: (captured, source, error) => this.#refuse(captured, source, error),
      },
      init,
    )
  }

  /** Lets go of what was remembered about services and endpoints that are not there any more. */
  follow(state: ProxyState): void {
    this.#limits.follow(state)
  }

  /** Takes a captured connection to its end, whatever that is; never throws. */
  handle(captured: CapturedConnection): void {
    this.#lookup.find(captured)
  }

  #plan(captured: CapturedConnection, source: Workload, destination: SocketAddress): void {
    const { state, random } = this.#components
    if (isSelfCall(captured.source.address, destination)) return this.#callSelf(captured, destination.port)
    const request = { source, destination, random }
    const plan = captured.source.captured
      ? planOutbound(state.current, request)
      : planUncaptured(state.current, request)
    if (plan.kind === 'rejection') return this.#reject(captured, source, destination, plan)
    if (captured.source.captured && plan.service?.l4Traffic) {
      return this.#guard(captured, request, plan.service, plan.service.l4Traffic)
    }
    const traceparent = newTraceparent(random, this.#components.spans?.draw())
    const record = captured.source.captured
      ? this.#components.recorder.open(openingOf(captured, source, plan, traceparent))
      : undefined
    this.#dial(captured, source, plan, traceparent).then(
      (upstream) => this.#stand(captured, upstream, record),
      (error) => this.#fail(captured, record, asCodedError(error)),
    )
  }

  /** A service with an L4TrafficPolicy: what is recorded is the endpoint that was connected to, or failed last. */
  #guard(captured: CapturedConnection, request: OutboundRequest, service: Service, traffic: L4Traffic): void {
    const { state, clock, random, recorder } = this.#components
    const { source, destination } = request
    const limits = this.#limits.of(service)
    const ztunnels = traffic.globalRate ? healthyNodeCount(state.current) : 1
    const refusal = limits.admit(service, traffic, ztunnels)
    if (refusal) return this.#refuse(captured, source, refusal, destination)
    const traceparent = newTraceparent(random, this.#components.spans?.draw())
    const init = {
      ...{ service, traffic, limits },
      endpointCount: state.current.endpointsOf(serviceKeyOf(service)).size,
      plan: (avoid: (uid: string) => boolean) => planOutbound(state.current, { ...request, avoid }),
      dial: (plan: OutboundPlan) => this.#dial(captured, source, plan, traceparent),
    }
    void guardedConnect(init, clock).then((outcome) => {
      const record = outcome.plan && recorder.open(openingOf(captured, source, outcome.plan, traceparent))
      if ('stream' in outcome) {
        const { idleTimeoutMs, durationMaxMs } = traffic
        const times = { idleTimeoutMs, durationMaxMs }
        return this.#stand(captured, outcome.stream, record, { times, onEnd: () => limits.release() })
      }
      limits.release()
      if (record) this.#fail(captured, record, outcome.error)
      else this.#refuse(captured, source, outcome.error, destination)
    })
  }

  #dial(captured: CapturedConnection, source: Workload, plan: OutboundPlan, traceparent: string): Promise<ByteStream> {
    return plan.kind === 'tunnel'
      ? this.#dialTunnel(captured, source, plan, traceparent)
      : this.#dialPlain(captured, source, plan)
  }

  async #dialTunnel(
    captured: CapturedConnection,
    source: Workload,
    plan: TunnelPlan,
    traceparent: string,
  ): Promise<ByteStream> {
    const { destination } = plan
    const listener = destination.hbone ?? this.#components.state.current.node(destination.node)?.hbone
    if (!listener) throw nodeUnreachable(destination)
    const target: PoolTarget = {
      source: captured.source.identity,
      address: listener,
      serverName: serverNameOf(plan.hboneAddress.address, destination.namespace, this.#init.clusterDomain),
      expectedIds: plan.expectedIds,
      fromNode: this.#init.node,
      toNode: destination.node,
      sourceIp: captured.source.address,
    }
    const request: ConnectRequest = {
      authority: plan.authority,
      baggage: factsOf(source).baggage,
      forwarded: formatForwarded(captured.sourceAddress, plan.service?.hostname),
      traceparent,
    }
    if (!plan.inner) return (await this.#components.tunnels.connect(target, request)).stream
    const { expectedIds, originNetwork } = plan.inner
    const inner = { serverName: plan.service?.hostname ?? target.serverName, expectedIds }
    return connectThroughGateway(this.#components, { outer: target, inner, request, originNetwork })
  }

  /** To a pod over its node's underlay, where a header says who and whom; to anything else as it is. */
  async #dialPlain(captured: CapturedConnection, source: Workload, plan: PlainPlan): Promise<ByteStream> {
    const { target } = plan
    const { current } = this.#components.state
    // An endpoint that somebody wrote by hand may be at a pod's address: there the network leads to the pod.
    const destination = plan.destination?.node
      ? plan.destination
      : (current.workloadByAddress(source.network, target.host) ?? plan.destination)
    if (destination?.node) {
      const listener = destination.sidecar?.underlay ?? current.node(destination.node)?.underlay
      if (!listener) throw nodeUnreachable(destination)
      const header = encodeProxyHeader(captured.sourceAddress, { address: target.host, port: target.port })
      const upstream = await this.#dialTcp(listener)
      upstream.write(header)
      return upstream
    }
    const isNamed = destination !== undefined && target.host === destination.hostname
    const host = isNamed ? await this.#components.onDemandDns.resolve(source, destination) : target.host
    const ip = parseIp(host)
    if (ip && this.#init.labRanges.some((range) => cidrContains(range, ip))) {
      throw dataplaneError('NODE_UNREACHABLE', 'io error: no route to host')
    }
    return this.#dialTcp({ host, port: target.port })
  }

  #dialTcp(target: HostPort): Promise<ByteStream> {
    const { network, signal } = this.#components
    return network.dial(target, { timeoutMs: CONNECT_TIMEOUT_MS, signal })
  }

  /** Never captured in a real pod, whose loopback the rules leave alone: no policy, no record. */
  #callSelf(captured: CapturedConnection, port: number): void {
    const target = captured.source.dialTarget(port)
    if (!target) return this.#fail(captured, undefined, dataplaneError('CONNECT_REFUSED', 'connection refused'))
    this.#dialTcp(target).then(
      (upstream) => this.#stand(captured, upstream, undefined),
      (error) => this.#fail(captured, undefined, asCodedError(error)),
    )
  }

  #stand(
    captured: CapturedConnection,
    upstream: ByteStream,
    record: ConnectionRecord | undefined,
    limits?: Pick<StandingConnection, 'times' | 'onEnd'>,
  ): void {
    if (captured.isGone || this.#components.signal.aborted) {
      const reason = captured.isGone
        ? dataplaneError('DOWNSTREAM_DISCONNECTED', 'client disconnected before the connection stood')
        : dataplaneError('DRAINED', 'connection closed due to connection drain')
      upstream.reset(reason)
      limits?.onEnd?.()
      return this.#fail(captured, record, reason)
    }
    const downstream = captured.accept()
    this.#components.tracker.move({
      uid: captured.source.uid,
      downstream,
      upstream,
      record,
      facts: undefined,
      ...limits,
    })
  }

  #fail(captured: CapturedConnection, record: ConnectionRecord | undefined, error: CodedError): void {
    record?.fail(error)
    const detail = error instanceof ConnectRejectedError && error.reason !== '' ? `: ${error.reason}` : ''
    captured.reject(errorCodeOf(error), error.message + detail)
  }

  #reject(captured: CapturedConnection, source: Workload, destination: SocketAddress, rejection: Rejection): void {
    this.#refuse(captured, source, dataplaneError(rejection.code, rejection.reason), destination)
  }

  /** Turned away without a plan: one line, one count, one answer. */
  #refuse(
    captured: CapturedConnection,
    source: Workload | undefined,
    error: CodedError,
    destination?: SocketAddress,
  ): void {
    const { host, port } = captured.destination
    if (captured.source.captured) {
      const opening: ConnectionOpening = {
        direction: 'outbound',
        protocol: 'TCP',
        source,
        sourceAddress: captured.sourceAddress,
        sourceIdentity: undefined,
        destination: undefined,
        destinationAddress: destination ?? { address: host, port },
        destinationIdentity: undefined,
        hboneAddress: undefined,
        service:
          source &&
          destination &&
          this.#components.state.current.serviceByVip(source.network, destination.address, source.namespace),
        traceId: '',
        traceparent: '',
      }
      this.#components.recorder.refuse(opening, error)
    }
    captured.reject(errorCodeOf(error), error.message)
  }
}

function openingOf(
  captured: CapturedConnection,
  source: Workload,
  plan: OutboundPlan,
  traceparent: string,
): ConnectionOpening {
  const common = {
    direction: 'outbound',
    source,
    sourceAddress: captured.sourceAddress,
    destination: plan.destination,
    service: plan.service,
    traceId: traceIdOf(traceparent),
    traceparent,
  } as const
  if (plan.kind === 'plain') {
    return {
      ...common,
      protocol: 'TCP',
      sourceIdentity: undefined,
      destinationAddress: { address: plan.target.host, port: plan.target.port },
      destinationIdentity: undefined,
      hboneAddress: undefined,
    }
  }
  return {
    ...common,
    protocol: 'HBONE',
    sourceIdentity: factsOf(source).id,
    destinationAddress: plan.requested,
    destinationIdentity: factsOf(plan.destination).id,
    hboneAddress: plan.hboneAddress,
  }
}

function healthyNodeCount(state: ProxyState): number {
  let count = 0
  for (const { status } of state.indexes.nodes.values()) if (status === 'HEALTHY') count += 1
  return Math.max(1, count)
}

function nodeUnreachable(destination: Workload): CodedError {
  return dataplaneError('NODE_UNREACHABLE', `io error: no agent serves node ${destination.node}`, {
    where: `node ${destination.node}`,
    origin: 'upstream',
  })
}

/** Dialling promises coded errors; anything else is a bug and must not be taken for one of them. */
export function asCodedError(error: unknown): CodedError {
  if (CodedError.is(error)) return error
  throw error instanceof Error ? error : new Error(errorMessage(error))
}
