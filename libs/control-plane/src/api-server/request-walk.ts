import type { IncomingMessage, ServerResponse } from 'node:http'
import type { TLSSocket } from 'node:tls'
import { BugError, type Clock } from '@ambient-lab/std'
import type { Reply, ResourceRequest, Services } from './api-request.ts'
import type { ApiServerComponents } from './api-server.ts'
import { ANONYMOUS, authenticate, type User } from './authentication.ts'
import { authorize } from './authorization.ts'
import { readBody } from './body.ts'
import { Discovery } from './discovery.ts'
import { BATCH_TYPE } from './handlers/batch.ts'
import { handlerFor } from './handlers/handler-for.ts'
import type { ApiServerHooks, PlainRouteName } from './hooks.ts'
import { OpenApi } from './openapi.ts'
import { errorReply, sendReply } from './reply.ts'
import { withReviews } from './reviews.ts'
import { parseRoute, type ResourceRoute, type Route } from './router.ts'
import { ServedKinds } from './served-kinds.ts'
import { badRequest, methodNotAllowed, notFound, unknownPath } from './status-error.ts'
import { type Accepted, negotiate } from './table/negotiation.ts'
import { parseIncludeObject } from './table/representation.ts'
import { WatchRegistry } from './watch-stream.ts'

/** A request line in the log is cut here. */
const URL_LOGGED_MAX = 512

/** One HTTP exchange on its way through the walk. */
interface Exchange {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly path: string
  readonly query: URLSearchParams
  readonly warnings: string[]
  user: User
}

/** The way of one request, from its head to its answer; each step either answers, refuses, or hands on. */
export class RequestWalk {
  readonly #services: Services
  readonly #discovery: Discovery
  readonly #openApi: OpenApi
  readonly #clock: Clock
  readonly #onRequest: ApiServerComponents['onRequest']

  constructor(options: { version: string; components: ApiServerComponents; hooks: ApiServerHooks }) {
    const { components } = options
    const { kinds, hooks } = withReviews(components.kinds, options.hooks)
    const served = new ServedKinds(kinds, new Set([BATCH_TYPE, ...Object.keys(hooks.createOnly ?? {})]))
    const { store, clock, random } = components
    this.#services = { store, clock, random, hooks, kinds: served, watches: new WatchRegistry() }
    this.#discovery = new Discovery(served, hooks, options.version)
    this.#openApi = new OpenApi(served, options.version)
    this.#clock = clock
    this.#onRequest = components.onRequest
  }

  get watches(): number {
    return this.#services.watches.size
  }

  endWatches(): void {
    this.#services.watches.endAll()
  }

  /** Answers in every case; what is thrown on the way becomes a Status. */
  async serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const startedMs = this.#clock.monotonic()
    const exchange = openExchange(request, response)
    let error: unknown
    response.once('close', () => this.#log(exchange, startedMs, error))
    response.on('error', () => response.destroy()) // the caller went away: its 'close' follows
    try {
      sendReply(exchange, await this.#answer(exchange))
    } catch (thrown) {
      error = thrown
      // A broken invariant is told to the caller and then ends the process: state cannot be trusted any more.
      if (thrown instanceof BugError) queueMicrotask(() => raise(thrown))
      sendReply(exchange, errorReply(thrown))
    }
  }

  async #answer(exchange: Exchange): Promise<Reply> {
    const { request, path, query } = exchange
    exchange.user = authenticate(request.socket as TLSSocket).user
    const plain = await this.#answerPlain(exchange)
    if (plain) return plain
    const route = parseRoute(request.method ?? '', path, query)
    if (route.type === 'error') throw routeError(route.error)
    if (route.type !== 'resource') {
      authorize(exchange.user, { type: 'other', verb: (request.method ?? '').toLowerCase(), path })
      return this.#answerOther(route, negotiate(request.headers.accept), request.method ?? '')
    }
    authorize(exchange.user, route)
    return this.#answerResource(exchange, route)
  }

  /** What others plugged in for everyone: they decide themselves whom they serve. */
  async #answerPlain({ request, path, query, user }: Exchange): Promise<Reply | undefined> {
    const handler = this.#services.hooks.plainRoutes?.[`${request.method} ${path}` as PlainRouteName]
    if (!handler) return undefined
    const body = request.method === 'GET' ? '' : (await readBody(request)).toString()
    return handler({ query, body, user, remoteAddress: request.socket.remoteAddress ?? '' })
  }

  #answerOther(route: Exclude<Route, ResourceRoute | { type: 'error' }>, accepted: Accepted, method: string): Reply {
    const reply =
      route.type !== 'plain'
        ? this.#discovery.answer(route, accepted)
        : (this.#discovery.answerPlain(route.path) ?? this.#openApi.answer(route.path))
    if (!reply) throw unknownPath()
    if (method !== 'GET' && method !== 'HEAD') throw methodNotAllowed()
    return reply
  }

  async #answerResource(exchange: Exchange, route: ResourceRoute): Promise<Reply> {
    const { request, response, query, user, warnings } = exchange
    const kind = this.#services.kinds.find(route.group, route.version, route.resource)
    if (!kind) throw unknownPath()
    const onCollection = route.name === undefined && route.verb !== 'create'
    if (!kind.namespaced && route.namespace !== undefined) throw unknownPath()
    if (kind.namespaced && route.namespace === undefined && !onCollection) throw unknownPath()
    const abort = new AbortController()
    response.once('close', () => abort.abort())
    const rendering = {
      kind,
      accepted: negotiate(request.headers.accept),
      includeObject: parseIncludeObject(query.get('includeObject')),
      nowMs: this.#clock.now(),
    }
    const shared = { response, route, kind, query, user, rendering, warnings, signal: abort.signal }
    const resourceRequest: ResourceRequest = { http: request, ...shared }
    if (route.subresource !== undefined) {
      const plugged = this.#services.hooks.subresources?.[`${kind.type}/${route.subresource}`]
      if (plugged) return this.#answerPlugged(plugged, resourceRequest)
    }
    return handlerFor(resourceRequest)(resourceRequest, this.#services)
  }

  async #answerPlugged(
    handler: NonNullable<ApiServerHooks['subresources']>[`${string}/${string}/${string}`],
    { http, response, kind, route, query, user, signal }: ResourceRequest,
  ): Promise<Reply> {
    const key = route.namespace === undefined ? route.name! : `${route.namespace}/${route.name}`
    const object = this.#services.store.get(kind.type, key)
    if (!object) throw notFound(kind.named, route.name ?? '')
    await handler({ object, query, user, signal }, { request: http, response })
    return 'streamed'
  }

  #log({ request, response, user }: Exchange, startedMs: number, error: unknown): void {
    this.#onRequest?.({
      method: request.method ?? '',
      url: (request.url ?? '').slice(0, URL_LOGGED_MAX),
      status: response.statusCode,
      durationMs: this.#clock.monotonic() - startedMs,
      user,
      userAgent: request.headers['user-agent'] ?? '',
      ...(error !== undefined && { error: error instanceof Error ? error.message : String(error) }),
    })
  }
}

/** The query is what is behind the first question mark; a path that no URL could have is refused by the router. */
function openExchange(request: IncomingMessage, response: ServerResponse): Exchange {
  const url = request.url ?? '/'
  const at = url.indexOf('?')
  const path = at < 0 ? url : url.slice(0, at)
  const query = new URLSearchParams(at < 0 ? '' : url.slice(at + 1))
  return { request, response, path, query, warnings: [], user: ANONYMOUS }
}

function routeError(error: 'bad-path' | 'not-found' | 'method') {
  if (error === 'bad-path') return badRequest('the path of the request is not valid')
  return error === 'method' ? methodNotAllowed() : unknownPath()
}

function raise(error: Error): never {
  throw error
}
