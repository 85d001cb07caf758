import { type Agent, request as httpRequest, type IncomingHttpHeaders, type IncomingMessage } from 'node:http'
import { type Clock, CodedError, errorCode } from '@ambient-lab/std'
import { APP_BODY_BYTES_MAX } from '../limits.ts'

export interface AppClientRequest {
  readonly url: string
  /** @default 'GET' */
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string | Uint8Array
  /** A connection of its own, closed afterwards: what programs without a connection pool do. @default false */
  readonly newConnection?: boolean
  /** From the first byte of the dial to the last of the answer. */
  readonly timeoutMs: number
}

export interface AppClientResponse {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: Buffer
}

/** HTTP as a workload's program would do it: one exchange, whole bodies. */
export interface AppClient {
  /** @throws CodedError REQUEST_TIMEOUT, RESPONSE_TOO_LARGE, or what the connection ended with */
  fetch(request: AppClientRequest): Promise<AppClientResponse>
}

/** An AppClient over a pool of connections. Asks again, once, when a pooled connection turned out to be dead. */
export class AgentAppClient implements AppClient {
  readonly #agent: Agent
  readonly #oneShot: Agent
  readonly #clock: Clock

  constructor(components: {
    readonly agent: Agent
    /** For requests that want a connection of their own. @default agent */
    readonly oneShot?: Agent
    readonly clock: Clock
  }) {
    this.#agent = components.agent
    this.#oneShot = components.oneShot ?? components.agent
    this.#clock = components.clock
  }

  async fetch(request: AppClientRequest): Promise<AppClientResponse> {
    const timeout = new AbortController()
    const cancel = this.#clock.schedule(request.timeoutMs, () =>
      timeout.abort(new CodedError('REQUEST_TIMEOUT', `${request.url}: no answer within ${request.timeoutMs} ms`)),
    )
    try {
      return await exchange(request.newConnection ? this.#oneShot : this.#agent, request, timeout.signal, true)
    } finally {
      cancel()
    }
  }
}

function exchange(
  agent: Agent,
  request: AppClientRequest,
  signal: AbortSignal,
  mayRetry: boolean,
): Promise<AppClientResponse> {
  return new Promise((resolve, reject) => {
    const outgoing = httpRequest(request.url, {
      agent,
      method: request.method ?? 'GET',
      headers: { ...request.headers, ...(request.body ? { 'content-length': Buffer.byteLength(request.body) } : {}) },
      signal,
    })
    outgoing.on('response', (response) => collect(response, APP_BODY_BYTES_MAX).then(resolve, reject))
    outgoing.on('error', (error) => {
      if (signal.aborted) return reject(signal.reason)
      // The peer closed an idle connection while we were picking it: not this request's failure (RFC 9112 §9.3.1).
      const stale = outgoing.reusedSocket && errorCode(error) === 'ECONNRESET'
      if (stale && mayRetry) return exchange(agent, request, signal, false).then(resolve, reject)
      reject(asCoded(error, request.url))
    })
    outgoing.end(request.body)
  })
}

function collect(response: IncomingMessage, bytesMax: number): Promise<AppClientResponse> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    let bytes = 0
    response.on('data', (chunk: Buffer) => {
      bytes += chunk.length
      chunks.push(chunk)
      if (bytes > bytesMax) response.destroy(new CodedError('RESPONSE_TOO_LARGE', `more than ${bytesMax} bytes`))
    })
    response.on('end', () =>
      resolve({ status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(chunks, bytes) }),
    )
    response.on('error', reject)
  })
}

function asCoded(error: Error, where: string): CodedError {
  if (CodedError.is(error)) return error
  return new CodedError(errorCode(error) ?? 'UPSTREAM_RESET', `${where}: ${error.message}`, { cause: error })
}
