import { constants, type X509Certificate } from 'node:crypto'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { connect, createServer, type Server, type TLSSocket } from 'node:tls'
import { peerIdentity, type Revocations, type SpiffeId } from '@ambient-lab/pki'
import { type CancelTimer, type Clock, CodedError, errorCode, errorMessage } from '@ambient-lab/std'
import type { Logger } from '@ambient-lab/telemetry'
import type { ByteStream } from '../stream/byte-stream.ts'
import { ADDRESS_IN_USE, CONNECT_TIMEOUT } from '../stream/errors.ts'
import { TCP_KEEPALIVE_IDLE_MS } from '../stream/limits.ts'
import { dialSocket, NodeStream } from '../stream/node-stream.ts'
import { StreamDuplex } from '../stream/stream-duplex.ts'
import { tunnelError } from './errors.ts'
import { HANDSHAKE_TIMEOUT_MS, HANDSHAKES_MAX } from './limits.ts'
import type { LinkConditions } from './link-conditions.ts'
import { authorizePeer, SecureContexts, type SvidLookup } from './mtls.ts'
import { MuxSession } from './mux-session.ts'
import type { DialTarget, ListenOptions, Transport, TransportListener, TunnelSession } from './transport.ts'
import { acceptUpgrade, refuseUpgrade, requestUpgrade } from './upgrade.ts'

/** WebSocket begins as HTTP/1.1; who offers only something else, as a real ztunnel does, is told so in the handshake. */
const ALPN = ['http/1.1']

export interface WsMtlsTransportComponents {
  readonly clock: Clock
  readonly svids: SvidLookup
  readonly links?: LinkConditions
  /** @default nothing was taken back */
  readonly revocations?: Revocations
  /** Gets one line for each peer that is not let in. */
  readonly log?: Pick<Logger, 'warn'>
}

/** The default: TCP, TLS 1.3 with both ends authenticated, one WebSocket, and the multiplexer on it. */
export class WsMtlsTransport implements Transport {
  readonly #components: WsMtlsTransportComponents
  readonly #contexts = new SecureContexts()
  /** Those that stand, with the certificate of their peer. */
  readonly #peers = new Map<MuxSession, X509Certificate>()

  constructor(components: WsMtlsTransportComponents) {
    this.#components = components
    components.revocations?.onChange.on(() => this.#closeRevoked())
  }

  async dial(target: DialTarget, signal?: AbortSignal): Promise<TunnelSession> {
    const { clock, links } = this.#components
    const connectTo = async (either: AbortSignal) => {
      await links?.passHandshake(target.fromNode, target.toNode, either)
      return dialSocket(target.address, { signal: either, timeoutMs: HANDSHAKE_TIMEOUT_MS, clock })
    }
    return this.#open(target, signal, connectTo, [target.fromNode, target.toNode])
  }

  async dialOver(carrier: ByteStream, target: DialTarget, signal?: AbortSignal): Promise<TunnelSession> {
    const raw = new StreamDuplex(carrier)
    raw.on('error', ignore)
    try {
      // Faults of links are the carrier's: it has passed them.
      return await this.#open(target, signal, async () => raw, undefined)
    } catch (error) {
      raw.destroy()
      throw error
    }
  }

  async #open(
    target: DialTarget,
    signal: AbortSignal | undefined,
    connectTo: (either: AbortSignal) => Promise<Duplex>,
    nodes: readonly [string, string] | undefined,
  ): Promise<TunnelSession> {
    const { clock, svids } = this.#components
    const where = `${target.address.host}:${target.address.port}`
    const deadline = new AbortController()
    const cancelDeadline = clock.schedule(HANDSHAKE_TIMEOUT_MS, () => deadline.abort(connectTimeout(where)))
    const either = signal ? AbortSignal.any([signal, deadline.signal]) : deadline.signal
    let socket: Duplex | undefined
    const onAbort = () => socket?.destroy()
    either.addEventListener('abort', onAbort)
    try {
      const svid = await svids.clientSvid(target.source, either)
      const raw = await connectTo(either)
      socket = raw
      either.throwIfAborted()
      const secure = this.#secure(raw, target, svid)
      socket = secure
      await handshaken(secure)
      const remote = authorizePeer(secure, { identities: target.expectedIds })
      this.#components.revocations?.check(secure.getPeerX509Certificate())
      await requestUpgrade(secure, { host: target.serverName, node: target.fromNode })
      either.throwIfAborted()
      return this.#session(secure, 'client', svid.id, remote, target.serverName, nodes)
    } catch (error) {
      socket?.on('error', ignore)
      socket?.destroy()
      either.throwIfAborted()
      throw CodedError.is(error) ? error.at(where) : error
    } finally {
      cancelDeadline()
      either.removeEventListener('abort', onAbort)
    }
  }

  async listen(options: ListenOptions, onSession: (session: TunnelSession) => void): Promise<TransportListener> {
    const { clock, log } = this.#components
    const accept = async (secure: TLSSocket, serverName: string | undefined): Promise<MuxSession> => {
      const asked = typeof secure.servername === 'string' ? secure.servername : ''
      const name = serverName ?? asked
      const local = presentedId(secure, name)
      const remote = admitPeer(secure, local, this.#components.revocations)
      const { node } = await acceptUpgrade(secure)
      const nodes = serverName === undefined ? ([options.node, node] as const) : undefined
      return this.#session(secure, 'server', local, remote, name, nodes)
    }
    const handshakesMax = options.handshakesMax ?? HANDSHAKES_MAX
    const makeServer = (serverName?: string) => this.#server(serverName)
    const listener = new WsMtlsListener({ clock, makeServer, accept, onSession, log, handshakesMax })
    await listener.bind(options)
    return listener
  }

  /** @param serverName whom its connections lead to. @default whom their SNI says */
  #server(serverName: string | undefined): Server {
    return createServer({
      SNICallback: (asked, callback) => {
        this.#components.svids.serverSvid(serverName ?? asked).then(
          (svid) => callback(null, this.#contexts.get(svid)),
          (error) => callback(error),
        )
      },
      requestCert: true,
      // We judge the peer ourselves, so that each way to fail has its own code and line.
      rejectUnauthorized: false,
      minVersion: 'TLSv1.3',
      ALPNProtocols: ALPN,
      secureOptions: constants.SSL_OP_NO_TICKET,
      handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
      noDelay: true,
      keepAlive: true,
      keepAliveInitialDelay: TCP_KEEPALIVE_IDLE_MS,
    })
  }

  #secure(raw: Duplex, target: DialTarget, svid: Parameters<SecureContexts['get']>[0]): TLSSocket {
    const secure = connect({
      socket: raw,
      servername: target.serverName,
      secureContext: this.#contexts.get(svid),
      ALPNProtocols: ALPN,
      // Chain and identity are judged by authorizePeer: the server's name is no host name of its certificate.
      rejectUnauthorized: false,
      checkServerIdentity: () => undefined,
    })
    // Of what is no socket TLS does not see the end.
    raw.once('close', () => secure.destroy())
    return secure
  }

  #session(
    secure: TLSSocket,
    role: 'client' | 'server',
    local: SpiffeId,
    remote: SpiffeId,
    serverName: string,
    /** Whose link it is, ours first; undefined: it has none of its own. */
    nodes: readonly [string, string] | undefined,
  ): MuxSession {
    const { clock, links } = this.#components
    const stream = new NodeStream(secure, { gather: false })
    const session = new MuxSession(
      { carrier: (nodes && links?.shape(stream, ...nodes)) ?? stream, clock },
      { role, local, remote, serverName, remoteAddress: peerAddress(secure) },
    )
    const leaf = secure.getPeerX509Certificate()
    if (leaf && this.#components.revocations) {
      this.#peers.set(session, leaf)
      session.onClose(() => this.#peers.delete(session))
    }
    if (role === 'client') session.start()
    return session
  }

  /** Streams of these sessions end with the reason, and so do the connections that they carry. */
  #closeRevoked(): void {
    for (const [session, leaf] of [...this.#peers]) {
      try {
        this.#components.revocations?.check(leaf)
      } catch (error) {
        if (!CodedError.is(error)) throw error
        session.close(error)
      }
    }
  }
}

interface ListenerInit {
  readonly clock: Clock
  /** @param serverName whom a connection leads to. @default whom its SNI says */
  readonly makeServer: (serverName?: string) => Server
  readonly accept: (secure: TLSSocket, serverName: string | undefined) => Promise<MuxSession>
  readonly onSession: (session: TunnelSession) => void
  readonly log: Pick<Logger, 'warn'> | undefined
  readonly handshakesMax: number
}

class WsMtlsListener implements TransportListener {
  readonly #server: Server
  readonly #init: ListenerInit
  readonly #sessions = new Set<TunnelSession>()
  /** Connections that are no sessions yet, by peer address; each with the way to stop its deadline. */
  readonly #handshakes = new Map<string, CancelTimer>()
  readonly #sockets = new Set<Duplex>()
  #carriers = 0

  constructor(init: ListenerInit) {
    this.#init = init
    this.#server = init.makeServer()
    this.#server.on('connection', (raw: Socket) => this.#onConnection(raw, peerAddress(raw)))
    this.#server.on('secureConnection', (secure) => void this.#onSecure(secure, peerAddress(secure), undefined))
    this.#server.on('tlsClientError', (error, secure) => this.#refuse(tlsFailed(error), secure))
  }

  accept(carrier: ByteStream, serverName: string): void {
    this.#carriers += 1
    const key = `carrier ${this.#carriers}`
    const raw = new StreamDuplex(carrier)
    raw.on('error', ignore)
    // A server that listens nowhere is Node's way to serve TLS on what is no socket.
    const server = this.#init.makeServer(serverName)
    server.on('secureConnection', (secure) => void this.#onSecure(secure, key, serverName))
    server.on('tlsClientError', (error, secure) => {
      this.#refuse(tlsFailed(error), secure)
      raw.destroy()
    })
    if (this.#onConnection(raw, key)) server.emit('connection', raw)
  }

  get address(): { host: string; port: number } {
    const address = this.#server.address()
    if (typeof address !== 'object' || address === null) return { host: '', port: 0 }
    return { host: address.address, port: address.port }
  }

  async bind({ host, port }: ListenOptions): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    this.#server.once('error', reject)
    this.#server.listen({ host, port, backlog: HANDSHAKES_MAX }, resolve)
    try {
      await promise
    } catch (error) {
      if (errorCode(error) !== 'EADDRINUSE') throw error
      throw new CodedError(ADDRESS_IN_USE, `${host}:${port} is taken`, { cause: error, where: `${host}:${port}` })
    }
    this.#server.removeListener('error', reject)
  }

  drain(): void {
    this.#server.close()
    for (const session of [...this.#sessions]) session.drain()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.drain()
    const reason = tunnelError('SESSION_CLOSED', 'the listener was closed', { retry: 'if-reused' })
    for (const session of [...this.#sessions]) session.close(reason)
    for (const socket of [...this.#sockets]) destroySoon(socket)
  }

  /** @returns whether there is room for it */
  #onConnection(raw: Duplex, key: string): boolean {
    if (this.#handshakes.size >= this.#init.handshakesMax) {
      raw.destroy()
      return false
    }
    this.#sockets.add(raw)
    const late = () => {
      this.#refuse(tunnelError('HANDSHAKE_TIMEOUT', 'no tunnel in time', { origin: 'downstream' }), raw)
      raw.destroy()
    }
    this.#handshakes.set(key, this.#init.clock.schedule(HANDSHAKE_TIMEOUT_MS, late, { background: true }))
    raw.once('close', () => {
      this.#sockets.delete(raw)
      this.#settle(key)
    })
    return true
  }

  #settle(key: string): void {
    this.#handshakes.get(key)?.()
    this.#handshakes.delete(key)
  }

  async #onSecure(secure: TLSSocket, key: string, serverName: string | undefined): Promise<void> {
    secure.on('error', ignore)
    try {
      const session = await this.#init.accept(secure, serverName)
      this.#settle(key)
      this.#sessions.add(session)
      session.onClose(() => this.#sessions.delete(session))
      this.#init.onSession(session)
      session.start()
    } catch (error) {
      if (!CodedError.is(error)) throw error
      this.#refuse(error, secure)
      // What we told the peer may still be on its way; the handshake's deadline ends a peer that stays.
      if (!secure.writableEnded) secure.destroy()
    }
  }

  #refuse(error: CodedError, socket: Duplex): void {
    const serverName = 'servername' in socket && typeof socket.servername === 'string' ? socket.servername : ''
    const fields = { 'src.addr': peerAddress(socket), 'dst.sni': serverName, code: error.code, error: error.message }
    this.#init.log?.warn('tunnel refused', fields)
  }
}

/** Waits for a client's handshake. @throws CodedError TLS_FAILED */
async function handshaken(secure: TLSSocket): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const hungUp = (cause?: unknown) =>
    tunnelError('TLS_FAILED', 'the peer hung up during the TLS handshake', { origin: 'upstream', cause })
  // What has a code is the end of the stream below, not TLS's own.
  const onError = (error: Error) => reject(CodedError.is(error) ? hungUp(error) : tlsFailed(error))
  const onClose = () => reject(hungUp())
  secure.once('secureConnect', resolve)
  secure.once('error', onError)
  secure.once('close', onClose)
  await promise
  secure.removeListener('error', onError)
  secure.removeListener('close', onClose)
}

/** Who we said we are. Not asked anew by the name: its pod may be another since the handshake. */
function presentedId(secure: TLSSocket, serverName: string): SpiffeId {
  const leaf = secure.getX509Certificate()
  if (!leaf) throw tunnelError('SERVER_NAME_UNKNOWN', `no workload of this node is ${serverName}`)
  return peerIdentity(leaf)
}

/** Lets a peer of our trust domain in; tells another in its handshake why not, before it has said anything. */
function admitPeer(secure: TLSSocket, local: SpiffeId, revocations: Revocations | undefined): SpiffeId {
  if (secure.isSessionReused())
    throw tunnelError('TLS_FAILED', 'resumed sessions are not taken', { origin: 'downstream' })
  try {
    const remote = authorizePeer(secure, { trustDomain: local.trustDomain })
    revocations?.check(secure.getPeerX509Certificate())
    return remote
  } catch (error) {
    if (CodedError.is(error)) refuseUpgrade(secure, error.code)
    throw error
  }
}

/** What was written leaves first, where that can be. */
function destroySoon(socket: Duplex): void {
  if ('destroySoon' in socket) (socket as Socket).destroySoon()
  else socket.destroy()
}

/** Empty of what is no socket. */
function peerAddress(socket: Duplex): string {
  const { remoteAddress, remotePort } = socket as Partial<Socket>
  return remoteAddress === undefined ? '' : `${remoteAddress}:${remotePort}`
}

function tlsFailed(error: Error): CodedError {
  if (CodedError.is(error)) return error
  return tunnelError('TLS_FAILED', `TLS handshake failed: ${errorMessage(error)}`, { cause: error, origin: 'upstream' })
}

function connectTimeout(where: string): CodedError {
  return new CodedError(CONNECT_TIMEOUT, 'connection timed out, maybe a NetworkPolicy is blocking HBONE port 15008', {
    where,
    origin: 'upstream',
    retry: 'yes',
  })
}

function ignore(): void {}
