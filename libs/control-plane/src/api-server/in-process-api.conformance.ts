import type { X509Certificate } from 'node:crypto'
import { createServer, request as httpRequest, type IncomingMessage, type Server } from 'node:http'
import { Duplex } from 'node:stream'
import { KINDS, type Resource } from '@ambient-lab/api'
import type { Clock, Random } from '@ambient-lab/std'
import type { Store } from '../store/store.ts'
import { RequestWalk } from './request-walk.ts'

/** Bytes that a connection takes before its writer has to wait: few, so that slow watchers are met often. */
const CONNECTION_BYTES = 2_000

/** Who calls: as TLS would have found it. */
const ADMIN = { subject: 'O=system:masters\nCN=ambient-admin' } as X509Certificate

export interface Answered {
  readonly status: number
  // biome-ignore lint/suspicious/noExplicitAny: tests look into answers of every shape
  readonly body: any
}

/** An API server without a socket: what happens depends on the clock and on chance alone. */
export class InProcessApi {
  readonly store: Store
  readonly #walk: RequestWalk
  readonly #server: Server
  readonly #connections = new Set<Duplex>()
  #dead = false

  constructor(store: Store, components: { readonly clock: Clock; readonly random: Random }) {
    this.store = store
    this.#walk = new RequestWalk({
      version: '0.0.0-test',
      components: { ...components, store, kinds: KINDS },
      hooks: {},
    })
    this.#server = createServer((request, response) => void this.#walk.serve(request, response))
  }

  get watches(): number {
    return this.#walk.watches
  }

  /** @returns undefined when the server died before it answered */
  async call(method: string, path: string, body?: unknown, contentType?: string): Promise<Answered | undefined> {
    const response = await this.#open(method, path, body, contentType)
    if (!response) return undefined
    let text = ''
    try {
      for await (const chunk of response.setEncoding('utf8')) text += chunk
    } catch {
      return undefined
    }
    return { status: response.statusCode ?? 0, body: JSON.parse(text) }
  }

  /** The answer as it streams; undefined when the server died before it began. */
  watch(path: string): Promise<IncomingMessage | undefined> {
    return this.#open('GET', path)
  }

  /** As SIGKILL: every connection breaks, whatever was under way. */
  kill(): void {
    this.#dead = true
    for (const connection of this.#connections) connection.destroy()
  }

  #open(method: string, path: string, body?: unknown, type = 'application/json'): Promise<IncomingMessage | undefined> {
    if (this.#dead) return Promise.resolve(undefined)
    const text = body === undefined ? undefined : JSON.stringify(body)
    const headers = text === undefined ? {} : { 'Content-Type': type, 'Content-Length': Buffer.byteLength(text) }
    return new Promise((resolve) => {
      const request = httpRequest({ createConnection: () => this.#connect(), method, path, headers })
      request.once('response', resolve).once('error', () => resolve(undefined))
      request.end(text)
    })
  }

  #connect(): Duplex {
    const [near, far] = memorySockets()
    const peer = Object.assign(far, { getPeerX509Certificate: () => ADMIN, authorized: true })
    for (const end of [near, peer]) {
      this.#connections.add(end)
      end.once('close', () => this.#connections.delete(end))
      end.on('error', () => {})
    }
    this.#server.emit('connection', peer)
    return near
  }
}

/**
 * One end of a connection in memory. Unlike `duplexPair` it ends a write in a later turn, as a socket does: Node's HTTP
 * answers false to writes while others are pending, and promises a 'drain' only if they still are at the next tick.
 */
class MemorySocket extends Duplex {
  peer!: MemorySocket
  #onRead: (() => void) | undefined

  constructor() {
    super({ highWaterMark: CONNECTION_BYTES })
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, callback: () => void): void {
    setImmediate(() => this.peer.#arrive(chunk, callback))
  }

  override _final(callback: () => void): void {
    setImmediate(() => {
      if (!this.peer.destroyed) this.peer.push(null)
      callback()
    })
  }

  override _read(): void {
    const onRead = this.#onRead
    this.#onRead = undefined
    onRead?.()
  }

  override _destroy(error: Error | null, callback: (error: Error | null) => void): void {
    setImmediate(() => this.peer.destroy())
    callback(error)
  }

  #arrive(chunk: Buffer, callback: () => void): void {
    if (this.destroyed || this.push(chunk)) callback()
    else this.#onRead = callback
  }
}

function memorySockets(): [MemorySocket, MemorySocket] {
  const [near, far] = [new MemorySocket(), new MemorySocket()]
  near.peer = far
  far.peer = near
  return [near, far]
}

export function configMap(name: string, data: Record<string, string>, labels: Record<string, string> = {}): Resource {
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, labels }, data }
}
