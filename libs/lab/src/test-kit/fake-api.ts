import { writeFileSync } from 'node:fs'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer, type Server } from 'node:https'
import type { AddressInfo } from 'node:net'
import { type Batch, type BatchResult, findKind, parseApiVersion, type Resource } from '@ambient-lab/api'
import { resourcePath } from '../client/resource-path.ts'
import type { ApiAccess } from '../kubeconfig.ts'

/** PEM texts of both sides of mutual TLS. */
export interface FakeApiTls {
  readonly ca: string
  readonly server: { readonly cert: string; readonly key: string }
  readonly client: { readonly cert: string; readonly key: string }
}

interface Change {
  readonly revision: number
  readonly path: string
  readonly event: { readonly type: string; readonly object: Resource }
}

interface Reply {
  readonly status: number
  readonly body: unknown
}

/**
 * As much of Kubernetes REST as a client notices: CRUD and watch with revisions, 409 and 410, over mutual TLS. Objects
 * are kept by their path, so it serves any type. Tests reach in: `refuse`, `forgetHistory`, `cutWatches`.
 */
export class FakeApi implements AsyncDisposable {
  readonly objects = new Map<string, Resource>()
  /** `METHOD path` of every request, in order. */
  readonly requests: string[] = []
  /** Answers instead of the store where it returns something. */
  refuse: (method: string, path: string, body: Resource | undefined) => Reply | undefined = () => undefined
  readonly #tls: FakeApiTls
  readonly #server: Server
  readonly #watches = new Set<{ readonly path: string; readonly response: ServerResponse }>()
  #changes: Change[] = []
  #revision = 100

  constructor(tls: FakeApiTls) {
    this.#tls = tls
    this.#server = createServer(
      { ...tls.server, ca: tls.ca, requestCert: true, rejectUnauthorized: true },
      (request, response) => {
        void this.#serve(request, response)
      },
    )
  }

  async listen(port = 0): Promise<void> {
    await new Promise<void>((resolve) => this.#server.listen(port, '127.0.0.1', resolve))
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  get access(): ApiAccess {
    return { server: `https://127.0.0.1:${this.port}`, ca: this.#tls.ca, ...this.#tls.client }
  }

  writeKubeconfig(path: string): void {
    const base64 = (text: string) => Buffer.from(text).toString('base64')
    const { server, ca, cert, key } = this.access
    const cluster = { server, 'certificate-authority-data': base64(ca) }
    const user = { 'client-certificate-data': base64(cert), 'client-key-data': base64(key) }
    const config = { clusters: [{ name: 'lab', cluster }], users: [{ name: 'admin', user }] }
    writeFileSync(path, JSON.stringify(config, null, 2), { mode: 0o600 })
  }

  /** Writes from inside, as a controller would. */
  put(path: string, object: Omit<Resource, 'metadata'> & { metadata: Partial<Resource['metadata']> }): void {
    this.#store(path, object as Resource)
  }

  remove(path: string): void {
    const object = this.objects.get(path)
    if (!object) return
    this.objects.delete(path)
    this.#revision += 1
    this.#announce(path, 'DELETED', withRevision(object, this.#revision))
  }

  /** Ends every watch without a word, as a network does. */
  cutWatches(): void {
    for (const { response } of this.#watches) response.destroy()
  }

  /** From now on older revisions are answered with 410. */
  forgetHistory(): void {
    this.#changes = []
  }

  get watchCount(): number {
    return this.#watches.size
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise((resolve) => this.#server.close(resolve))
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url!, 'https://api')
    const method = request.method!
    const chunks: Buffer[] = []
    for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk)
    const body = chunks.length > 0 ? (JSON.parse(Buffer.concat(chunks).toString()) as Resource) : undefined
    this.requests.push(`${method} ${url.pathname}`)
    if (url.searchParams.has('watch')) return this.#watch(url, response)
    if (url.pathname.endsWith('/batches')) {
      response.writeHead(201).end(JSON.stringify(this.#batch(url, body as Batch)))
      return
    }
    const { status, body: answer } = this.refuse(method, url.pathname, body) ?? this.#answer(method, url, body)
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(answer))
  }

  #answer(method: string, url: URL, body: Resource | undefined): Reply {
    const path = url.pathname
    const dryRun = url.searchParams.get('dryRun') === 'All'
    const object = this.objects.get(path)
    if (method === 'POST') return this.#create(`${path}/${body!.metadata.name}`, body!)
    if (method === 'PATCH' && url.searchParams.has('force')) return this.#apply(path, body!, dryRun)
    if (!object)
      return method === 'GET' && isCollection(path) ? this.#list(path) : failure(404, 'NotFound', `${path} not found`)
    if (method === 'GET') return { status: 200, body: object }
    if (method === 'DELETE') {
      this.remove(path)
      return { status: 200, body: { kind: 'Status', status: 'Success' } }
    }
    return { status: 200, body: this.#store(path, method === 'PUT' ? body! : merge(object, body!)) }
  }

  #create(path: string, body: Resource): Reply {
    if (this.objects.has(path)) return failure(409, 'AlreadyExists', `${body.metadata.name} already exists`)
    return { status: 201, body: this.#store(path, body) }
  }

  /** Each object is a PATCH of its own to `refuse` and in `requests`. */
  #batch(url: URL, batch: Batch): Batch {
    const before = new Map(this.objects)
    const results = batch.spec!.objects.map((object, index): BatchResult & { index: number } => {
      const definition = findKind(object)!
      const type = { ...parseApiVersion(object.apiVersion), resource: definition.plural }
      const path = resourcePath(type, { name: object.metadata.name, namespace: object.metadata.namespace })
      this.requests.push(`PATCH ${path}`)
      const refused = this.refuse('PATCH', path, object)
      if (refused) return { index, outcome: 'refused', refusal: { code: refused.status, ...(refused.body as object) } }
      const previous = this.objects.get(path)
      const { body } = this.#apply(path, object, false)
      const outcome = !previous ? 'created' : body === previous ? 'unchanged' : 'changed'
      return { index, outcome, object: body as Resource, ...(outcome === 'changed' && { previous: previous! }) }
    })
    const refused = results.filter(({ outcome }) => outcome === 'refused')
    if (refused.length > 0 || url.searchParams.get('dryRun') === 'All') {
      this.objects.clear()
      for (const [path, object] of before) this.objects.set(path, object)
    }
    return { ...batch, status: { results: refused.length > 0 ? refused : results } }
  }

  #apply(path: string, body: Resource, dryRun: boolean): Reply {
    const object = this.objects.get(path)
    const next = merge(object ?? body, body)
    if (object && JSON.stringify(next) === JSON.stringify(object)) return { status: 200, body: object }
    const status = object ? 200 : 201
    return { status, body: dryRun ? next : this.#store(path, next) }
  }

  #list(path: string): Reply {
    const items = [...this.objects].filter(([key]) => key.startsWith(`${path}/`)).map(([, object]) => object)
    return { status: 200, body: { kind: 'List', metadata: { resourceVersion: String(this.#revision) }, items } }
  }

  #watch(url: URL, response: ServerResponse): void {
    const after = Number(url.searchParams.get('resourceVersion'))
    if (after < this.#revision && !this.#changes.some(({ revision }) => revision === after + 1)) {
      const { body } = failure(410, 'Expired', 'too old resource version')
      response.writeHead(200).end(`${JSON.stringify({ type: 'ERROR', object: body })}\n`)
      return
    }
    response.writeHead(200, { 'content-type': 'application/json' }).flushHeaders()
    const watch = { path: url.pathname, response }
    for (const change of this.#changes) if (change.revision > after) deliver(watch, change)
    this.#watches.add(watch)
    response.on('close', () => this.#watches.delete(watch))
  }

  #store(path: string, object: Resource): Resource {
    this.#revision += 1
    const stored = withRevision(object, this.#revision)
    const type = this.objects.has(path) ? 'MODIFIED' : 'ADDED'
    this.objects.set(path, stored)
    this.#announce(path, type, stored)
    return stored
  }

  #announce(path: string, type: string, object: Resource): void {
    const change = { revision: this.#revision, path, event: { type, object } }
    this.#changes.push(change)
    for (const watch of this.#watches) deliver(watch, change)
  }
}

function deliver({ path, response }: { path: string; response: ServerResponse }, change: Change): void {
  if (change.path.startsWith(`${path}/`)) response.write(`${JSON.stringify(change.event)}\n`)
}

function withRevision(object: Resource, revision: number): Resource {
  return { ...object, metadata: { ...object.metadata, resourceVersion: String(revision) } }
}

function failure(code: number, reason: string, message: string): Reply {
  return { status: code, body: { kind: 'Status', status: 'Failure', code, reason, message } }
}

/** A plural at the end and not a name: even places in `/api/v1/pods` and `/api/v1/namespaces/x/pods`. */
function isCollection(path: string): boolean {
  const parts = path.split('/').slice(path.startsWith('/api/') ? 3 : 4)
  return parts.length % 2 === 1
}

function merge<T>(target: T, patch: unknown): T {
  if (typeof patch !== 'object' || patch === null || Array.isArray(patch)) return patch as T
  const merged = new Map(Object.entries((target ?? {}) as Record<string, unknown>))
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) merged.delete(key)
    else merged.set(key, merge(merged.get(key), value))
  }
  return Object.fromEntries(merged) as T
}
