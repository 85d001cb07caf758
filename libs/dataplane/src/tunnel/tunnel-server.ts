import { type SpiffeId, sameSpiffeId } from '@ambient-lab/pki'
import { type Clock, sleep } from '@ambient-lab/std'
import type { ByteStream } from '../stream/byte-stream.ts'
import { tunnelError } from './errors.ts'
import { DRAIN_DEADLINE_MS } from './limits.ts'
import type { IncomingConnect, ListenOptions, Transport, TransportListener, TunnelSession } from './transport.ts'

/** A CONNECT that asks for something this node may serve. */
export interface InboundConnect extends IncomingConnect {
  readonly session: TunnelSession
  /** Where the bytes are meant to go; an IP address, or a host name as gateways send it. */
  readonly destination: { readonly host: string; readonly port: number }
}

export interface TunnelServerComponents {
  readonly transport: Transport
  readonly clock: Clock
}

export interface TunnelServerInit extends ListenOptions {
  /** Answers each CONNECT, by its destination and by `session.serverName`, which chose the certificate. */
  readonly onConnect: (inbound: InboundConnect) => void
  readonly onSession?: (session: TunnelSession) => void
  /** How long streams may go on after `drain`. @default 5 s */
  readonly drainDeadlineMs?: number
}

/** The accepting end of a node's tunnels. */
export class TunnelServer implements AsyncDisposable {
  readonly #components: TunnelServerComponents
  readonly #init: TunnelServerInit
  readonly #sessions = new Set<TunnelSession>()
  #listener: TransportListener | undefined
  #onEmpty: (() => void) | undefined

  constructor(components: TunnelServerComponents, init: TunnelServerInit) {
    this.#components = components
    this.#init = init
  }

  /** @throws CodedError ADDRESS_IN_USE */
  async start(): Promise<void> {
    this.#listener = await this.#components.transport.listen(this.#init, (session) => this.#onSession(session))
  }

  get address(): { readonly host: string; readonly port: number } {
    return this.#listener?.address ?? { host: this.#init.host, port: this.#init.port }
  }

  /** The sessions that stand: for views, and for cutting those that a new policy does not allow. */
  get sessions(): ReadonlySet<TunnelSession> {
    return this.#sessions
  }

  /** Stops accepting, says GOAWAY, waits for streams to end, and cuts those that are left at the deadline. */
  async drain(): Promise<void> {
    this.#listener?.drain()
    if (this.#sessions.size === 0) return
    const empty = new AbortController()
    this.#onEmpty = () => empty.abort()
    const deadlineMs = this.#init.drainDeadlineMs ?? DRAIN_DEADLINE_MS
    await sleep(this.#components.clock, deadlineMs, empty.signal).catch(() => {})
    const reason = tunnelError('DRAIN_TIMEOUT', 'connection failed to drain within the timeout')
    for (const session of [...this.#sessions]) session.close(reason)
  }

  /** Takes a connection that leads to one of ours, and came in by somebody else's socket. */
  accept(carrier: ByteStream, serverName: string): void {
    if (this.#listener) this.#listener.accept(carrier, serverName)
    else carrier.reset(tunnelError('SESSION_CLOSED', 'the listener is not open'))
  }

  /** Drains the tunnels of one identity: who presented what in their handshakes does not count any more. */
  drainLocal(id: SpiffeId): void {
    for (const session of [...this.#sessions]) if (sameSpiffeId(session.local, id)) session.drain()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#listener?.[Symbol.asyncDispose]()
  }

  #onSession(session: TunnelSession): void {
    this.#sessions.add(session)
    session.onClose(() => {
      this.#sessions.delete(session)
      if (this.#sessions.size === 0) this.#onEmpty?.()
    })
    session.onConnect((incoming) => {
      const destination = parseAuthority(incoming.request.authority)
      if (destination) this.#init.onConnect({ ...incoming, session, destination })
      else incoming.reject(400, 'no valid authority pseudo header')
    })
    this.#init.onSession?.(session)
  }
}

/** `10.0.0.1:80`, `[fd00::1]:80`, `host.name:80`; undefined for anything else. */
export function parseAuthority(text: string): { readonly host: string; readonly port: number } | undefined {
  const match = /^(?:\[([0-9a-f:.]+)\]|([a-z0-9_.-]{1,253})):([0-9]{1,5})$/i.exec(text)
  const port = Number(match?.[3])
  if (!match || port < 1 || port > 65535) return undefined
  return { host: (match[1] ?? match[2])!, port }
}
