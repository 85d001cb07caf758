import type { Clock } from '@ambient-lab/std'
import type { HostPort } from './address.ts'
import { dataplaneError } from './errors.ts'
import type { PlainListener, PlainNetwork } from './plain-network.ts'
import type { ByteStream } from './stream/byte-stream.ts'
import { memoryPair } from './stream/memory-stream.ts'

type OnStream = (stream: ByteStream, remote: HostPort) => void

/** Plain TCP inside one process, over a clock: for simulation and tests. Ports count up from 20000. */
export class MemoryPlainNetwork implements PlainNetwork {
  readonly #clock: Clock
  readonly #listeners = new Map<string, OnStream>()
  /** What the "machine's own name service" knows. */
  readonly names = new Map<string, string>()
  #nextPort = 20_000

  constructor({ clock }: { readonly clock: Clock }) {
    this.#clock = clock
  }

  async dial(target: HostPort, options: { readonly signal?: AbortSignal } = {}): Promise<ByteStream> {
    options.signal?.throwIfAborted()
    const onStream = this.#listeners.get(`${target.host}:${target.port}`)
    if (!onStream) {
      throw dataplaneError('CONNECT_REFUSED', `connect ECONNREFUSED ${target.host}:${target.port}`, {
        origin: 'upstream',
      })
    }
    const [near, far] = memoryPair({ clock: this.#clock })
    onStream(far, { host: target.host, port: this.#nextPort++ })
    return near
  }

  async listen(address: HostPort, onStream: OnStream): Promise<PlainListener> {
    const port = address.port || this.#nextPort++
    const key = `${address.host}:${port}`
    if (this.#listeners.has(key)) throw dataplaneError('ADDRESS_IN_USE', `cannot listen on ${key}`, { where: key })
    this.#listeners.set(key, onStream)
    return {
      address: { host: address.host, port },
      [Symbol.asyncDispose]: async () => void this.#listeners.delete(key),
    }
  }

  async lookup(name: string): Promise<string | undefined> {
    return this.names.get(name)
  }
}
