import { createSocket } from 'node:dgram'
import { getServers } from 'node:dns'
import { connect } from 'node:net'
import type { Clock } from '@ambient-lab/std'
import type { HostPort } from '../address.ts'
import { DNS_MESSAGE_BYTES_MAX, DNS_UPSTREAM_TIMEOUT_MS } from '../limits.ts'

export type DnsProtocol = 'udp' | 'tcp'

/** Who answers what the mesh does not know. */
export interface DnsUpstream {
  /** The answer as it came; undefined when nobody answered in time. */
  ask(query: Uint8Array, protocol: DnsProtocol): Promise<Uint8Array | undefined>
}

/** The resolvers of the machine, one after the other, each over the protocol that the client used. */
export class SystemDnsUpstream implements DnsUpstream {
  readonly #clock: Clock
  readonly #servers: () => readonly HostPort[]

  /** @param servers @default those of the machine, read anew for each question */
  constructor(components: { readonly clock: Clock }, servers: () => readonly HostPort[] = systemServers) {
    this.#clock = components.clock
    this.#servers = servers
  }

  async ask(query: Uint8Array, protocol: DnsProtocol): Promise<Uint8Array | undefined> {
    for (const server of this.#servers()) {
      const answer = await (protocol === 'udp' ? this.#askUdp(query, server) : this.#askTcp(query, server))
      if (answer) return answer
    }
    return undefined
  }

  /** A socket of its own, connected: nobody else's datagram is taken for the answer, and its port is hard to guess. */
  #askUdp(query: Uint8Array, server: HostPort): Promise<Uint8Array | undefined> {
    return this.#inTime((settle) => {
      const socket = createSocket(server.host.includes(':') ? 'udp6' : 'udp4')
      socket.on('error', () => settle(undefined))
      socket.on('message', (message) => {
        if (message[0] === query[0] && message[1] === query[1]) settle(message)
      })
      socket.connect(server.port, server.host, () => socket.send(query))
      return () => socket.close()
    })
  }

  #askTcp(query: Uint8Array, server: HostPort): Promise<Uint8Array | undefined> {
    return this.#inTime((settle) => {
      const socket = connect(server, () => socket.write(withLength(query)))
      let received: Buffer = Buffer.alloc(0)
      socket.on('error', () => settle(undefined))
      socket.on('close', () => settle(undefined))
      socket.on('data', (chunk: Buffer) => {
        received = Buffer.concat([received, chunk])
        const message = firstMessage(received)
        if (message) settle(message)
      })
      return () => socket.destroy()
    })
  }

  #inTime(start: (settle: (answer: Uint8Array | undefined) => void) => () => void): Promise<Uint8Array | undefined> {
    return new Promise((resolve) => {
      let stop: () => void = () => {}
      let isSettled = false
      const settle = (answer: Uint8Array | undefined) => {
        if (isSettled) return
        isSettled = true
        cancel()
        stop()
        resolve(answer)
      }
      const cancel = this.#clock.schedule(DNS_UPSTREAM_TIMEOUT_MS, () => settle(undefined), { background: true })
      stop = start(settle)
    })
  }
}

/** RFC 1035 §4.2.2. */
export function withLength(message: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from([message.length >> 8, message.length & 0xff]), message])
}

/** The first whole message of a stream; its bytes with the length are `message.length + 2`. */
export function firstMessage(received: Uint8Array): Uint8Array | undefined {
  if (received.length < 2) return undefined
  const length = received[0]! * 256 + received[1]!
  return received.length < 2 + length
    ? undefined
    : received.subarray(2, Math.min(2 + length, DNS_MESSAGE_BYTES_MAX + 2))
}

/** `10.0.0.1`, `10.0.0.1:5353`, `[fd00::1]:53`, `fd00::1`. */
function systemServers(): readonly HostPort[] {
  return getServers().map((text) => {
    const match = /^\[(.+)\]:(\d+)$/.exec(text) ?? /^([\d.]+):(\d+)$/.exec(text)
    return match ? { host: match[1]!, port: Number(match[2]) } : { host: text, port: 53 }
  })
}
