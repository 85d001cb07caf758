import { Agent, get } from 'node:http'
import type { Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { errorMessage } from '@ambient-lab/std'
import type { LoadTarget } from './connection-load.ts'
import { socks5Dial } from './socks5-dial.ts'

/** Requests on one connection before its program opens another: both kinds of client see every change. */
const REQUESTS_PER_CONNECTION = 25
const REQUEST_TIMEOUT_MS = 5_000

export interface FailedRequest {
  readonly number: number
  /** Since the load began. */
  readonly atMs: number
  readonly error: string
}

/** Several programs with keep-alive connections that send a request, read the answer and rest a moment, until stopped. */
export class RequestLoad {
  readonly failed: FailedRequest[] = []
  completed = 0
  readonly #target: LoadTarget
  readonly #programs: readonly Promise<void>[]
  readonly #startedMs = performance.now()
  #stopped = false
  #next = 1

  /** @param restMs between an answer and the next request of a program: what sets the rate */
  constructor(target: LoadTarget, { programs, restMs }: { readonly programs: number; readonly restMs: number }) {
    this.#target = target
    this.#programs = Array.from({ length: programs }, () => this.#run(restMs))
  }

  async stop(): Promise<void> {
    this.#stopped = true
    await Promise.all(this.#programs)
  }

  async #run(restMs: number): Promise<void> {
    while (!this.#stopped) {
      const agent = new CaptureAgent(this.#target)
      for (let count = 0; count < REQUESTS_PER_CONNECTION && !this.#stopped; count += 1) {
        await this.#request(agent)
        await sleep(restMs)
      }
      agent.destroy()
    }
  }

  async #request(agent: Agent): Promise<void> {
    const number = this.#next++
    try {
      const { status, body } = await fetchText(this.#target, agent, `/${number}`)
      if (status !== 200) throw new Error(`${status} ${body}`)
      this.completed += 1
    } catch (error) {
      this.failed.push({ number, atMs: Math.round(performance.now() - this.#startedMs), error: errorMessage(error) })
    }
  }
}

/** One connection at a time, through the capture of a workload, for as long as the other end keeps it. */
class CaptureAgent extends Agent {
  readonly #target: LoadTarget

  constructor(target: LoadTarget) {
    super({ keepAlive: true, maxSockets: 1 })
    this.#target = target
  }

  override createConnection(_options: object, callback?: (error: Error | null, socket: Socket) => void): undefined {
    socks5Dial(this.#target.capture, this.#target).then(
      // A server speaks second: nothing is lost before HTTP's own reader is there.
      (socket) => callback?.(null, socket.resume()),
      (error: Error) => callback?.(error, undefined as never),
    )
  }
}

function fetchText(
  { host, port }: LoadTarget,
  agent: Agent,
  path: string,
): Promise<{ readonly status: number; readonly body: string }> {
  return new Promise((resolve, reject) => {
    const signal = AbortSignal.timeout(REQUEST_TIMEOUT_MS)
    get({ host, port, path, agent, signal }, (response) => {
      let body = ''
      response.setEncoding('utf8').on('data', (text: string) => {
        body += text
      })
      response.on('error', reject)
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body }))
    }).on('error', reject)
  })
}
