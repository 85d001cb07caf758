import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { CodedError, errorCode, errorMessage } from '@ambient-lab/std'
import {
  ADMIN_HEADER_BYTES_MAX,
  PROFILE_FREQUENCY_HZ_DEFAULT,
  PROFILE_FREQUENCY_HZ_MAX,
  PROFILE_SECONDS_DEFAULT,
  PROFILE_SECONDS_MAX,
} from './limits.ts'
import type { Profiles } from './profiles.ts'

/** What the admin servers show and turn; everything is asked for at the time of the request. */
export interface AdminSource {
  readonly title: string
  configDump(): unknown
  certificates(): unknown
  connections(): unknown
  /** Prometheus text. */
  metrics(): string
  /** What the agent still waits for before it counts as ready. */
  pending(): readonly string[]
  readonly logLevel: {
    current(): string
    /** @returns whether the text names levels */
    set(text: string): boolean
    reset(): void
  }
  readonly profiles: Pick<Profiles, 'cpu' | 'heap'>
  quit(): void
}

export interface AdminPorts {
  readonly admin: number
  readonly metrics: number
  readonly ready: number
}

interface Page {
  readonly status: number
  readonly type: string
  readonly body: string
}

type Handler = (request: { readonly method: string; readonly url: URL }) => Page | Promise<Page>

/**
 * The three HTTP servers of a ztunnel, on loopback and on whatever ports are free: 15000 (admin), 15020 (metrics),
 * 15021 (readiness).
 */
export class AdminServers implements AsyncDisposable {
  readonly ports: AdminPorts
  readonly #servers: readonly Server[]

  private constructor(ports: AdminPorts, servers: readonly Server[]) {
    this.ports = ports
    this.#servers = servers
  }

  /** @throws CodedError ADDRESS_IN_USE */
  static async listen(
    source: AdminSource,
    init: { readonly host: string; readonly ports: AdminPorts },
  ): Promise<AdminServers> {
    const servers: Server[] = []
    const open = async (handler: Handler, port: number) => {
      const server = createServer(
        { maxHeaderSize: ADMIN_HEADER_BYTES_MAX },
        (request, response) => void serve(handler, request, response),
      )
      servers.push(server)
      await listen(server, init.host, port)
      return (server.address() as AddressInfo).port
    }
    try {
      const [admin, metrics, ready] = await Promise.all([
        open(adminHandler(source), init.ports.admin),
        open(metricsHandler(source), init.ports.metrics),
        open(readyHandler(source), init.ports.ready),
      ])
      return new AdminServers({ admin, metrics, ready }, servers)
    } catch (error) {
      await Promise.all(servers.map(close))
      throw error
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#servers.map(close))
  }
}

function adminHandler(source: AdminSource): Handler {
  return ({ method, url }) => {
    switch (url.pathname) {
      case '/':
        return only('GET', method, () => html(dashboard(source)))
      case '/config_dump':
        return only('GET', method, () => json(source.configDump()))
      case '/certs':
        return only('GET', method, () => json(source.certificates()))
      case '/connections':
        return only('GET', method, () => json(source.connections()))
      case '/logging':
        return logging(source, method, url.searchParams)
      case '/debug/pprof/profile':
        return only('GET', method, () => cpuProfile(source, url.searchParams))
      case '/debug/pprof/heap':
        return only('GET', method, () => heapProfile(source, url.searchParams))
      case '/quitquitquit':
        return only('POST', method, () => {
          source.quit()
          return text(200, 'shutdown now\n')
        })
      default:
        return text(404, 'not found\n')
    }
  }
}

function metricsHandler(source: AdminSource): Handler {
  return ({ method, url }) => {
    if (url.pathname !== '/metrics' && url.pathname !== '/stats/prometheus') return text(404, 'not found\n')
    return only('GET', method, () => ({
      status: 200,
      type: 'text/plain; version=0.0.4; charset=utf-8',
      body: source.metrics(),
    }))
  }
}

function readyHandler(source: AdminSource): Handler {
  return ({ method, url }) => {
    if (url.pathname !== '/healthz/ready') return text(404, 'not found\n')
    if (method !== 'GET') return text(405, 'Method Not Allowed\n')
    const pending = source.pending()
    return pending.length === 0 ? text(200, 'ready\n') : text(500, `not ready, pending: ${pending.join(', ')}\n`)
  }
}

const LOGGING_USAGE = [
  'usage: POST /logging                                  tells the levels',
  'usage: POST /logging?level=<level>                    sets the level of everything',
  'usage: POST /logging?level=<scope>:<level>,<level>    sets some scopes apart',
  'usage: POST /logging?reset                            back to the levels of the start',
  'levels: error, warn, info, debug, trace, off',
  '',
].join('\n')

function logging({ logLevel }: AdminSource, method: string, query: URLSearchParams): Page {
  if (method !== 'POST') return text(405, `Invalid HTTP method\n${LOGGING_USAGE}`)
  const level = query.get('level')
  if (query.has('reset')) logLevel.reset()
  if (level !== null && level !== '' && !logLevel.set(level)) {
    return text(400, `Invalid level provided: ${level}\n${LOGGING_USAGE}`)
  }
  return text(200, `current log level is ${logLevel.current()}\n`)
}

/** @returns undefined for no whole number from 1 to `max` */
function count(query: URLSearchParams, name: string, preset: number, max: number): number | undefined {
  const value = Number(query.get(name) ?? preset)
  return Number.isInteger(value) && value >= 1 && value <= max ? value : undefined
}

async function cpuProfile({ profiles }: AdminSource, query: URLSearchParams): Promise<Page> {
  const seconds = count(query, 'seconds', PROFILE_SECONDS_DEFAULT, PROFILE_SECONDS_MAX)
  const frequencyHz = count(query, 'frequency', PROFILE_FREQUENCY_HZ_DEFAULT, PROFILE_FREQUENCY_HZ_MAX)
  if (seconds === undefined) return text(400, `seconds is no whole number from 1 to ${PROFILE_SECONDS_MAX}\n`)
  if (frequencyHz === undefined)
    return text(400, `frequency is no whole number from 1 to ${PROFILE_FREQUENCY_HZ_MAX}\n`)
  return profile(() => profiles.cpu({ seconds, frequencyHz }))
}

async function heapProfile({ profiles }: AdminSource, query: URLSearchParams): Promise<Page> {
  const seconds = count(query, 'seconds', PROFILE_SECONDS_DEFAULT, PROFILE_SECONDS_MAX)
  if (seconds === undefined) return text(400, `seconds is no whole number from 1 to ${PROFILE_SECONDS_MAX}\n`)
  return profile(() => profiles.heap({ seconds }))
}

async function profile(take: () => Promise<string>): Promise<Page> {
  try {
    return { status: 200, type: 'application/json', body: await take() }
  } catch (error) {
    if (CodedError.is(error, 'PROFILE_BUSY')) return text(503, `${error.message}\n`)
    throw error
  }
}

const PAGES: readonly (readonly [path: string, what: string])[] = [
  ['/config_dump', 'workloads, services, policies, certificates, connections and settings as JSON'],
  ['/certs', 'certificates of the identities on this node'],
  ['/connections', 'live connections, and those that ended lately'],
  ['/debug/pprof/profile?seconds=10', 'where time goes: a .cpuprofile for the DevTools of a browser'],
  ['/debug/pprof/heap?seconds=10', 'who allocates what stays: a .heapprofile for the same'],
]

function dashboard({ title }: AdminSource): string {
  const rows = PAGES.map(([path, what]) => `<li><a href="${path}"><code>${path}</code></a> ${what}</li>`).join('\n')
  const head = `<meta charset="utf-8"><title>${title}</title><style>body{font:16px/1.5 system-ui;margin:2rem}</style>`
  return `<!doctype html>\n<html lang="en"><head>${head}</head><body><h1>${title}</h1>\n<ul>\n${rows}\n<li>POST <code>/logging?level=debug</code></li>\n<li>POST <code>/quitquitquit</code></li>\n</ul></body></html>\n`
}

function only(wanted: string, method: string, page: () => Page | Promise<Page>): Page | Promise<Page> {
  // HEAD is GET without the body, which node:http leaves out by itself.
  return method === wanted || (wanted === 'GET' && method === 'HEAD') ? page() : text(405, 'Method Not Allowed\n')
}

function json(value: unknown): Page {
  return { status: 200, type: 'application/json', body: `${JSON.stringify(value, null, 2)}\n` }
}

function html(body: string): Page {
  return { status: 200, type: 'text/html; charset=utf-8', body }
}

function text(status: number, body: string): Page {
  return { status, type: 'text/plain; charset=utf-8', body }
}

async function serve(handler: Handler, request: IncomingMessage, response: ServerResponse): Promise<void> {
  let page: Page
  const target = request.url ?? '/'
  try {
    page = URL.canParse(target, 'http://localhost')
      ? await handler({ method: request.method ?? 'GET', url: new URL(target, 'http://localhost') })
      : text(400, 'Bad Request\n')
  } catch (error) {
    page = text(500, `${errorMessage(error)}\n`)
  }
  request.resume()
  response.writeHead(page.status, { 'content-type': page.type, 'content-length': Buffer.byteLength(page.body) })
  response.end(page.body)
}

function listen(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error) => {
      if (errorCode(error) !== 'EADDRINUSE') return reject(error)
      reject(new CodedError('ADDRESS_IN_USE', `${host}:${port} is taken`, { cause: error, where: `${host}:${port}` }))
    })
    server.listen(port, host, resolve)
  })
}

function close(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve())
    server.closeAllConnections()
  })
}
