import type { Socket } from 'node:net'
import { socks5Connect } from '../lab/socks5.ts'
import { REVISION_HEADER } from './world.ts'

export interface Answer {
  readonly status: number
  /** Of the route that answered; -1 where none says so. */
  readonly revision: number
  readonly receivedMs: number
}

const HEAD_END = '\r\n\r\n'
const ANSWER_TIMEOUT_MS = 5000

/** A keep-alive connection of a workload to a service: one request at a time. */
export class Probe {
  readonly #socket: Socket
  readonly #host: string
  #received = ''
  #waiting: { readonly resolve: (answer: Answer) => void; readonly reject: (error: Error) => void } | undefined

  private constructor(socket: Socket, host: string) {
    this.#socket = socket
    this.#host = host
    socket.setEncoding('latin1').on('data', (chunk: string) => this.#read(chunk))
    socket.on('close', () => this.#waiting?.reject(new Error('the connection was closed')))
  }

  /** @throws Error when the mesh refuses the connection */
  static async open(capture: { readonly host: string; readonly port: number }, host: string): Promise<Probe> {
    const socket = await socks5Connect(capture, host, 80)
    if (!socket) throw new Error(`no connection to ${host}`)
    return new Probe(socket, host)
  }

  /** @throws Error when the connection ends, or nobody answers */
  ask(path: string): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => this.close(), ANSWER_TIMEOUT_MS)
      const done = <T>(settle: (value: T) => void) => {
        return (value: T) => {
          clearTimeout(timer)
          settle(value)
        }
      }
      this.#waiting = { resolve: done(resolve), reject: done(reject) }
      if (this.#socket.destroyed) return this.#waiting.reject(new Error('the connection is closed'))
      this.#socket.write(`GET ${path} HTTP/1.1\r\nhost: ${this.#host}\r\n\r\n`)
    })
  }

  close(): void {
    this.#socket.destroy()
  }

  #read(chunk: string): void {
    this.#received += chunk
    const headEnd = this.#received.indexOf(HEAD_END)
    if (headEnd < 0) return
    const head = this.#received.slice(0, headEnd)
    const length = Number(/^content-length: *(\d+)/im.exec(head)?.[1] ?? 0)
    const end = headEnd + HEAD_END.length + length
    if (this.#received.length < end) return
    this.#received = this.#received.slice(end)
    const { resolve } = this.#waiting!
    this.#waiting = undefined
    const revision = new RegExp(`^${REVISION_HEADER}: *(\\d+)`, 'im').exec(head)?.[1]
    resolve({ status: Number(head.slice(9, 12)), revision: Number(revision ?? -1), receivedMs: performance.now() })
  }
}
