import type { Duplex } from 'node:stream'
import { createSecureContext, createServer, type SecureContext, type SecureContextOptions, TLSSocket } from 'node:tls'
import { ConnectionFacts } from '@ambient-lab/policy'
import { type Clock, CodedError, errorMessage } from '@ambient-lab/std'
import type { DownstreamTls, ProxyPort } from '@ambient-lab/xds'
import type { HostPort } from '../address.ts'
import type { PlainListener, PlainNetwork } from '../plain-network.ts'
import type { ByteStream } from '../stream/byte-stream.ts'
import { NodeStream } from '../stream/node-stream.ts'
import { StreamDuplex } from '../stream/stream-duplex.ts'
import type { Listener } from './listener.ts'
import type { OwnWorkload } from './own-workload.ts'
import type { CompiledChain, ProxyConfig } from './proxy-config.ts'
import type { DownstreamPeer } from './request-record.ts'
import { Sniffer } from './sniffer.ts'

export interface GatewayListenersComponents {
  readonly clock: Clock
  readonly network: PlainNetwork
  readonly own: OwnWorkload
  readonly config: ProxyConfig
  readonly listener: Listener
}

export interface GatewayListenersInit {
  /** Where the ports are opened. */
  readonly host: string
  /** Told whenever they are others: the Gateway's port → where it really listens. */
  readonly onPorts: (ports: Readonly<Record<string, HostPort>>) => void
}

/** The doors of a gateway for programs outside of the mesh: one for each port of its listeners, on whatever port is free. */
export class GatewayListeners implements AsyncDisposable {
  readonly #components: GatewayListenersComponents
  readonly #init: GatewayListenersInit
  readonly #open = new Map<number, PlainListener>()
  #working: Promise<void> = Promise.resolve()

  constructor(components: GatewayListenersComponents, init: GatewayListenersInit) {
    this.#components = components
    this.#init = init
  }

  /** The Gateway's port → where it really listens. */
  get addresses(): Readonly<Record<string, HostPort>> {
    return Object.fromEntries(Array.from(this.#open, ([port, { address }]) => [String(port), address]))
  }

  /** Makes what is open equal to what is wanted, one change after the other. */
  update(ports: readonly ProxyPort[]): Promise<void> {
    this.#working = this.#working.then(() => this.#reconcile(ports))
    return this.#working
  }

  /** Nothing new is accepted; what was goes on. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.update([])
  }

  async #reconcile(ports: readonly ProxyPort[]): Promise<void> {
    const wanted = new Set(ports.map(({ port }) => port))
    let changed = false
    for (const [port, listener] of this.#open) {
      if (wanted.has(port)) continue
      this.#open.delete(port)
      changed = true
      await listener[Symbol.asyncDispose]()
    }
    for (const { port } of ports) {
      if (this.#open.has(port)) continue
      const address = { host: this.#init.host, port: 0 }
      const listener = await this.#components.network.listen(address, (stream, remote) => {
        this.#accept(stream, remote, port)
      })
      this.#open.set(port, listener)
      changed = true
    }
    if (changed) this.#init.onPorts(this.addresses)
  }

  #accept(stream: ByteStream, remote: HostPort, port: number): void {
    const { config, clock, listener } = this.#components
    const chains = config.listenerChains(port)
    const readsHello = chains.some(({ source }) => source.tls !== undefined || needsServerName(source))
    if (!readsHello) return this.#serve(stream, config.listenerChain(port, undefined), remote, port, undefined)
    const sniffer: Sniffer = new Sniffer({
      stream,
      clock,
      onSniffed: (prefixed, _protocol, serverName) => {
        listener.release(sniffer)
        this.#serve(prefixed, config.listenerChain(port, serverName), remote, port, serverName)
      },
      onGone: () => listener.release(sniffer),
    })
    listener.hold(sniffer)
  }

  #serve(
    stream: ByteStream,
    chain: CompiledChain | undefined,
    remote: HostPort,
    port: number,
    serverName: string | undefined,
  ): void {
    if (!chain) return stream.reset(new CodedError('NO_FILTER_CHAIN', `no listener of port ${port} for ${serverName}`))
    const { tls } = chain.source
    const find = () => this.#components.config.listenerChain(port, serverName)
    if (!tls || tls.mode === 'PASSTHROUGH') {
      const peer = this.#peerOf(remote, port, 'http', serverName)
      return this.#components.listener.serve(stream, chain, { peer, find }, serverName)
    }
    acceptTls(new StreamDuplex(stream), tls, chain.http ? ['h2', 'http/1.1'] : [], (socket) => {
      const peer = this.#peerOf(remote, port, 'https', serverName)
      this.#components.listener.serve(new NodeStream(socket), chain, { peer, find }, serverName)
    })
  }

  #peerOf(remote: HostPort, port: number, scheme: 'http' | 'https', serverName: string | undefined): DownstreamPeer {
    const own = this.#components.own.current
    const address = { address: remote.host, port: remote.port }
    const local = { address: own?.addresses[0] ?? this.#init.host, port }
    const facts = new ConnectionFacts({
      sourceIp: address.address,
      destinationIp: local.address,
      destinationPort: port,
      identity: undefined,
      ...(serverName !== undefined && { serverName }),
    })
    // To the mesh the gateway is the source: who is outside has no name there.
    return { identity: undefined, workload: own, address, local, service: undefined, facts, scheme }
  }
}

function needsServerName({ tcp }: CompiledChain['source']): boolean {
  return tcp?.routes.some(({ serverNames }) => serverNames.length > 0) ?? false
}

/** Ends TLS on a connection. @param accept is called once, when the client is whom the listener lets in */
function acceptTls(
  connection: Duplex,
  tls: DownstreamTls,
  protocols: readonly string[],
  accept: (socket: TLSSocket) => void,
): void {
  const options = { ALPNProtocols: [...protocols], requestCert: tls.mode !== 'SIMPLE' }
  if (options.requestCert) {
    // A socket by itself does not judge what a client presents: only a server does.
    const rejectUnauthorized = tls.mode !== 'OPTIONAL_MUTUAL'
    const server = createServer({ ...options, ...contextOptions(tls), rejectUnauthorized })
    server.once('tlsClientError', () => connection.destroy())
    server.once('secureConnection', accept)
    server.emit('connection', connection)
    return
  }
  const socket = new TLSSocket(connection, { ...options, isServer: true, secureContext: contextOf(tls) })
  socket.once('error', () => socket.destroy())
  socket.once('secure', () => accept(socket))
}

const contexts = new WeakMap<DownstreamTls, SecureContext>()

/** @throws CodedError CERTIFICATE_MALFORMED */
function contextOf(tls: DownstreamTls): SecureContext {
  const known = contexts.get(tls)
  if (known) return known
  try {
    const context = createSecureContext(contextOptions(tls))
    contexts.set(tls, context)
    return context
  } catch (cause) {
    throw new CodedError('CERTIFICATE_MALFORMED', errorMessage(cause), { cause })
  }
}

function contextOptions({ certificates, minVersion = 'TLSv1.2', clientCaPem }: DownstreamTls): SecureContextOptions {
  return {
    cert: certificates.map(({ certificatePem }) => certificatePem),
    key: certificates.map(({ keyPem }) => keyPem),
    minVersion,
    ...(clientCaPem !== undefined && { ca: clientCaPem }),
  }
}

/** Whether a listener could serve with it. @throws CodedError CERTIFICATE_MALFORMED */
export function checkDownstreamTls(tls: DownstreamTls): void {
  if (tls.mode !== 'PASSTHROUGH') contextOf(tls)
}
