import type { ClientRequest, IncomingMessage } from 'node:http'
import type { Agent } from 'node:https'
import { CodedError, errorCode, errorMessage } from '@ambient-lab/std'
import type { ApiAccess } from '../kubeconfig.ts'
import { API_BODY_BYTES_MAX, API_CONNECTIONS_MAX } from '../limits.ts'

export interface RawRequest {
  readonly method: string
  readonly path: string
  readonly body?: string | undefined
  readonly contentType?: string | undefined
  readonly accept?: string | undefined
  readonly signal?: AbortSignal | undefined
}

export interface RawResponse {
  readonly status: number
  readonly headers: IncomingMessage['headers']
  readonly body: string
}

/** Carries an exchange out under a signal of its own. */
type Limit = (exchange: (signal: AbortSignal | undefined) => Promise<RawResponse>) => Promise<RawResponse>

/**
 * TLS connections to one API, kept alive and reused, by streams too. Exchanges are bounded; streams are not counted, so
 * that they never hold up an exchange.
 */
export class Connection implements Disposable {
  readonly server: URL
  readonly #agent: Agent
  readonly #waiting: (() => void)[] = []
  #exchanging = 0

  constructor(access: ApiAccess) {
    this.server = new URL(access.server)
    // One context for all connections: parsing the certificates again for each costs more than a request.
    const secureContext = process.getBuiltinModule('node:tls').createSecureContext({
      ca: access.ca,
      cert: access.cert,
      key: access.key,
    })
    this.#agent = new (https().Agent)({ secureContext, keepAlive: true })
  }

  /**
   * One exchange, when its turn has come: `limit` begins to count then, and hands over the signal that ends it.
   * @throws CodedError UNAVAILABLE, or the signal's reason; an answer of any status is an answer
   */
  async exchange(init: RawRequest, limit: Limit = (exchange) => exchange(init.signal)): Promise<RawResponse> {
    if (this.#exchanging >= API_CONNECTIONS_MAX) await new Promise<void>((resolve) => this.#waiting.push(resolve))
    else this.#exchanging += 1
    try {
      return await limit(async (signal) => {
        const response = await this.#send({ ...init, signal })
        const body = await readBody(response, signal)
        return { status: response.statusCode ?? 0, headers: response.headers, body }
      })
    } finally {
      const next = this.#waiting.shift()
      if (next) next()
      else this.#exchanging -= 1
    }
  }

  /** The answer as it comes. Whoever stops reading early destroys it. */
  async stream(init: RawRequest): Promise<IncomingMessage> {
    return this.#send(init)
  }

  [Symbol.dispose](): void {
    this.#agent.destroy()
  }

  async #send(init: RawRequest, retried = false): Promise<IncomingMessage> {
    init.signal?.throwIfAborted()
    const outgoing = https().request(this.server, {
      agent: this.#agent,
      method: init.method,
      path: init.path,
      headers: headersOf(init),
      ...(init.signal ? { signal: init.signal } : {}),
    })
    try {
      return await answer(outgoing, init.body)
    } catch (error) {
      if (init.signal?.aborted) throw init.signal.reason
      // The server may close an idle connection just as we reuse it; nothing was answered, so asking again is safe
      // for everything but a second create, which then answers ALREADY_EXISTS.
      if (outgoing.reusedSocket && !retried && errorCode(error) === 'ECONNRESET') return this.#send(init, true)
      throw new CodedError('UNAVAILABLE', `${this.server.origin} does not answer: ${errorMessage(error)}`, {
        origin: 'upstream',
        retry: 'yes',
        cause: error,
        next: 'ambient up',
      })
    }
  }
}

/** Loaded at the first use: TLS and HTTP take longer to load than most commands take to run. */
function https(): typeof import('node:https') {
  return process.getBuiltinModule('node:https')
}

function headersOf(init: RawRequest): Record<string, string | number> {
  const headers: Record<string, string | number> = {
    accept: init.accept ?? 'application/json',
    'user-agent': 'ambient',
  }
  if (init.body !== undefined) {
    headers['content-type'] = init.contentType ?? 'application/json'
    headers['content-length'] = Buffer.byteLength(init.body)
  }
  return headers
}

function answer(outgoing: ClientRequest, body: string | undefined): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    outgoing.once('response', resolve)
    outgoing.on('error', reject)
    outgoing.end(body)
  })
}

/** The whole body as text. @throws CodedError UNAVAILABLE when it is cut, API_PROTOCOL when it is too long */
export async function readBody(response: IncomingMessage, signal?: AbortSignal): Promise<string> {
  const chunks: Buffer[] = []
  let length = 0
  try {
    for await (const chunk of response as AsyncIterable<Buffer>) {
      chunks.push(chunk)
      length += chunk.length
      if (length > API_BODY_BYTES_MAX)
        throw new CodedError('API_PROTOCOL', `the answer exceeds ${API_BODY_BYTES_MAX} bytes`)
    }
  } catch (error) {
    if (signal?.aborted) throw signal.reason
    if (error instanceof CodedError) throw error
    throw new CodedError('UNAVAILABLE', `the answer was cut: ${errorMessage(error)}`, { retry: 'yes', cause: error })
  }
  return Buffer.concat(chunks).toString('utf8')
}

/** The lines of a stream, without their ends; a last line without one counts. */
export async function* readLines(response: AsyncIterable<Buffer>): AsyncGenerator<string> {
  const decoder = new TextDecoder()
  let rest = ''
  for await (const chunk of response) {
    rest += decoder.decode(chunk, { stream: true })
    const lines = rest.split('\n')
    rest = lines.pop()!
    if (rest.length > API_BODY_BYTES_MAX) throw new CodedError('API_PROTOCOL', 'a line of the stream is too long')
    yield* lines
  }
  if (rest !== '') yield rest
}
