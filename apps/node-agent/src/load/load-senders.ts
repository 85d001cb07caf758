import { type Clock, CodedError, errorCode } from '@ambient-lab/std'
import type { LoadRun } from '@ambient-lab/xds'
import { AgentAppClient } from '../hosting/app-client.ts'
import type { HostPort } from '../hosting/container.ts'
import { connectSocks5 } from '../hosting/socks5.ts'
import { Socks5Agent } from '../hosting/socks5-agent.ts'
import { LOAD_REQUEST_TIMEOUT_MS } from '../limits.ts'
import type { LoadOutcome, LoadSender } from '../load-generator.ts'

/**
 * What a run sends, through its source workload's capture like the workload itself.
 * @throws CodedError LOAD_URL when the url is neither http:// nor tcp:// with a port
 */
export function createLoadSender(run: LoadRun, capture: HostPort, clock: Clock): LoadSender {
  const url = URL.canParse(run.url) ? new URL(run.url) : undefined
  if (url?.protocol === 'http:') return new HttpLoadSender(run, capture, clock)
  if (url?.protocol === 'tcp:' && url.port !== '') return new TcpLoadSender(run, url, capture, clock)
  throw new CodedError('LOAD_URL', `${run.url}: a load goes to http://host[:port]/path or tcp://host:port`)
}

/** One request each, over a keep-alive pool that grows up to the in-flight bound. */
class HttpLoadSender implements LoadSender {
  readonly #run: LoadRun
  readonly #agent: Socks5Agent
  readonly #client: AgentAppClient

  constructor(run: LoadRun, capture: HostPort, clock: Clock) {
    this.#run = run
    this.#agent = new Socks5Agent({ capture, clock, socketsMax: run.inFlightMax })
    this.#client = new AgentAppClient({ agent: this.#agent, clock })
  }

  async send(): Promise<LoadOutcome> {
    const { url, method, headers, body } = this.#run
    try {
      const { status } = await this.#client.fetch({ url, method, headers, body, timeoutMs: LOAD_REQUEST_TIMEOUT_MS })
      return { code: String(status), ok: status < 400 }
    } catch (error) {
      return { code: errorCode(error) ?? 'FAILED', ok: false }
    }
  }

  close(): void {
    this.#agent.destroy()
  }
}

/** One connection each: sends `bytes`, waits for as many to come back, closes. */
class TcpLoadSender implements LoadSender {
  readonly #target: HostPort
  readonly #capture: HostPort
  readonly #clock: Clock
  readonly #payload: Buffer

  constructor(run: LoadRun, url: URL, capture: HostPort, clock: Clock) {
    this.#target = { host: url.hostname, port: Number(url.port) }
    this.#capture = capture
    this.#clock = clock
    // Ends in a newline: an echo by lines answers as well as one by bytes.
    this.#payload = Buffer.alloc(Math.max(1, run.bytes), 'x')
    this.#payload[this.#payload.length - 1] = 10
  }

  async send(signal: AbortSignal): Promise<LoadOutcome> {
    try {
      const socket = await connectSocks5(this.#capture, this.#target, { clock: this.#clock, signal })
      return await this.#exchange(socket)
    } catch (error) {
      return { code: errorCode(error) ?? 'FAILED', ok: false }
    }
  }

  close(): void {}

  #exchange(socket: Awaited<ReturnType<typeof connectSocks5>>): Promise<LoadOutcome> {
    return new Promise((resolve) => {
      let missing = this.#payload.length
      const settle = (code: string) => {
        cancel()
        socket.on('error', () => {}) // ours is over
        socket.destroy()
        resolve({ code, ok: code === 'OK' })
      }
      const cancel = this.#clock.schedule(LOAD_REQUEST_TIMEOUT_MS, () => settle('REQUEST_TIMEOUT'))
      socket.on('data', (chunk: Buffer) => {
        missing -= chunk.length
        if (missing <= 0) settle('OK')
      })
      socket.once('error', (error) => settle(errorCode(error) ?? 'FAILED'))
      socket.once('end', () => settle('CLOSED_EARLY'))
      socket.write(this.#payload)
      socket.resume()
    })
  }
}
