import type { IncomingMessage, OutgoingHttpHeaders } from 'node:http'
import { Agent, request as httpsRequest } from 'node:https'
import { KINDS, type Resource } from '@ambient-lab/api'
import { CertificateAuthority } from '@ambient-lab/pki'
import { type Clock, SeededRandom, systemClock } from '@ambient-lab/std'
import { eventually } from '@ambient-lab/testing'
import { MemoryStore } from '../store/memory-store.ts'
import type { Store } from '../store/store.ts'
import { ApiServer, type ApiServerAddress } from './api-server.ts'
import type { ApiServerHooks } from './hooks.ts'
import type { RequestLogEntry } from './request-log.ts'

/** One authority for all tests of a file: making keys is slow. */
const authority = CertificateAuthority.create({ clock: systemClock })

export interface ClientCertificate {
  readonly certPem: string
  readonly keyPem: string
}

export function clientCertificate(commonName: string, ...organizations: string[]): ClientCertificate {
  const { chainPem, keyPem } = authority.issueClient({ commonName, organizations })
  return { certPem: chainPem.join(''), keyPem }
}

export const ADMIN = clientCertificate('ambient-admin', 'system:masters')
export const NODE = clientCertificate('system:node:n1', 'system:nodes')
export const ROOT_PEM = authority.rootsPem.join('')

/** A client certificate of an authority that the server does not know. */
export function strangerCertificate(): ClientCertificate {
  const other = CertificateAuthority.create({ clock: systemClock })
  const { chainPem, keyPem } = other.issueClient({ commonName: 'ambient-admin', organizations: ['system:masters'] })
  return { certPem: chainPem.join(''), keyPem }
}

/** A workload's SVID: of our own root, but with an empty subject. */
export function workloadCertificate(): ClientCertificate {
  const { chainPem, keyPem } = authority.issueClient({ organizations: [] })
  return { certPem: chainPem.join(''), keyPem }
}

export interface Answer {
  readonly status: number
  readonly headers: IncomingMessage['headers']
  readonly text: string
  /** The body as JSON. */
  // biome-ignore lint/suspicious/noExplicitAny: tests look into answers of every shape
  readonly body: any
}

export interface CallOptions {
  readonly body?: unknown
  readonly headers?: OutgoingHttpHeaders
}

/** A server on a free port with a store of its own, and one client for each caller. */
export class TestApiServer implements AsyncDisposable {
  readonly store: Store
  readonly server: ApiServer
  readonly address: ApiServerAddress
  readonly log: RequestLogEntry[]
  readonly #agents: Agent[] = []

  private constructor(store: Store, server: ApiServer, address: ApiServerAddress, log: RequestLogEntry[]) {
    this.store = store
    this.server = server
    this.address = address
    this.log = log
  }

  static async start(
    options: { hooks?: ApiServerHooks; store?: Store; clock?: Clock; port?: number } = {},
  ): Promise<TestApiServer> {
    const { hooks = {}, store = new MemoryStore(), clock = systemClock, port = 0 } = options
    const { chainPem, keyPem } = authority.issueServer({ commonName: 'api', ipAddresses: ['127.0.0.1'] })
    const log: RequestLogEntry[] = []
    const tls = { certificateChainPem: chainPem.join(''), privateKeyPem: keyPem, clientCaPem: ROOT_PEM }
    const server = new ApiServer({
      init: { tls, version: '0.0.0-test', port },
      components: {
        store,
        clock,
        random: new SeededRandom(1),
        kinds: KINDS,
        onRequest: (entry) => log.push(entry),
      },
      hooks,
    })
    const address = await server.listen()
    const test = new TestApiServer(store, server, address, log)
    await test.seed({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'default' } })
    return test
  }

  /** Puts a Namespace in, past the API. */
  async seed(namespace: Resource): Promise<void> {
    await this.store.write('/namespaces', namespace.metadata.name, () => namespace)
  }

  client(certificate: ClientCertificate | undefined): TestClient {
    const agent = new Agent({
      ca: ROOT_PEM,
      ...(certificate && { cert: certificate.certPem, key: certificate.keyPem }),
      keepAlive: true,
    })
    this.#agents.push(agent)
    return new TestClient(this.address, agent)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const agent of this.#agents) agent.destroy()
    await this.server[Symbol.asyncDispose]()
    await this.store[Symbol.asyncDispose]()
  }
}

export class TestClient {
  readonly #address: ApiServerAddress
  readonly #agent: Agent

  constructor(address: ApiServerAddress, agent: Agent) {
    this.#address = address
    this.#agent = agent
  }

  get(path: string, headers: OutgoingHttpHeaders = {}): Promise<Answer> {
    return this.call('GET', path, { headers })
  }

  post(path: string, body: unknown): Promise<Answer> {
    return this.call('POST', path, { body })
  }

  put(path: string, body: unknown): Promise<Answer> {
    return this.call('PUT', path, { body })
  }

  patch(path: string, body: unknown, type: 'json' | 'merge' | 'strategic-merge' | 'apply'): Promise<Answer> {
    const contentType = type === 'apply' ? 'application/apply-patch+yaml' : `application/${type}-patch+json`
    return this.call('PATCH', path, { body, headers: { 'Content-Type': contentType } })
  }

  delete(path: string, body?: unknown): Promise<Answer> {
    return this.call('DELETE', path, { body })
  }

  async call(method: string, path: string, { body, headers = {} }: CallOptions = {}): Promise<Answer> {
    const response = await this.open(method, path, { body, headers })
    let text = ''
    for await (const chunk of response.setEncoding('utf8')) text += chunk
    const isJson = response.headers['content-type']?.startsWith('application/json')
    return {
      status: response.statusCode ?? 0,
      headers: response.headers,
      text,
      body: isJson && text !== '' ? JSON.parse(text) : undefined,
    }
  }

  /** The answer as it streams. A body that is text is sent as it is, anything else as JSON. */
  open(method: string, path: string, { body, headers = {} }: CallOptions = {}): Promise<IncomingMessage> {
    const text = body === undefined ? undefined : typeof body === 'string' ? body : JSON.stringify(body)
    return new Promise((resolve, reject) => {
      const request = httpsRequest({
        host: this.#address.host,
        port: this.#address.port,
        agent: this.#agent,
        method,
        path,
        headers: { ...(text !== undefined && entityHeaders(text, headers)), ...headers },
      })
      request.once('response', resolve).once('error', reject)
      request.end(text)
    })
  }

  async watch(path: string, headers: OutgoingHttpHeaders = {}): Promise<TestWatch> {
    const response = await this.open('GET', path, { headers })
    return new TestWatch(response)
  }
}

export interface WatchEvent {
  readonly type: string
  // biome-ignore lint/suspicious/noExplicitAny: tests look into answers of every shape
  readonly object: any
}

/** Collects the events of one watch as they come. */
export class TestWatch {
  readonly events: WatchEvent[] = []
  readonly response: IncomingMessage
  ended = false
  #rest = ''

  constructor(response: IncomingMessage) {
    this.response = response
    response.setEncoding('utf8')
    response.on('data', (chunk: string) => this.#read(chunk))
    response.once('close', () => {
      this.ended = true
    })
    response.on('error', () => {})
  }

  /** `ADDED a`, `BOOKMARK` … */
  get summary(): string[] {
    return this.events.map(({ type, object }) => `${type} ${object.metadata?.name ?? object.code ?? ''}`.trim())
  }

  close(): void {
    this.response.destroy()
  }

  #read(chunk: string): void {
    const lines = (this.#rest + chunk).split('\n')
    this.#rest = lines.pop()!
    for (const line of lines) this.events.push(JSON.parse(line))
  }
}

export const PODS = '/api/v1/namespaces/default/pods'
export const DEPLOYMENTS = '/apis/apps/v1/namespaces/default/deployments'
export const CONFIG_MAPS = '/api/v1/namespaces/default/configmaps'

export function podBody(name: string, labels: Record<string, string> = {}): Resource {
  const spec = { containers: [{ name: 'main', image: 'curl' }] }
  return { apiVersion: 'v1', kind: 'Pod', metadata: { name, labels }, spec }
}

export function configMapBody(name: string, data: Record<string, string> = {}): Resource {
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name }, data }
}

export function deploymentBody(name: string, replicas = 1): Resource {
  const labels = { app: name }
  const template = { metadata: { labels }, spec: { containers: [{ name: 'main', image: 'reviews' }] } }
  const spec = { replicas, selector: { matchLabels: labels }, template }
  return { apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name }, spec }
}

/** Node sends no length with a DELETE unless it is told to. */
function entityHeaders(text: string, given: OutgoingHttpHeaders): OutgoingHttpHeaders {
  const length = 'Transfer-Encoding' in given ? {} : { 'Content-Length': Buffer.byteLength(text) }
  return { 'Content-Type': 'application/json', ...length }
}

/** Waits for something that the server or the network does by itself. */
export async function until(condition: () => boolean): Promise<void> {
  await eventually(condition, { intervalMs: 1 })
}
