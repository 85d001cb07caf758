import { lookup } from 'node:dns/promises'
import { createServer } from 'node:net'
import { type Clock, errorCode, errorMessage } from '@ambient-lab/std'
import type { HostPort } from './address.ts'
import { dataplaneError } from './errors.ts'
import type { ByteStream } from './stream/byte-stream.ts'
import { dialNodeStream, NodeStream, type TcpKeepalive } from './stream/node-stream.ts'

/** Opens plain TCP connections. */
export interface Dialer {
  /** @throws CodedError CONNECT_FAILED, CONNECT_TIMEOUT, or the signal's reason */
  dial(target: HostPort, options: PlainDialOptions): Promise<ByteStream>
}

export interface PlainDialOptions {
  readonly timeoutMs: number
  readonly signal?: AbortSignal
  /** What is left out is the system's. @default ztunnel's */
  readonly keepalive?: TcpKeepalive | undefined
}

/** Plain TCP as the data path needs it: sockets of this machine, or memory in a simulation. */
export interface PlainNetwork extends Dialer {
  /** @throws CodedError ADDRESS_IN_USE */
  listen(address: HostPort, onStream: (stream: ByteStream, remote: HostPort) => void): Promise<PlainListener>
  /** The machine's own name service, for names that the mesh does not know; undefined when it does not know either. */
  lookup(name: string): Promise<string | undefined>
}

/** Disposing stops accepting; streams that were accepted live on. */
export interface PlainListener extends AsyncDisposable {
  readonly address: HostPort
}

/** Real sockets. */
export class NodeNetwork implements PlainNetwork {
  readonly #clock: Clock

  constructor({ clock }: { readonly clock: Clock }) {
    this.#clock = clock
  }

  dial(target: HostPort, options: PlainDialOptions): Promise<ByteStream> {
    return dialNodeStream(target, { ...options, clock: this.#clock })
  }

  listen(address: HostPort, onStream: (stream: ByteStream, remote: HostPort) => void): Promise<PlainListener> {
    const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
      const remote = { host: socket.remoteAddress ?? '', port: socket.remotePort ?? 0 }
      onStream(new NodeStream(socket), remote)
    })
    const { promise, resolve, reject } = Promise.withResolvers<PlainListener>()
    const where = `${address.host}:${address.port}`
    server.once('error', (error) => {
      const code = errorCode(error) === 'EADDRINUSE' ? 'ADDRESS_IN_USE' : 'CONNECT_FAILED'
      reject(dataplaneError(code, `cannot listen on ${where}: ${errorMessage(error)}`, { where, cause: error }))
    })
    server.listen(address.port, address.host, () => {
      const bound = server.address()
      const port = typeof bound === 'object' && bound ? bound.port : address.port
      resolve({
        address: { host: address.host, port },
        // Not waited for: it would wait for the connections, which have owners of their own.
        [Symbol.asyncDispose]: async () => void server.close(),
      })
    })
    return promise
  }

  async lookup(name: string): Promise<string | undefined> {
    try {
      return (await lookup(name, { order: 'ipv4first' })).address
    } catch {
      return undefined
    }
  }
}
