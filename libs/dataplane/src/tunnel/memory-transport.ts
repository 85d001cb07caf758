import { authorizeChain, type ExpectedPeer, type SpiffeId, type X509Svid } from '@ambient-lab/pki'
import { type Clock, CodedError, type Random } from '@ambient-lab/std'
import { PrefixedStream } from '../capture/prefixed-stream.ts'
import type { ByteStream } from '../stream/byte-stream.ts'
import { ADDRESS_IN_USE, CONNECT_FAILED, CONNECT_TIMEOUT, STREAM_RESET } from '../stream/errors.ts'
import { type MemoryStream, memoryPair } from '../stream/memory-stream.ts'
import { atMicrotask } from '../stream/turn-end.ts'
import { tunnelError } from './errors.ts'
import { HANDSHAKE_TIMEOUT_MS } from './limits.ts'
import type { LinkConditions } from './link-conditions.ts'
import type { SvidLookup } from './mtls.ts'
import { MuxSession } from './mux-session.ts'
import type { DialTarget, ListenOptions, Transport, TransportListener, TunnelSession } from './transport.ts'

/** Where memory transports find each other: the network of one simulation. */
export class MemoryNetwork {
  readonly #listeners = new Map<string, MemoryListener>()
  readonly #connections = new Set<{ readonly nodes: readonly string[]; readonly stream: MemoryStream }>()
  #nextPort = 15008
  /** Handshakes over streams that lead somewhere, by the number that is sent through them. */
  readonly #offers = new Map<number, HandshakeOffer>()
  #nextOffer = 1

  /** @returns the number that stands for a client hello */
  offer(offer: HandshakeOffer): number {
    this.#offers.set(this.#nextOffer, offer)
    return this.#nextOffer++
  }

  /** Each offer is taken once. */
  takeOffer(number: number): HandshakeOffer | undefined {
    const offer = this.#offers.get(number)
    this.#offers.delete(number)
    return offer
  }

  bind(listener: MemoryListener, host: string, port: number): number {
    const chosen = port === 0 ? this.#nextPort++ : port
    const key = `${host}:${chosen}`
    if (this.#listeners.has(key)) throw new CodedError(ADDRESS_IN_USE, `${key} is taken`, { where: key })
    this.#listeners.set(key, listener)
    return chosen
  }

  unbind(host: string, port: number): void {
    this.#listeners.delete(`${host}:${port}`)
  }

  find(host: string, port: number): MemoryListener | undefined {
    return this.#listeners.get(`${host}:${port}`)
  }

  track(stream: MemoryStream, nodes: readonly string[]): () => void {
    const connection = { nodes, stream }
    this.#connections.add(connection)
    return () => this.#connections.delete(connection)
  }

  /** Cuts every connection of a node, as the death of its process does. */
  cut(node: string): void {
    for (const { nodes, stream } of [...this.#connections]) {
      if (nodes.includes(node)) stream.reset(new CodedError(STREAM_RESET, `connection of ${node} was cut`))
    }
  }
}

/** What a client shows in a handshake over somebody else's stream, and how it gets its answer. */
interface HandshakeOffer {
  readonly svid: X509Svid
  readonly fromNode: string
  readonly answer: (svid: X509Svid) => void
  readonly refuse: (error: unknown) => void
}

/** A client hello in memory: a number of 8 bytes. */
const OFFER_BYTES = 8

export interface MemoryTransportComponents {
  readonly network: MemoryNetwork
  readonly clock: Clock
  readonly svids: SvidLookup
  /** Cuts what is written into pieces of random size; absent: chunks stay whole. */
  readonly random?: Random
  readonly links?: LinkConditions
}

/** Sessions between ztunnels of one process: the same multiplexer and the same checks of identity, without TLS. */
export class MemoryTransport implements Transport {
  readonly #components: MemoryTransportComponents
  readonly #latencyMs: number

  constructor(
    components: MemoryTransportComponents,
    init: { /** One way. @default 0 */ readonly latencyMs?: number } = {},
  ) {
    this.#components = components
    this.#latencyMs = init.latencyMs ?? 0
  }

  async dial(target: DialTarget, signal?: AbortSignal): Promise<TunnelSession> {
    const { clock, links } = this.#components
    const late = new AbortController()
    const where = `${target.address.host}:${target.address.port}`
    const timeout = new CodedError(
      CONNECT_TIMEOUT,
      'connection timed out, maybe a NetworkPolicy is blocking HBONE port 15008',
      { where, origin: 'upstream', retry: 'yes' },
    )
    const cancelTimeout = clock.schedule(HANDSHAKE_TIMEOUT_MS, () => late.abort(timeout))
    const either = signal ? AbortSignal.any([signal, late.signal]) : late.signal
    try {
      either.throwIfAborted()
      await links?.passHandshake(target.fromNode, target.toNode, either)
      const svid = await this.#components.svids.clientSvid(target.source, either)
      return this.#connect(target, svid, where)
    } finally {
      cancelTimeout()
    }
  }

  async dialOver(carrier: ByteStream, target: DialTarget, signal?: AbortSignal): Promise<TunnelSession> {
    const { clock, network, svids } = this.#components
    const late = new AbortController()
    const timeout = new CodedError(CONNECT_TIMEOUT, 'no tunnel in time', { origin: 'upstream', retry: 'yes' })
    const cancelTimeout = clock.schedule(HANDSHAKE_TIMEOUT_MS, () => late.abort(timeout))
    const either = signal ? AbortSignal.any([signal, late.signal]) : late.signal
    const { promise, resolve, reject } = Promise.withResolvers<X509Svid>()
    promise.catch(() => {}) // it may fail before anybody waits for it
    const onAbort = () => reject(either.reason)
    either.addEventListener('abort', onAbort, { once: true })
    let number = 0
    const hungUp = () => tunnelError('TLS_FAILED', 'the peer hung up during the TLS handshake', { origin: 'upstream' })
    // What the peer may say early is kept until the session takes the stream over.
    const kept = new PrefixedStream(carrier, { onPrefix: () => 0, onGone: () => reject(hungUp()) })
    try {
      const svid = await svids.clientSvid(target.source, either)
      number = network.offer({ svid, fromNode: target.fromNode, answer: resolve, refuse: reject })
      const hello = Buffer.alloc(OFFER_BYTES)
      hello.writeBigUInt64BE(BigInt(number))
      kept.write(hello)
      const remote = authorize(await promise, svid, clock, { identities: target.expectedIds })
      const { serverName } = target
      const init = { role: 'client', local: svid.id, remote, serverName, remoteAddress: '' } as const
      const session = new MuxSession({ carrier: kept, clock, atTurnEnd: atMicrotask }, init)
      session.start()
      return session
    } catch (error) {
      kept.reset(CodedError.is(error) ? error : hungUp())
      throw error
    } finally {
      network.takeOffer(number)
      cancelTimeout()
      either.removeEventListener('abort', onAbort)
    }
  }

  async listen(options: ListenOptions, onSession: (session: TunnelSession) => void): Promise<TransportListener> {
    return new MemoryListener(this.#components, options, onSession)
  }

  async #connect(target: DialTarget, svid: X509Svid, where: string): Promise<TunnelSession> {
    const { network, clock, random, links } = this.#components
    const listener = network.find(target.address.host, target.address.port)
    if (!listener)
      throw new CodedError(CONNECT_FAILED, `connect ECONNREFUSED ${where}`, { where, origin: 'upstream', retry: 'yes' })
    const slicing = random && { random, bytesMax: 16 * 1024 }
    const [near, far] = memoryPair({ clock, latencyMs: this.#latencyMs, ...(slicing && { slicing }) })
    const serverSvid = await listener.welcome(far, target, svid)
    const remote = authorize(serverSvid, svid, clock, { identities: target.expectedIds })
    const forget = network.track(near, [target.fromNode, target.toNode])
    const session = new MuxSession(
      { carrier: links?.shape(near, target.fromNode, target.toNode) ?? near, clock, atTurnEnd: atMicrotask },
      { role: 'client', local: svid.id, remote, serverName: target.serverName, remoteAddress: where },
    )
    session.onClose(forget)
    session.start()
    return session
  }
}

class MemoryListener implements TransportListener {
  readonly address: { readonly host: string; readonly port: number }
  readonly #components: MemoryTransportComponents
  readonly #node: string
  readonly #onSession: (session: TunnelSession) => void
  readonly #sessions = new Set<TunnelSession>()

  constructor(
    components: MemoryTransportComponents,
    options: ListenOptions,
    onSession: (session: TunnelSession) => void,
  ) {
    this.#components = components
    this.#node = options.node
    this.#onSession = onSession
    this.address = { host: options.host, port: components.network.bind(this, options.host, options.port) }
  }

  accept(carrier: ByteStream, serverName: string): void {
    const refuse = (reason: CodedError) => stream.reset(reason)
    const cancelTimeout = this.#components.clock.schedule(
      HANDSHAKE_TIMEOUT_MS,
      () => refuse(tunnelError('HANDSHAKE_TIMEOUT', 'no tunnel in time', { origin: 'downstream' })),
      { background: true },
    )
    const onHello = async (number: number) => {
      cancelTimeout()
      const offer = this.#components.network.takeOffer(number)
      if (!offer) return refuse(tunnelError('TLS_FAILED', 'no client hello', { origin: 'downstream' }))
      try {
        offer.answer(await this.#serve(() => stream, serverName, offer.fromNode, offer.svid))
      } catch (error) {
        offer.refuse(error)
        refuse(tunnelError('TLS_FAILED', 'the handshake failed', { origin: 'downstream', cause: error }))
      }
    }
    let isRead = false
    const onPrefix = (bytes: Uint8Array) => {
      if (isRead || bytes.length < OFFER_BYTES) return 0
      isRead = true
      const number = Number(Buffer.from(bytes).readBigUInt64BE())
      queueMicrotask(() => void onHello(number))
      return OFFER_BYTES
    }
    const stream = new PrefixedStream(carrier, { onPrefix, onGone: cancelTimeout })
  }

  /** The server's half of a dial. Returns the certificate it presented. */
  welcome(carrier: MemoryStream, target: DialTarget, clientSvid: X509Svid): Promise<X509Svid> {
    const { links } = this.#components
    // Not before the peer is let in: a link's stream is somebody's to close.
    const shaped = () => links?.shape(carrier, this.#node, target.fromNode) ?? carrier
    return this.#serve(shaped, target.serverName, target.fromNode, clientSvid)
  }

  async #serve(
    carrierOf: () => ByteStream,
    serverName: string,
    fromNode: string,
    clientSvid: X509Svid,
  ): Promise<X509Svid> {
    const { svids, clock } = this.#components
    const svid = await svids.serverSvid(serverName)
    const remote = authorize(clientSvid, svid, clock, { trustDomain: svid.id.trustDomain })
    const session = new MuxSession(
      { carrier: carrierOf(), clock, atTurnEnd: atMicrotask },
      { role: 'server', local: svid.id, remote, serverName, remoteAddress: `${fromNode}:0` },
    )
    this.#sessions.add(session)
    session.onClose(() => this.#sessions.delete(session))
    this.#onSession(session)
    session.start()
    return svid
  }

  drain(): void {
    this.#components.network.unbind(this.address.host, this.address.port)
    for (const session of this.#sessions) session.drain()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.drain()
    const reason = tunnelError('SESSION_CLOSED', 'the listener was closed', { retry: 'if-reused' })
    for (const session of [...this.#sessions]) session.close(reason)
  }
}

/** What TLS would have checked: the presenter's chain against the verifier's roots, now. */
function authorize(presented: X509Svid, verifier: X509Svid, clock: Clock, expected: ExpectedPeer): SpiffeId {
  return authorizeChain(presented.chain, { bundle: verifier.bundle, nowMs: clock.now(), expected })
}
