import { type SpiffeId, sameSpiffeId } from '@ambient-lab/pki'
import { ConnectionFacts } from '@ambient-lab/policy'
import type { CodedError } from '@ambient-lab/std'
import type { Service, Workload } from '@ambient-lab/xds'
import type { SocketAddress } from '../address.ts'
import { type ProxyState, serviceKeyOf } from '../state/proxy-state.ts'
import type { ProxyStateHolder } from '../state/proxy-state-holder.ts'
import type { ByteStream } from '../stream/byte-stream.ts'
import type { InboundConnect } from '../tunnel/tunnel-server.ts'
import { parseForwarded } from '../ztunnel/forwarded.ts'
import { sourceMismatch, speaksForOthers } from '../ztunnel/source-check.ts'
import { factsOf } from '../ztunnel/workload-facts.ts'
import { CodecSelector } from './codec-selector.ts'
import type { OwnWorkload } from './own-workload.ts'
import { type CompiledChain, type ProxyConfig, serviceMatch, workloadMatch } from './proxy-config.ts'
import type { DownstreamPeer } from './request-record.ts'
import { Sniffer } from './sniffer.ts'
import { TcpConnection, type TcpProxyComponents } from './tcp-proxy.ts'

export interface ListenerComponents extends TcpProxyComponents {
  readonly state: ProxyStateHolder
  readonly config: ProxyConfig
  readonly own: OwnWorkload
}

/** A connection that this proxy holds. */
export interface Held {
  drain(idleGraceMs: number): void
  cut(reason: CodedError): void
}

/** Where a connection leads: a destination that the proxy has a filter chain for. */
export interface Arrival {
  readonly peer: DownstreamPeer
  readonly find: () => CompiledChain | undefined
}

/** Tunnel streams in, HTTP and TCP connections out of them, each with the filter chain of what it was opened to. */
export class Listener {
  readonly #components: ListenerComponents
  readonly #held = new Set<Held>()
  #onEmpty: (() => void) | undefined
  /** Since a drain began. */
  #idleGraceMs: number | undefined

  constructor(components: ListenerComponents) {
    this.#components = components
  }

  get connectionCount(): number {
    return this.#held.size
  }

  /** Answers one CONNECT; never throws. */
  tunnel(incoming: InboundConnect): void {
    const state = this.#components.state.current
    const { current: own, uid } = this.#components.own
    if (!own) return incoming.reject(503, `unknown destination: ${uid}`)
    const arrival = this.#arrivalOf(incoming, own, state)
    if (typeof arrival === 'string') return incoming.reject(400, arrival)
    const chain = arrival.find()
    if (!chain) return incoming.reject(503, `no filter chain for ${incoming.request.authority}`)
    this.serve(incoming.accept(factsOf(own).baggage), chain, arrival, undefined)
  }

  /**
   * What stands, or still comes, ends with its request; resolves when nothing stands any more.
   * @param idleGraceMs how long a connection without a request is left alone
   */
  drain(idleGraceMs: number): Promise<void> {
    this.#idleGraceMs = idleGraceMs
    for (const held of [...this.#held]) held.drain(idleGraceMs)
    if (this.#held.size === 0) return Promise.resolve()
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#onEmpty = resolve
    return promise
  }

  cutAll(reason: CodedError): void {
    for (const held of [...this.#held]) held.cut(reason)
  }

  #arrivalOf(incoming: InboundConnect, own: Workload, state: ProxyState): Arrival | string {
    const { config } = this.#components
    const { host, port } = incoming.destination
    const from = parseForwarded(incoming.request.forwarded)
    const network = incoming.request.originNetwork ?? own.network
    const source = from && state.workloadByAddress(network, from.source.address)
    if (source && !speaksFor(incoming.session.remote, source)) {
      return sourceMismatch(from.source.address)
    }
    const local: SocketAddress = { address: host, port }
    const workload = state.workloadByAddress(own.network, host)
    const service = workload
      ? undefined
      : (state.serviceByVip(own.network, host, undefined) ?? state.serviceByHostname(host, own.namespace))
    const named = from?.host === undefined ? undefined : state.serviceByHostname(from.host, own.namespace)
    const address = from?.source ?? { address: incoming.session.remoteAddress || '0.0.0.0', port: 0 }
    const identity = incoming.session.remote
    const peer: DownstreamPeer = {
      identity,
      workload: source,
      address,
      local,
      facts: new ConnectionFacts({
        sourceIp: address.address,
        destinationIp: host,
        destinationPort: port,
        identity,
      }),
      service: service ?? named,
      scheme: 'http',
    }
    const keys = destinationKeys(workload, service, port)
    return { peer, find: () => config.find(keys) }
  }

  /**
   * Gives a connection to what its filter chain says, or finds that out by its first bytes.
   * @param serverName SNI, where somebody has looked at it already
   */
  serve(stream: ByteStream, chain: CompiledChain, arrival: Arrival, serverName: string | undefined): void {
    const { source } = chain
    if (chain.http && !source.sniff) return this.#serveHttp(stream, chain, arrival)
    const isKnown = !needsServerName(chain) || serverName !== undefined
    if (source.tcp && !source.sniff && isKnown) return this.#serveTcp(stream, chain, arrival, serverName)
    const sniffer: Sniffer = new Sniffer({
      stream,
      clock: this.#components.clock,
      onSniffed: (prefixed, protocol, sniffedName) => {
        if (protocol === 'http' && chain.http) this.#serveHttp(prefixed, chain, arrival)
        else this.#serveTcp(prefixed, chain, arrival, sniffedName)
        this.release(sniffer)
      },
      onGone: () => this.release(sniffer),
    })
    this.hold(sniffer)
  }

  #serveHttp(stream: ByteStream, chain: CompiledChain, { peer, find }: Arrival): void {
    let last = chain.http!
    const connection: CodecSelector = new CodecSelector({
      stream,
      peer,
      clock: this.#components.clock,
      // A chain that is gone while its connection stands serves on as it was: its clusters say what is left of it.
      runtime: () => {
        last = find()?.http ?? last
        return last
      },
      onClosed: () => this.release(connection),
    })
    this.hold(connection)
  }

  #serveTcp(
    stream: ByteStream,
    { source, tcpPolicies, tcpExtAuthz }: CompiledChain,
    { peer }: Arrival,
    serverName: string | undefined,
  ): void {
    const held: Held = { drain: () => {}, cut: (reason) => connection.cut(reason) }
    this.hold(held)
    const connection: TcpConnection = new TcpConnection(this.#components, {
      downstream: stream,
      peer,
      routes: source.tcp?.routes ?? [],
      policies: tcpPolicies,
      extAuthz: tcpExtAuthz,
      serverName,
      onClosed: () => this.release(held),
    })
  }

  /** Somebody is served: a drain waits for it. */
  hold(held: Held): void {
    this.#held.add(held)
    // A stream that crossed the news of our end on its way.
    if (this.#idleGraceMs !== undefined) held.drain(this.#idleGraceMs)
  }

  release(held: Held): void {
    this.#held.delete(held)
    this.#checkEmpty()
  }

  #checkEmpty(): void {
    if (this.#held.size === 0) this.#onEmpty?.()
  }
}

/** What the filter chain of a destination is looked up by; the first that has one counts. */
export function destinationKeys(
  workload: Workload | undefined,
  service: Service | undefined,
  port: number,
): readonly string[] {
  if (workload) return [workloadMatch(workload.uid, port), workloadMatch(workload.uid, 0)]
  return service ? [serviceMatch(serviceKeyOf(service), port)] : []
}

/** A gateway speaks for its clients; anybody else for itself. */
function speaksFor(identity: SpiffeId, source: Workload): boolean {
  return speaksForOthers(source) || sameSpiffeId(factsOf(source).id, identity)
}

function needsServerName({ source }: CompiledChain): boolean {
  return source.tcp?.routes.some(({ serverNames }) => serverNames.length > 0) ?? false
}
