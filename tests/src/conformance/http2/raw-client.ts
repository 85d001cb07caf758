import { connect, type Socket } from 'node:net'

/** RFC 9113 §6. */
export const TYPE = {
  DATA: 0,
  HEADERS: 1,
  PRIORITY: 2,
  RST_STREAM: 3,
  SETTINGS: 4,
  PUSH_PROMISE: 5,
  PING: 6,
  GOAWAY: 7,
  WINDOW_UPDATE: 8,
  CONTINUATION: 9,
} as const

export const FLAG = { ACK: 0x1, END_STREAM: 0x1, END_HEADERS: 0x4, PADDED: 0x8, PRIORITY: 0x20 } as const

export interface Frame {
  readonly type: number
  readonly flags: number
  readonly stream: number
  readonly payload: Buffer
}

const PREFACE = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'
const HEAD_BYTES = 9
/** A server that says nothing for so long is broken, or the check is. */
const SILENCE_MAX_MS = 10_000
/** How often a server is asked whether it is still there before its silence counts: what it had to say is said by then. */
const PINGS = 3

/** A client of HTTP/2 that can send anything, frame by frame. */
export class RawHttp2Client implements AsyncDisposable {
  readonly frames: Frame[] = []
  closed = false
  readonly #socket: Socket
  #bytes = Buffer.alloc(0)
  #isSilent = false
  #wake: () => void = () => {}

  private constructor(socket: Socket) {
    this.#socket = socket
    socket.on('error', () => {})
    socket.on('data', (chunk: Buffer) => this.#read(chunk))
    socket.setTimeout(SILENCE_MAX_MS, () => {
      this.#isSilent = true
      socket.destroy()
    })
    socket.on('close', () => {
      this.closed = true
      this.#wake()
    })
  }

  /** Without a preface: for those who send another. */
  static async dial(port: number): Promise<RawHttp2Client> {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true })
    await new Promise<void>((resolve, reject) => socket.once('connect', resolve).once('error', reject))
    return new RawHttp2Client(socket)
  }

  /** With preface and settings, those of the server acknowledged. */
  static async open(port: number): Promise<RawHttp2Client> {
    const client = await RawHttp2Client.dial(port)
    client.raw(Buffer.from(PREFACE))
    client.send(TYPE.SETTINGS, 0, 0)
    await client.until(({ type, flags }) => type === TYPE.SETTINGS && (flags & FLAG.ACK) === 0)
    client.send(TYPE.SETTINGS, FLAG.ACK, 0)
    return client
  }

  raw(bytes: Uint8Array): void {
    if (!this.closed) this.#socket.write(bytes)
  }

  send(type: number, flags: number, stream: number, payload: Uint8Array | readonly number[] = []): void {
    this.raw(encodeFrame(type, flags, stream, payload))
  }

  /** The first frame of such a kind that has come or comes; undefined when the connection ends before. */
  async until(isIt: (frame: Frame) => boolean): Promise<Frame | undefined> {
    for (;;) {
      const frame = this.frames.find(isIt)
      if (this.#isSilent) throw new Error('the server says nothing, and does not close')
      if (frame !== undefined || this.closed) return frame
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
  }

  /** Everything that the server has to say to what was sent is in `frames`, or the connection has ended. */
  async settled(): Promise<void> {
    for (let count = 0; count < PINGS && !this.closed; count += 1) {
      const id = Buffer.from(`settled${count}`)
      this.send(TYPE.PING, 0, 0, id)
      await this.until(
        ({ type, flags, payload }) => type === TYPE.PING && (flags & FLAG.ACK) !== 0 && payload.equals(id),
      )
    }
  }

  /** The server has closed the connection. */
  async end(): Promise<void> {
    await this.until(() => false)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.closed) return
    this.#socket.destroy()
    await this.end()
  }

  #read(chunk: Buffer): void {
    this.#bytes = Buffer.concat([this.#bytes, chunk])
    while (this.#bytes.length >= HEAD_BYTES) {
      const end = HEAD_BYTES + this.#bytes.readUIntBE(0, 3)
      if (this.#bytes.length < end) break
      const stream = this.#bytes.readUInt32BE(5) & 0x7fffffff
      const payload = this.#bytes.subarray(HEAD_BYTES, end)
      this.frames.push({ type: this.#bytes[3]!, flags: this.#bytes[4]!, stream, payload })
      this.#bytes = this.#bytes.subarray(end)
    }
    this.#wake()
  }
}

export function encodeFrame(
  type: number,
  flags: number,
  stream: number,
  payload: Uint8Array | readonly number[] = [],
): Buffer {
  const head = Buffer.alloc(HEAD_BYTES)
  head.writeUIntBE(payload.length, 0, 3)
  head[3] = type
  head[4] = flags
  head.writeUInt32BE(stream, 5)
  return Buffer.concat([head, Uint8Array.from(payload)])
}

export function u32(...values: readonly number[]): Buffer {
  const bytes = Buffer.alloc(4 * values.length)
  for (const [index, value] of values.entries()) bytes.writeUInt32BE(value, 4 * index)
  return bytes
}

/** Settings as a payload: number and value. */
export function settings(...pairs: readonly (readonly [id: number, value: number])[]): Buffer {
  return Buffer.concat(pairs.map(([id, value]) => Buffer.concat([Buffer.from([id >> 8, id & 0xff]), u32(value)])))
}

/** HPACK without compression: literals that are not indexed (RFC 7541 §6.2.2). Texts below 127 bytes. */
export function hpack(...fields: readonly (readonly [name: string, value: string])[]): Buffer {
  return Buffer.concat(
    fields.flatMap(([name, value]) => [
      Buffer.from([0, name.length]),
      Buffer.from(name),
      Buffer.from([value.length]),
      Buffer.from(value),
    ]),
  )
}
