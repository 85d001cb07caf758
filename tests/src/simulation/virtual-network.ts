import type { ByteStream } from '@ambient-lab/dataplane'
import {
  dataplaneError,
  type HostPort,
  type LinkConditions,
  memoryPair,
  type PlainListener,
  type PlainNetwork,
} from '@ambient-lab/dataplane'
import { type Clock, type Random, sleep } from '@ambient-lab/std'
import { type Link, LinkStream } from './link-stream.ts'
import { never, type VirtualProcess } from './virtual-process.ts'

/** Where the control plane is: a node like the others, as far as links go. */
export const CONTROL_PLANE_NODE = 'control-plane'

type OnStream = (stream: ByteStream, remote: HostPort) => void

interface Listener {
  readonly node: string
  readonly process: VirtualProcess
  readonly onStream: OnStream
}

/** One direction between two nodes, with its own order of things. */
class VirtualLink implements Link {
  readonly #random: Random
  blocked = false
  baseMs = 0
  jitterMs = 0
  bytesPerMs = Number.POSITIVE_INFINITY

  constructor(random: Random) {
    this.#random = random
  }

  delayMs(): number {
    return this.jitterMs === 0 ? this.baseMs : Math.max(0, this.baseMs + (this.#random.next() * 2 - 1) * this.jitterMs)
  }
}

/**
 * The machines' network: links between nodes that are slow, cut in one direction or both, and every connection that
 * crosses them. Connections overtake each other; the bytes of one connection never do.
 */
export class VirtualNetwork {
  readonly #clock: Clock
  readonly #random: Random
  readonly #links = new Map<string, VirtualLink>()
  readonly #listeners = new Map<string, Listener>()
  readonly #streams = new Map<LinkStream, VirtualProcess>()
  readonly #linkWaiters = new Set<() => void>()
  #nextPort = 20_000

  constructor({ clock, random }: { readonly clock: Clock; readonly random: Random }) {
    this.#clock = clock
    this.#random = random
  }

  /** Ends of connections that are open or have a cut to tell. */
  get openStreams(): number {
    return this.#streams.size
  }

  get openListeners(): number {
    return this.#listeners.size
  }

  link(from: string, to: string): VirtualLink {
    const key = `${from}>${to}`
    let link = this.#links.get(key)
    if (!link) {
      link = new VirtualLink(this.#random.fork(key))
      this.#links.set(key, link)
    }
    return link
  }

  delay(from: string, to: string, baseMs: number, jitterMs: number): void {
    for (const link of [this.link(from, to), this.link(to, from)]) Object.assign(link, { baseMs, jitterMs })
  }

  /** What one connection gets of a link, both ways. */
  bandwidth(from: string, to: string, bytesPerMs: number): void {
    for (const link of [this.link(from, to), this.link(to, from)]) Object.assign(link, { bytesPerMs })
  }

  partition(from: string, to: string, oneway: boolean): void {
    this.link(from, to).blocked = true
    if (!oneway) this.link(to, from).blocked = true
  }

  /** Opens what partitions closed between two nodes. */
  heal(from: string, to: string): void {
    this.link(from, to).blocked = false
    this.link(to, from).blocked = false
    for (const stream of [...this.#streams.keys()]) stream.flush()
    for (const wake of [...this.#linkWaiters]) wake()
  }

  isCut(a: string, b: string): boolean {
    return this.link(a, b).blocked || this.link(b, a).blocked
  }

  /**
   * The round trips of a handshake, once both directions are open.
   * @throws the signal's reason
   */
  async passHandshake(process: VirtualProcess, from: string, to: string, signal: AbortSignal): Promise<void> {
    while (this.isCut(from, to)) await this.#linkChange(signal)
    const roundTripMs = this.link(from, to).delayMs() + this.link(to, from).delayMs()
    if (roundTripMs > 0) await sleep(this.#clock, 2 * roundTripMs, signal)
    if (!process.alive) await never()
  }

  /** What a node's tunnels go through. */
  conditionsFor(process: VirtualProcess): LinkConditions {
    return {
      passHandshake: (from, to, signal) => this.passHandshake(process, from, to, signal),
      shape: (carrier, from, to) => this.#own(process, carrier, from === to ? undefined : this.link(from, to), true),
    }
  }

  /** What a node's plain connections go through. */
  plainFor(process: VirtualProcess, node: string): VirtualPlainNetwork {
    return new VirtualPlainNetwork({
      dial: (target, options) => this.#dial(process, node, target, options),
      listen: (address, onStream) => this.#listen({ process, node, onStream }, address),
    })
  }

  /** Ends a process's connections and listeners: it hears nothing more, its peers are told. */
  sever(process: VirtualProcess): void {
    for (const [key, listener] of [...this.#listeners]) if (listener.process === process) this.#listeners.delete(key)
    for (const [stream, owner] of [...this.#streams]) if (owner === process) stream.sever()
  }

  /** Cuts every connection of a process to other nodes, as something in the middle may. @returns how many */
  cutCarriers(process: VirtualProcess): number {
    const cut = [...this.#streams].filter(([stream, owner]) => owner === process && this.#crossing.has(stream))
    for (const [stream] of cut) stream.reset(dataplaneError('SESSION_CLOSED', 'the network cut the connection'))
    return cut.length
  }

  readonly #crossing = new WeakSet<LinkStream>()

  #own(process: VirtualProcess, inner: ByteStream, link: Link | undefined, isCarrier = false): LinkStream {
    const onGone = (gone: LinkStream) => void this.#streams.delete(gone)
    const stream = new LinkStream(inner, { link, clock: this.#clock, onGone, isCarrier })
    this.#streams.set(stream, process)
    if (link) this.#crossing.add(stream)
    return stream
  }

  async #dial(
    process: VirtualProcess,
    node: string,
    target: HostPort,
    options: { readonly timeoutMs: number; readonly signal?: AbortSignal },
  ): Promise<DialledStream> {
    const far = this.#listeners.get(`${target.host}:${target.port}`)
    if (far && far.node !== node) await this.#passInTime(process, node, far.node, options)
    const listener = this.#listeners.get(`${target.host}:${target.port}`)
    if (!listener) {
      const text = `connect ECONNREFUSED ${target.host}:${target.port}`
      throw dataplaneError('CONNECT_REFUSED', text, { origin: 'upstream' })
    }
    const [near, other] = memoryPair({ clock: this.#clock, ...this.#slicing() })
    const crosses = listener.node !== node
    const localPort = this.#nextPort++
    const stream = this.#own(process, near, crosses ? this.link(node, listener.node) : undefined)
    const remote = this.#own(listener.process, other, crosses ? this.link(listener.node, node) : undefined)
    listener.onStream(remote, { host: '192.0.2.250', port: localPort })
    return { stream, localPort }
  }

  async #passInTime(
    process: VirtualProcess,
    from: string,
    to: string,
    { timeoutMs, signal }: { readonly timeoutMs: number; readonly signal?: AbortSignal },
  ): Promise<void> {
    const late = new AbortController()
    const error = dataplaneError('CONNECT_TIMEOUT', `no answer in ${timeoutMs} ms`, { origin: 'upstream' })
    const cancel = process.clock.schedule(timeoutMs, () => late.abort(error))
    try {
      const either = signal ? AbortSignal.any([signal, late.signal]) : late.signal
      await this.passHandshake(process, from, to, either)
    } finally {
      cancel()
    }
  }

  async #listen(listener: Listener, address: HostPort): Promise<PlainListener> {
    const port = address.port || this.#nextPort++
    const key = `${address.host}:${port}`
    if (this.#listeners.has(key)) throw dataplaneError('ADDRESS_IN_USE', `cannot listen on ${key}`, { where: key })
    this.#listeners.set(key, listener)
    const stop = async () => {
      if (this.#listeners.get(key) === listener) this.#listeners.delete(key)
    }
    return { address: { host: address.host, port }, [Symbol.asyncDispose]: stop }
  }

  /** Half of the connections arrive in pieces that nobody wrote. */
  #slicing(): { slicing?: { random: Random; bytesMax: number } } {
    if (this.#random.integer(2) === 0) return {}
    return { slicing: { random: this.#random, bytesMax: 16 + this.#random.integer(4096) } }
  }

  #linkChange(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const settle = (act: () => void) => {
        this.#linkWaiters.delete(wake)
        signal.removeEventListener('abort', onAbort)
        act()
      }
      const wake = () => settle(resolve)
      const onAbort = () => settle(() => reject(signal.reason))
      if (signal.aborted) return reject(signal.reason)
      this.#linkWaiters.add(wake)
      signal.addEventListener('abort', onAbort, { once: true })
    })
  }
}

interface DialledStream {
  readonly stream: ByteStream
  /** The client's own port, by which the other end knows it. */
  readonly localPort: number
}

interface PlainNetworkParts {
  dial(target: HostPort, options: { readonly timeoutMs: number; readonly signal?: AbortSignal }): Promise<DialledStream>
  listen(address: HostPort, onStream: OnStream): Promise<PlainListener>
}

/** Plain TCP as one process of one node has it. */
export class VirtualPlainNetwork implements PlainNetwork {
  readonly #parts: PlainNetworkParts

  constructor(parts: PlainNetworkParts) {
    this.#parts = parts
  }

  async dial(
    target: HostPort,
    options: { readonly timeoutMs: number; readonly signal?: AbortSignal },
  ): Promise<ByteStream> {
    return (await this.#parts.dial(target, options)).stream
  }

  dialWithPort(target: HostPort): Promise<DialledStream> {
    return this.#parts.dial(target, { timeoutMs: 10_000 })
  }

  listen(address: HostPort, onStream: OnStream): Promise<PlainListener> {
    return this.#parts.listen(address, onStream)
  }

  /** Nobody outside the mesh has a name here. */
  async lookup(): Promise<string | undefined> {
    return undefined
  }
}
