import type { Socket } from 'node:net'
import { socks5Connect } from './socks5.ts'

/** After so many requests a program opens another connection: both kinds of client meet every change. */
const REQUESTS_PER_CONNECTION = 1_000
const HEAD_END = Buffer.from('\r\n\r\n')
const FAILURES_KEPT = 20

export interface KeepAliveLoadInit {
  readonly capture: { readonly host: string; readonly port: number }
  readonly host: string
  readonly port: number
  readonly connections: number
  readonly requests: number
  readonly onDone: (done: number) => void
}

/** So many GETs through the capture of a workload, each answered before its connection sends the next. */
export class KeepAliveLoad {
  sent = 0
  answered = 0
  failed = 0
  /** The first few. */
  readonly failures: string[] = []
  readonly #init: KeepAliveLoadInit

  constructor(init: KeepAliveLoadInit) {
    this.#init = init
  }

  async run(): Promise<void> {
    await Promise.all(Array.from({ length: this.#init.connections }, () => this.#program()))
  }

  async #program(): Promise<void> {
    const { capture, host, port } = this.#init
    while (this.sent < this.#init.requests) {
      const socket = await socks5Connect(capture, host, port)
      if (!socket) {
        this.sent += 1
        this.#fail('no connection')
        continue
      }
      const answers = new Answers(socket)
      for (let count = 0; count < REQUESTS_PER_CONNECTION && this.sent < this.#init.requests; count += 1) {
        this.sent += 1
        socket.write(`GET /${this.sent} HTTP/1.1\r\nhost: ${host}\r\n\r\n`)
        const status = await answers.next()
        if (status === '200') {
          this.answered += 1
          if (this.answered % 10_000 === 0) this.#init.onDone(this.answered)
          continue
        }
        this.#fail(status)
        break
      }
      socket.destroy()
    }
  }

  #fail(what: string): void {
    this.failed += 1
    if (this.failures.length < FAILURES_KEPT) this.failures.push(`request ${this.sent}: ${what}`)
  }
}

/** Answers with a content-length, one after the other. */
class Answers {
  #received: Buffer = Buffer.alloc(0)
  #closed = false
  #wake: () => void = () => {}

  constructor(socket: Socket) {
    socket.on('data', (chunk: Buffer) => {
      this.#received = this.#received.length === 0 ? chunk : Buffer.concat([this.#received, chunk])
      this.#wake()
    })
    socket.on('close', () => {
      this.#closed = true
      this.#wake()
    })
  }

  /** @returns the status, or what there was instead */
  async next(): Promise<string> {
    for (;;) {
      const status = this.#take()
      if (status !== undefined) return status
      if (this.#closed) return `closed after ${this.#received.length} bytes`
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
  }

  #take(): string | undefined {
    const headEnd = this.#received.indexOf(HEAD_END)
    if (headEnd < 0) return undefined
    const head = this.#received.toString('latin1', 0, headEnd)
    const length = /\r\ncontent-length: (\d+)/i.exec(head)
    if (!length) return `an answer without a length: ${head}`
    const end = headEnd + HEAD_END.length + Number(length[1])
    if (this.#received.length < end) return undefined
    this.#received = this.#received.subarray(end)
    return head.slice(9, 12)
  }
}
