import { createSocket, type Socket as UdpSocket } from 'node:dgram'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { type Clock, errorCode } from '@ambient-lab/std'
import type { Workload } from '@ambient-lab/xds'
import type { HostPort } from '../address.ts'
import { isOutsideName } from '../capture/resolver.ts'
import { dataplaneError } from '../errors.ts'
import {
  DNS_MESSAGE_BYTES_MAX,
  DNS_QUESTIONS_PENDING_MAX,
  DNS_TCP_CONNECTIONS_MAX,
  DNS_TCP_IDLE_MS,
  DNS_TTL_SECONDS,
} from '../limits.ts'
import type { ProxyState } from '../state/proxy-state.ts'
import { answerQuestion } from './answer.ts'
import { type DnsMetrics, dnsLabels } from './dns-metrics.ts'
import { type DnsProtocol, type DnsUpstream, firstMessage, withLength } from './dns-upstream.ts'
import { DNS_CODE, type DnsQuery, type DnsReply, encodeDnsError, encodeDnsReply, parseDnsQuery } from './message.ts'

export interface DnsServerComponents {
  readonly clock: Clock
  readonly upstream: DnsUpstream
  readonly metrics: DnsMetrics
  readonly state: () => ProxyState
}

export interface DnsServerInit {
  readonly host: string
  readonly clusterDomain: string
  /** Uid of the workload that asks here: its namespace is the first search domain. */
  readonly uid: string
  /** See DnsQuestion; asked with each question. @default false */
  readonly ofClusterOnly?: () => boolean
}

/** UDP and TCP have to be free on the same port; somebody else may take one of them in between. */
const BIND_TRIES = 10

/**
 * The DNS proxy of one workload: answers for the mesh what the mesh knows, and passes the rest on. Stands for the capture
 * of port 53, so that `dig @host -p port` is what the pod's own resolver would be.
 */
export class DnsServer implements AsyncDisposable {
  readonly address: HostPort
  readonly #components: DnsServerComponents
  readonly #init: DnsServerInit
  readonly #udp: UdpSocket
  readonly #tcp: Server
  readonly #sockets = new Set<Socket>()
  #pending = 0

  private constructor(
    udp: UdpSocket,
    tcp: Server,
    options: { readonly components: DnsServerComponents; readonly init: DnsServerInit },
  ) {
    this.#udp = udp
    this.#tcp = tcp
    this.#components = options.components
    this.#init = options.init
    this.address = { host: options.init.host, port: udp.address().port }
    udp.on('message', (message, remote) => {
      void this.#answer(message, 'udp').then((reply) => {
        if (reply) this.#udp.send(reply, remote.port, remote.address, () => {})
      })
    })
    tcp.maxConnections = DNS_TCP_CONNECTIONS_MAX
    tcp.on('connection', (socket) => this.#serve(socket))
  }

  /** @throws CodedError ADDRESS_IN_USE */
  static async listen(components: DnsServerComponents, init: DnsServerInit): Promise<DnsServer> {
    for (let attempt = 1; ; attempt += 1) {
      const tcp = createServer()
      await listening(tcp, () => tcp.listen(0, init.host))
      const { port } = tcp.address() as AddressInfo
      const udp = createSocket(init.host.includes(':') ? 'udp6' : 'udp4')
      try {
        await listening(udp, () => udp.bind(port, init.host))
        return new DnsServer(udp, tcp, { components, init })
      } catch (error) {
        tcp.close()
        if (errorCode(error) !== 'EADDRINUSE') throw error
        if (attempt < BIND_TRIES) continue
        throw dataplaneError('ADDRESS_IN_USE', 'no port is free for both UDP and TCP', { cause: error })
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy()
    await Promise.all([
      new Promise<void>((resolve) => this.#udp.close(() => resolve())),
      new Promise<void>((resolve) => this.#tcp.close(() => resolve())),
    ])
  }

  /** One message after the other, answers in whatever order they are ready (RFC 7766 §6.2.1.1). */
  #serve(socket: Socket): void {
    this.#sockets.add(socket)
    let received: Buffer = Buffer.alloc(0)
    socket.setTimeout(DNS_TCP_IDLE_MS, () => socket.destroy())
    socket.on('error', () => {}) // the client left: 'close' follows
    socket.on('close', () => this.#sockets.delete(socket))
    socket.on('data', (chunk: Buffer) => {
      received = Buffer.concat([received, chunk])
      for (let message = firstMessage(received); message; message = firstMessage(received)) {
        received = received.subarray(2 + message.length)
        void this.#answer(Uint8Array.from(message), 'tcp').then((reply) => {
          if (reply && socket.writable) socket.write(withLength(reply))
        })
      }
    })
  }

  /** @returns undefined for what deserves no answer */
  async #answer(message: Uint8Array, protocol: DnsProtocol): Promise<Uint8Array | undefined> {
    const query = parseDnsQuery(message)
    if ('malformed' in query) return query.code === undefined ? undefined : encodeDnsError(query.id, query.code)
    const state = this.#components.state()
    const client = state.workload(this.#init.uid)
    const labels = dnsLabels(query.type, protocol, client)
    this.#components.metrics.requests(labels).inc()
    const bytesMax = protocol === 'udp' ? query.udpBytesMax : DNS_MESSAGE_BYTES_MAX
    const reply = (fields: Partial<DnsReply>) =>
      encodeDnsReply(query, {
        ...{ code: DNS_CODE.ok, records: [], ttlSeconds: DNS_TTL_SECONDS, isAuthoritative: true, bytesMax },
        ...fields,
      })
    const known = client && this.#known(query, client, state)
    if (known) return reply(known)
    const forwarded = await this.#forward(message, protocol, labels)
    return forwarded ?? reply({ code: DNS_CODE.serverFailure, isAuthoritative: false })
  }

  /** Names of the cluster's own domain that it does not have do not exist: nobody outside is asked about them. */
  #known(query: DnsQuery, client: Workload, state: ProxyState): Partial<DnsReply> | undefined {
    const { name, type } = query
    if (!query.isInternet) return undefined
    const { clusterDomain } = this.#init
    const ofClusterOnly = this.#init.ofClusterOnly?.() ?? false
    const answer = answerQuestion(state, { name, type, client, clusterDomain, ofClusterOnly })
    if (answer.kind === 'answer') return { records: answer.records }
    return isOutsideName(name.toLowerCase(), clusterDomain) ? undefined : { code: DNS_CODE.noSuchName }
  }

  async #forward(
    message: Uint8Array,
    protocol: DnsProtocol,
    labels: ReturnType<typeof dnsLabels>,
  ): Promise<Uint8Array | undefined> {
    const { metrics, clock, upstream } = this.#components
    if (this.#pending >= DNS_QUESTIONS_PENDING_MAX) return undefined
    this.#pending += 1
    metrics.upstreamRequests(labels).inc()
    const startedMs = clock.monotonic()
    try {
      const answer = await upstream.ask(message, protocol)
      if (answer) metrics.upstreamDuration(labels).observe((clock.monotonic() - startedMs) / 1000)
      else metrics.upstreamFailures(labels).inc()
      return answer
    } finally {
      this.#pending -= 1
    }
  }
}

function listening(socket: Server | UdpSocket, bind: () => void): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once('listening', () => {
      socket.off('error', reject)
      // What comes later is about one datagram or one connection, which have answers of their own.
      socket.on('error', () => {})
      resolve()
    })
    socket.once('error', reject)
    bind()
  })
}
