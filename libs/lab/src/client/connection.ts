import type { ClientRequest, IncomingMessage } from 'node:http'
import { Agent, request } from 'node:https'
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

/** TLS connections to one API, kept alive and reused. Streams have their own, so that they never hold up a request. */
export class Connection implements Disposable {
  readonly server: URL
  readonly #requests: Agent
  readonly #streams: Agent

  constructor(access: ApiAccess) {
    this.server = new URL(access.server)
    const tls = { ca: access.ca, cert: access.cert, key: access.key, keepAlive: true }
    this.#requests = new Agent({ ...tls, maxSockets: API_CONNECTIONS_MAX })
    this.#streams = new Agent(tls)
  }

  /** One exchange. @throws CodedError UNAVAILABLE, or the signal's reason; an answer of any status is an answer */
  async exchange(init: RawRequest): Promise<RawResponse> {
    const response = await this.#send(init, this.#requests)
    return { status: response.statusCode ?? 0, headers: response.headers, body: await readBody(response, init.signal) }
  }

  /** The answer as it comes. Whoever stops reading early destroys it. */
  async stream(init: RawRequest): Promise<IncomingMessage> {
    return this.#send(init, this.#streams)
  }

  [Symbol.dispose](): void {
    this.#requests.destroy()
    this.#streams.destroy()
  }

  async #send(init: RawRequest, agent: Agent, retried = false): Promise<IncomingMessage> {
    init.signal?.throwIfAborted()
    const outgoing = request(this.server, {
      agent,
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
      if (outgoing.reusedSocket && !retried && errorCode(error) === 'ECONNRESET') return this.#send(init, agent, true)
      throw new CodedError('UNAVAILABLE', `${this.server.origin} does not answer: ${errorMessage(error)}`, {
        origin: 'upstream',
        retry: 'yes',
        cause: error,
        next: 'ambient up',
      })
    }
  }
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
