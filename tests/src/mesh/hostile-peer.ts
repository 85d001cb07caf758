import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls'
import type { X509Svid } from '@ambient-lab/pki'

/** Types of frames on the wire, see libs/dataplane/src/tunnel/frame.ts: written down again, as a stranger would. */
export const TYPE = { SETTINGS: 0, CONNECT: 1, DATA: 3, WINDOW: 4, PING: 7 } as const

export interface Place {
  readonly host: string
  readonly port: number
  readonly serverName: string
}

const UPGRADE = [
  ...['GET /hbone HTTP/1.1', 'Host: x', 'Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Version: 13'],
  ...['Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==', 'Sec-WebSocket-Protocol: hbone.v1', '', ''],
].join('\r\n')

/** Somebody with a good certificate and bad manners: says what it is told to, byte for byte. */
export class HostilePeer {
  readonly socket: TLSSocket
  readonly closed: Promise<void>
  #heard = Buffer.alloc(0)

  private constructor(socket: TLSSocket) {
    this.socket = socket
    this.closed = new Promise((resolve) => socket.once('close', () => resolve()))
    socket.on('error', () => {}) // 'close' follows
    socket.on('data', (chunk: Buffer) => {
      this.#heard = Buffer.concat([this.#heard, chunk])
    })
  }

  /** TLS alone: what comes next is the peer's to say. */
  static connect({ host, port, serverName }: Place, svid: X509Svid, options: ConnectionOptions = {}): HostilePeer {
    const identity = { cert: svid.chainPem, key: svid.privateKeyPem, rejectUnauthorized: false }
    return new HostilePeer(connect({ host, port, servername: serverName, ...identity, ...options }))
  }

  /** A tunnel with the settings of an honest peer. */
  static async tunnel(place: Place, svid: X509Svid): Promise<HostilePeer> {
    const peer = HostilePeer.connect(place, svid)
    peer.socket.write(UPGRADE)
    await peer.#until(() => peer.#heard.includes('101 Switching Protocols'))
    peer.say(TYPE.SETTINGS, 0, numbers(100, 1 << 18, 1 << 25))
    return peer
  }

  /** Whether it was heard: reasons for a hang-up are readable in what comes before it. */
  heard(text: string): boolean {
    return this.#heard.includes(text)
  }

  say(type: number, stream: number, payload: Uint8Array = new Uint8Array(0)): void {
    this.socket.write(frame(type, stream, payload))
  }

  /** Reads nothing from here on. */
  deafen(): void {
    this.socket.removeAllListeners('data')
    this.socket.pause()
  }

  /** Until this was heard. @throws Error when the other side hangs up before */
  async hear(text: string): Promise<void> {
    await this.#until(() => this.heard(text))
  }

  async #until(check: () => boolean): Promise<void> {
    while (!check()) {
      if (this.socket.closed) throw new Error('the peer hung up')
      await new Promise((resolve) => setImmediate(resolve))
    }
  }
}

/** One binary WebSocket message with a mask of zeros, and a frame of ours in it. */
export function frame(type: number, stream: number, payload: Uint8Array): Buffer {
  const bytes = 5 + payload.length
  const length = bytes < 126 ? [0x80 | bytes] : [0x80 | 126, bytes >> 8, bytes & 0xff]
  return Buffer.concat([Buffer.from([0x82, ...length, 0, 0, 0, 0, type]), numbers(stream), payload])
}

export function numbers(...values: readonly number[]): Buffer {
  const bytes = Buffer.alloc(4 * values.length)
  for (const [index, value] of values.entries()) bytes.writeUInt32BE(value, 4 * index)
  return bytes
}
