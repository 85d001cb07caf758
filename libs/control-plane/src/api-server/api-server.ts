import type { IncomingMessage } from 'node:http'
import { createServer, type Server, type ServerOptions } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'
import type { TLSSocket } from 'node:tls'
import type { KindDefinition } from '@ambient-lab/api'
import { type Clock, CodedError, errorCode, type Random } from '@ambient-lab/std'
import type { Store } from '../store/store.ts'
import { authenticate } from './authentication.ts'
import type { ApiServerHooks } from './hooks.ts'
import { CONNECTIONS_MAX, DRAIN_DEADLINE_MS, HANDSHAKE_TIMEOUT_MS, HEADER_BYTES_MAX, KEEP_ALIVE_MS } from './limits.ts'
import { findPortOwner } from './port-owner.ts'
import type { RequestLogEntry } from './request-log.ts'
import { RequestWalk } from './request-walk.ts'
import { StatusError, unauthorized } from './status-error.ts'

export interface ApiServerTls {
  /** The server's certificate, then its intermediates. Names the host that clients dial. */
  readonly certificateChainPem: string
  readonly privateKeyPem: string
  /** Whoever holds a client certificate of one of these is who it says. */
  readonly clientCaPem: string
}

export interface ApiServerInit {
  /** Address to listen on. @default '127.0.0.1' */
  readonly host?: string
  /** @default 0, any free one */
  readonly port?: number
  readonly tls: ApiServerTls
  /** The lab's own version, for /version. */
  readonly version: string
}

export interface ApiServerComponents {
  readonly store: Store
  readonly clock: Clock
  readonly random: Random
  /** Every kind that is served, virtual and create-only ones too. */
  readonly kinds: readonly KindDefinition[]
  /** Called once for each request when it is answered, for a watch when it ends. */
  readonly onRequest?: (entry: RequestLogEntry) => void
}

export interface ApiServerAddress {
  readonly host: string
  readonly port: number
  /** `https://127.0.0.1:6443` */
  readonly url: string
}

/**
 * Serves a Store to Kubernetes clients. Owns its listener and its connections; disposing it answers what is in
 * flight, ends the watches and closes the port. The store stays with whoever made it.
 */
export class ApiServer implements AsyncDisposable {
  readonly #init: ApiServerInit
  readonly #clock: Clock
  readonly #hooks: ApiServerHooks
  readonly #walk: RequestWalk
  readonly #server: Server
  #address: ApiServerAddress | undefined
  #disposal: Promise<void> | undefined

  constructor(options: { init: ApiServerInit; components: ApiServerComponents; hooks?: ApiServerHooks }) {
    this.#init = options.init
    this.#clock = options.components.clock
    this.#hooks = options.hooks ?? {}
    this.#walk = new RequestWalk({ version: options.init.version, components: options.components, hooks: this.#hooks })
    this.#server = createServer(serverOptions(options.init.tls), (request, response) => {
      response.once('close', () => this.#closeIdle())
      void this.#walk.serve(request, response)
    })
    this.#server.maxConnections = CONNECTIONS_MAX
    this.#server.keepAliveTimeout = KEEP_ALIVE_MS
    this.#server.on('upgrade', (request, socket, head) => this.#upgrade(request, socket, head))
  }

  /** @throws CodedError PORT_TAKEN naming the process that has the port, LISTEN_FAILED for anything else */
  async listen(): Promise<ApiServerAddress> {
    const { host = '127.0.0.1', port = 0 } = this.#init
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', (error) => reject(listenError(error, host, port)))
      this.#server.listen(port, host, resolve)
    })
    // A connection that could not be accepted (too many open files) is that caller's loss; the others are served on.
    this.#server.removeAllListeners('error').on('error', () => {})
    const bound = (this.#server.address() as AddressInfo).port
    const urlHost = host.includes(':') ? `[${host}]` : host
    this.#address = { host, port: bound, url: `https://${urlHost}:${bound}` }
    return this.#address
  }

  /** Undefined before listen(). */
  get address(): ApiServerAddress | undefined {
    return this.#address
  }

  /** New connections see the new certificates; those that are open keep theirs. */
  setTls(tls: ApiServerTls): void {
    this.#server.setSecureContext(secureContextOf(tls))
  }

  /** How many watches are open. */
  get watches(): number {
    return this.#walk.watches
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#disposal ??= this.#close()
    return this.#disposal
  }

  async #close(): Promise<void> {
    this.#walk.endWatches()
    if (!this.#address) return
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()))
    this.#server.closeIdleConnections()
    const cancel = this.#clock.schedule(DRAIN_DEADLINE_MS, () => this.#server.closeAllConnections())
    await closed
    cancel()
  }

  /** Once closing, a connection that has had its answer is not kept for another request. */
  #closeIdle(): void {
    if (this.#disposal) setImmediate(() => this.#server.closeIdleConnections())
  }

  /** Who upgrades must say who it is: there is nothing anonymous behind a WebSocket here. */
  #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    socket.on('error', () => socket.destroy()) // a peer that resets while it is being refused
    const path = new URL(request.url ?? '/', 'https://api').pathname as `/${string}`
    const handler = this.#hooks.upgrades?.[path]
    if (!handler) return refuseUpgrade(socket, '404 Not Found', upgradeNotServed(path))
    try {
      const { user, certificate } = authenticate(socket as TLSSocket)
      if (!certificate) return refuseUpgrade(socket, '401 Unauthorized', unauthorized())
      handler({ request, socket, head, user, peerCertificate: certificate })
    } catch {
      refuseUpgrade(socket, '401 Unauthorized', unauthorized())
    }
  }
}

function refuseUpgrade(socket: Duplex, status: string, error: StatusError): void {
  const body = JSON.stringify(error.toStatus())
  const length = Buffer.byteLength(body)
  socket.end(
    `HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: ${length}\r\n\r\n${body}`,
  )
}

/** kubectl prints the message, and would print nothing without one. */
function upgradeNotServed(path: string): StatusError {
  const [, pod, what] = /\/pods\/([^/]+)\/(exec|attach|portforward)$/.exec(path) ?? []
  const instead = pod ? `; ambient exec ${pod} -- COMMAND runs a program of this machine in its network` : ''
  return new StatusError(404, 'NotFound', `the lab does not serve ${what ? `pods/${what}` : path}${instead}`)
}

function secureContextOf(tls: ApiServerTls) {
  return { cert: tls.certificateChainPem, key: tls.privateKeyPem, ca: tls.clientCaPem, minVersion: 'TLSv1.2' } as const
}

/** Certificates are asked for, not required: /healthz and /join are for everyone, and a refusal is a Status. */
function serverOptions(tls: ApiServerTls): ServerOptions {
  return {
    ...secureContextOf(tls),
    requestCert: true,
    rejectUnauthorized: false,
    sessionIdContext: 'ambient-lab-api',
    handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
    maxHeaderSize: HEADER_BYTES_MAX,
    noDelay: true,
  }
}

function listenError(error: unknown, host: string, port: number): CodedError {
  if (errorCode(error) !== 'EADDRINUSE') {
    return new CodedError('LISTEN_FAILED', `cannot listen on ${host}:${port}: ${(error as Error).message}`, {
      cause: error,
    })
  }
  const owner = findPortOwner(port)
  return new CodedError(
    'PORT_TAKEN',
    `port ${port} is taken${owner ? ` by ${owner.command} (pid ${owner.pid})` : ''}`,
    {
      cause: error,
      where: `${host}:${port}`,
      next: owner ? `stop it (kill ${owner.pid}) or choose another port` : 'choose another port, or 0 for any free one',
    },
  )
}
