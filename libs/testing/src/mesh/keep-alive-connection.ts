import type { Socket } from 'node:net'
import type { LoadTarget } from './load.ts'
import { socks5Dial } from './socks5-dial.ts'

const HEAD_END = Buffer.from('\r\n\r\n')
const EMPTY = Buffer.alloc(0)
const ANSWER_TIMEOUT_MS = 5_000

export interface Answer {
  readonly status: number
  /** Status line and headers as they came. */
  readonly head: string
  readonly body: string
}

/**
 * One keep-alive HTTP/1.1 connection of a workload: a request, its answer, the next request. Reads no more of HTTP than
 * our servers say to a GET (an answer has its length), and so costs the core that it shares with the mesh next to nothing.
 */
export class KeepAliveConnection implements Disposable {
  readonly #socket: Socket
  readonly #host: string
  #received: Buffer = EMPTY
  /** The server said, or did, that nothing more is answered here. */
  #isOver = false
  #wake: () => void = () => {}

  constructor(socket: Socket, host: string) {
    this.#socket = socket
    this.#host = host
    socket.setNoDelay(true)
    socket.on('data', (chunk: Buffer) => {
      this.#received = this.#received.length === 0 ? chunk : Buffer.concat([this.#received, chunk])
      this.#wake()
    })
    const onOver = () => {
      this.#isOver = true
      socket.destroy()
      this.#wake()
    }
    socket
      .on('end', onOver)
      .on('close', onOver)
      .on('error', () => {}) // 'close' follows
    socket.resume()
  }

  /** @throws Error when the mesh refuses the connection */
  static async open(target: LoadTarget): Promise<KeepAliveConnection> {
    return new KeepAliveConnection(await socks5Dial(target.capture, target), target.host)
  }

  /** Whether the server would take another request, as far as one knows here. */
  get isReusable(): boolean {
    return !this.#isOver
  }

  /** @throws Error when the connection ends before its answer is whole, or nobody answers */
  async get(path: string): Promise<Answer> {
    this.#socket.write(`GET ${path} HTTP/1.1\r\nhost: ${this.#host}\r\n\r\n`)
    let isLate = false
    this.#socket.setTimeout(ANSWER_TIMEOUT_MS, () => {
      isLate = true
      this.#socket.destroy()
    })
    try {
      for (;;) {
        const answer = this.#take()
        if (answer) return answer
        if (isLate) throw new Error(`no answer within ${ANSWER_TIMEOUT_MS} ms`)
        if (this.#isOver) throw new Error(`closed after ${this.#received.length} bytes of an answer`)
        await new Promise<void>((resolve) => {
          this.#wake = resolve
        })
      }
    } finally {
      this.#socket.setTimeout(0).removeAllListeners('timeout')
    }
  }

  [Symbol.dispose](): void {
    this.#isOver = true
    this.#socket.destroy()
  }

  #take(): Answer | undefined {
    const headEnd = this.#received.indexOf(HEAD_END)
    if (headEnd < 0) return undefined
    const head = this.#received.toString('latin1', 0, headEnd)
    const length = /\r\ncontent-length: *(\d+)/i.exec(head)?.[1]
    if (length === undefined) {
      this[Symbol.dispose]()
      throw new Error(`an answer without a length: ${head}`)
    }
    const bodyStart = headEnd + HEAD_END.length
    const end = bodyStart + Number(length)
    if (this.#received.length < end) return undefined
    const body = this.#received.toString('utf8', bodyStart, end)
    this.#received = this.#received.subarray(end)
    if (/\r\nconnection: *close/i.test(head)) this.#isOver = true
    return { status: Number(head.slice(9, 12)), head, body }
  }
}
