import type { IncomingMessage } from 'node:http'
import type { Batch, BatchStatus, GroupVersionResource, Resource } from '@ambient-lab/api'
import { type Clock, CodedError, errorMessage, type Random, systemClock, unseededRandom } from '@ambient-lab/std'
import { type ApiAccess, readKubeconfig } from '../kubeconfig.ts'
import { API_REQUEST_LIMIT_MS } from '../limits.ts'
import { Connection, type RawRequest, type RawResponse, readBody } from './connection.ts'
import { queryText, type ResourceTarget, resourcePath } from './resource-path.ts'
import { statusError } from './status-error.ts'
import { type ResourceList, type WatchEvent, type WatchOptions, watchResources } from './watch.ts'

export interface ApiClientInit {
  /** Told each `Warning:` header's text, as kubectl prints them. */
  readonly onWarning?: (text: string) => void
  /** @default systemClock, unseededRandom() */
  readonly components?: { readonly clock: Clock; readonly random: Random }
}

export interface ListOptions {
  readonly namespace?: string | undefined
  readonly labelSelector?: string | undefined
  readonly fieldSelector?: string | undefined
  readonly signal?: AbortSignal | undefined
}

export interface WriteOptions {
  readonly namespace?: string | undefined
  readonly signal?: AbortSignal | undefined
  /** The server answers as if and stores nothing. */
  readonly dryRun?: boolean | undefined
}

/** metav1.Table: what `get` shows. */
export interface Table {
  readonly columnDefinitions: readonly {
    readonly name: string
    readonly type: string
    /** 0: always shown; else only with `-o wide`. */
    readonly priority: number
  }[]
  readonly rows: readonly {
    readonly cells: readonly unknown[]
    readonly object?: { readonly metadata: Resource['metadata'] }
  }[]
  readonly metadata?: ResourceList['metadata']
}

/** Name under which our writes are recorded as field manager. */
const FIELD_MANAGER = 'ambient'
const TABLE_ACCEPT = 'application/json;as=Table;v=v1;g=meta.k8s.io,application/json'

/**
 * The lab's API from the outside: Kubernetes REST with a client certificate. One client per process; it keeps its
 * connections open until disposed.
 */
export class ApiClient implements Disposable {
  readonly #connection: Connection
  readonly #init: ApiClientInit
  readonly #components: { readonly clock: Clock; readonly random: Random }

  constructor(access: ApiAccess, init: ApiClientInit = {}) {
    this.#connection = new Connection(access)
    this.#init = init
    this.#components = init.components ?? { clock: systemClock, random: unseededRandom() }
  }

  /** @throws CodedError UNAVAILABLE when the file is missing, KUBECONFIG_INVALID */
  static fromKubeconfig(path: string, init: ApiClientInit = {}): ApiClient {
    return new ApiClient(readKubeconfig(path), init)
  }

  get server(): string {
    return this.#connection.server.origin
  }

  /** @throws CodedError NOT_FOUND */
  async get<R extends Resource>(
    type: GroupVersionResource,
    target: ResourceTarget & { signal?: AbortSignal | undefined },
  ): Promise<R> {
    return (await this.raw('GET', resourcePath(type, target), { signal: target.signal })) as R
  }

  /** The object, or undefined when there is none. */
  async find<R extends Resource>(
    type: GroupVersionResource,
    target: ResourceTarget & { signal?: AbortSignal | undefined },
  ): Promise<R | undefined> {
    return orUndefined(this.get<R>(type, target))
  }

  async list<R extends Resource>(type: GroupVersionResource, options: ListOptions = {}): Promise<ResourceList<R>> {
    const { labelSelector, fieldSelector, signal } = options
    const path = resourcePath(type, options) + queryText({ labelSelector, fieldSelector })
    return (await this.raw('GET', path, { signal })) as ResourceList<R>
  }

  /** The server's own rendering of a list, or of one object when `name` is given. */
  async table(type: GroupVersionResource, options: ListOptions & { name?: string | undefined } = {}): Promise<Table> {
    const { labelSelector, fieldSelector, signal } = options
    const path = resourcePath(type, options) + queryText({ labelSelector, fieldSelector })
    return (await this.raw('GET', path, { signal, accept: TABLE_ACCEPT })) as Table
  }

  /** See WatchEvent for the order of things. Ends with the signal, or when the caller stops reading. */
  watch<R extends Resource>(type: GroupVersionResource, options: WatchOptions = {}): AsyncGenerator<WatchEvent<R>> {
    return watchResources<R>({ connection: this.#connection, type, options, components: this.#components })
  }

  /** @throws CodedError ALREADY_EXISTS, INVALID */
  async create<R extends Resource>(type: GroupVersionResource, object: R, options: WriteOptions = {}): Promise<R> {
    const path = resourcePath(type, { namespace: options.namespace ?? object.metadata.namespace }) + writeQuery(options)
    return (await this.raw('POST', path, { body: object, signal: options.signal })) as R
  }

  /** Server-side apply with our field manager, conflicts forced. Tells whether the object is new. */
  async applyPatch<R extends Resource>(
    type: GroupVersionResource,
    object: R,
    options: WriteOptions = {},
  ): Promise<{ object: R; created: boolean }> {
    const target = { namespace: options.namespace ?? object.metadata.namespace, name: object.metadata.name }
    const path = resourcePath(type, target) + writeQuery(options, { force: true })
    const contentType = 'application/apply-patch+yaml'
    const response = await this.#exchange({
      method: 'PATCH',
      path,
      body: JSON.stringify(object),
      contentType,
      signal: options.signal,
    })
    return { object: parseBody(response.body) as R, created: response.status === 201 }
  }

  /**
   * Server-side apply of several objects in one transaction: all, or none when one is refused.
   * @returns what became of each, in their order; of a refused batch the refusals alone
   */
  async applyBatch(
    objects: readonly Resource[],
    options: Omit<WriteOptions, 'namespace'> = {},
  ): Promise<BatchStatus['results']> {
    const body = { apiVersion: 'ambient.lab/v1', kind: 'Batch', spec: { objects } }
    const path = `/apis/ambient.lab/v1/batches${writeQuery(options)}`
    const { status } = (await this.raw('POST', path, { body, signal: options.signal })) as Batch
    const { results } = status!
    if (this.#init.onWarning) {
      const warnings = results.flatMap((result) => (result.outcome === 'refused' ? [] : (result.warnings ?? [])))
      for (const warning of new Set(warnings)) this.#init.onWarning(warning)
    }
    return results
  }

  /** Replaces the whole object; its resourceVersion, when given, must still be the current one. */
  async replace<R extends Resource>(type: GroupVersionResource, object: R, options: WriteOptions = {}): Promise<R> {
    const target = { namespace: options.namespace ?? object.metadata.namespace, name: object.metadata.name }
    const path = resourcePath(type, target) + writeQuery(options)
    return (await this.raw('PUT', path, { body: object, signal: options.signal })) as R
  }

  /** JSON merge patch (RFC 7396): null removes a field. */
  async mergePatch<R extends Resource>(
    type: GroupVersionResource,
    target: ResourceTarget,
    patch: unknown,
    options: Omit<WriteOptions, 'namespace'> = {},
  ): Promise<R> {
    const path = resourcePath(type, target) + writeQuery(options)
    return (await this.raw('PATCH', path, {
      body: patch,
      contentType: 'application/merge-patch+json',
      signal: options.signal,
    })) as R
  }

  /** @throws CodedError NOT_FOUND */
  async delete(
    type: GroupVersionResource,
    target: ResourceTarget,
    options: Omit<WriteOptions, 'namespace'> = {},
  ): Promise<void> {
    await this.raw('DELETE', resourcePath(type, target) + writeQuery(options), { signal: options.signal })
  }

  /** The parsed JSON of any path. @throws CodedError as every refusal */
  async raw(
    method: string,
    path: string,
    options: { body?: unknown; contentType?: string; accept?: string; signal?: AbortSignal | undefined } = {},
  ): Promise<unknown> {
    const { body, ...rest } = options
    const response = await this.#exchange({
      method,
      path,
      ...rest,
      body: body === undefined ? undefined : JSON.stringify(body),
    })
    return parseBody(response.body)
  }

  /** The text of any path: logs, metrics. */
  async text(path: string, options: { signal?: AbortSignal | undefined } = {}): Promise<string> {
    return (await this.#exchange({ method: 'GET', path, accept: '*/*', ...options })).body
  }

  /** An answer that is read as it comes. @throws CodedError as every refusal */
  async stream(path: string, options: { signal?: AbortSignal | undefined } = {}): Promise<IncomingMessage> {
    const response = await this.#connection.stream({ method: 'GET', path, accept: '*/*', ...options })
    const status = response.statusCode ?? 0
    if (status >= 400) throw statusError(status, await readBody(response, options.signal))
    return response
  }

  [Symbol.dispose](): void {
    this.#connection[Symbol.dispose]()
  }

  async #exchange(init: RawRequest): Promise<RawResponse> {
    const { clock } = this.#components
    const late = new CodedError('TIMEOUT', `${this.server} did not answer within ${API_REQUEST_LIMIT_MS / 1000}s`, {
      origin: 'upstream',
      retry: 'yes',
      next: 'ambient check',
    })
    const response = await this.#connection.exchange(init, (exchange) => {
      const controller = new AbortController()
      const cancel = clock.schedule(API_REQUEST_LIMIT_MS, () => controller.abort(late), { background: true })
      const signal = init.signal ? AbortSignal.any([init.signal, controller.signal]) : controller.signal
      return exchange(signal).finally(cancel)
    })
    this.#warn(response)
    if (response.status >= 400) throw statusError(response.status, response.body)
    return response
  }

  /** `299 - "text"`, several in one header separated by commas (RFC 7234 §5.5, as Kubernetes uses it). */
  #warn(response: RawResponse): void {
    const header = response.headers.warning
    if (header === undefined || !this.#init.onWarning) return
    for (const [, text] of String(header).matchAll(/299 \S+ "((?:[^"\\]|\\.)*)"/g)) {
      this.#init.onWarning(text!.replace(/\\(.)/g, '$1'))
    }
  }
}

/** Awaits a read of one object; undefined where the API has none. */
export async function orUndefined<T>(read: Promise<T>): Promise<T | undefined> {
  try {
    return await read
  } catch (error) {
    if (CodedError.is(error, 'NOT_FOUND')) return undefined
    throw error
  }
}

function writeQuery(options: Pick<WriteOptions, 'dryRun'>, extra: Record<string, boolean> = {}): string {
  return queryText({ fieldManager: FIELD_MANAGER, dryRun: options.dryRun ? 'All' : undefined, ...extra })
}

function parseBody(body: string): unknown {
  if (body === '') return undefined
  try {
    return JSON.parse(body)
  } catch (error) {
    throw new CodedError('API_PROTOCOL', `the API answered no JSON: ${errorMessage(error)}`, {
      origin: 'upstream',
      cause: error,
    })
  }
}
