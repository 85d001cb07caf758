import type { AppRequest } from '../hosting/workload.ts'
import { canonicalHeader } from './echo.ts'

export type Values = Record<string, string[]>

export interface Described {
  readonly args: Values
  readonly headers: Values
  readonly method: string
  readonly origin: string
  readonly url: string
}

/** A request as httpbin tells it back. Keys are sorted, as Go prints its maps. */
export function describe(request: AppRequest): Described {
  return {
    args: argumentsOf(request),
    headers: headersOf(request),
    method: request.method,
    origin: originOf(request),
    url: urlOf(request),
  }
}

export async function describeWithBody(request: AppRequest): Promise<Described & Record<string, unknown>> {
  const body = await request.body()
  return { ...describe(request), data: '', files: {}, form: {}, json: null, ...parseBody(body, request) }
}

function parseBody(body: Buffer, request: AppRequest): Record<string, unknown> {
  if (body.length === 0) return {}
  const contentType = request.headers['content-type'] ?? ''
  const [type = ''] = contentType.split(';')
  if (type === 'application/x-www-form-urlencoded') return { form: collect(new URLSearchParams(body.toString('utf8'))) }
  if (type === 'application/json') {
    const data = body.toString('utf8')
    try {
      return { data, json: JSON.parse(data) }
    } catch {
      return { data }
    }
  }
  if (type === 'text/html' || type === 'text/plain') return { data: body.toString('utf8') }
  return { data: `data:${type || 'application/octet-stream'};base64,${body.toString('base64')}` }
}

export function argumentsOf(request: AppRequest): Values {
  return collect(request.query)
}

export function headersOf(request: AppRequest): Values {
  const headers: Values = {}
  for (let index = 0; index < request.rawHeaders.length; index += 2) {
    const name = canonicalHeader(request.rawHeaders[index]!)
    headers[name] ??= []
    headers[name].push(request.rawHeaders[index + 1]!)
  }
  return sorted(headers)
}

/** The caller: the mesh delivers from loopback, so a proxy's word counts for more than the socket's. */
export function originOf(request: AppRequest): string {
  const forwarded = request.headers['x-forwarded-for']
  const first = (Array.isArray(forwarded) ? forwarded[0] : forwarded)?.split(',')[0]
  return first?.trim() || request.remoteAddress
}

export function urlOf(request: AppRequest): string {
  const scheme = request.headers['x-forwarded-proto'] === 'https' ? 'https' : 'http'
  return `${scheme}://${request.headers.host ?? 'localhost'}${request.target}`
}

function collect(pairs: Iterable<readonly [string, string]>): Values {
  const values: Values = {}
  for (const [name, value] of pairs) {
    values[name] ??= []
    values[name].push(value)
  }
  return sorted(values)
}

function sorted(values: Values): Values {
  return Object.fromEntries(Object.entries(values).sort(([a], [b]) => (a < b ? -1 : 1)))
}
