import { randomUUID } from 'node:crypto'
import { STATUS_CODES } from 'node:http'
import { parseDuration, sleep } from '@ambient-lab/std'
import type { AppReply, AppRequest, WorkloadContext } from '../hosting/workload.ts'
import { argumentsOf, describe, describeWithBody, headersOf, originOf, urlOf } from './_httpbin-request.ts'
import { SAMPLE_HTML, SAMPLE_JSON } from './_httpbin-samples.ts'

export type HttpbinContext = Pick<WorkloadContext, 'clock' | 'random' | 'env' | 'pod'>

interface Route {
  readonly pattern: RegExp
  /** Absent: any. */
  readonly methods?: readonly string[]
  answer(request: AppRequest, parameters: readonly string[], context: HttpbinContext): AppReply | Promise<AppReply>
}

const GET = ['GET', 'HEAD']
const BYTES_MAX = 100 * 1024
const STREAM_LINES_MAX = 100
const DELAY_MAX_MS = 10_000

export function reply(status: number, value: unknown, headers: Readonly<Record<string, string>> = {}): AppReply {
  return {
    status,
    headers: { 'content-type': 'application/json; charset=utf-8', ...headers },
    body: `${JSON.stringify(value, null, 2)}\n`,
  }
}

export function failure(status: number, detail?: string): AppReply {
  return reply(status, { status_code: status, error: STATUS_CODES[status] ?? '', ...(detail ? { detail } : {}) })
}

/** First match wins. */
export const HTTPBIN_ROUTES: readonly Route[] = [
  { pattern: /^\/$/, methods: GET, answer: () => html('<h1>httpbin</h1><p>A lab’s stand-in for go-httpbin.</p>') },
  { pattern: /^\/get$/, methods: GET, answer: (request) => reply(200, describe(request)) },
  { pattern: /^\/head$/, methods: ['HEAD'], answer: (request) => reply(200, describe(request)) },
  ...['post', 'put', 'patch', 'delete'].map((verb) => ({
    pattern: new RegExp(`^/${verb}$`),
    methods: [verb.toUpperCase()],
    answer: withBody,
  })),
  { pattern: /^\/anything(?:\/.*)?$/, answer: withBody },
  { pattern: /^\/headers$/, methods: GET, answer: (request) => reply(200, { headers: headersOf(request) }) },
  { pattern: /^\/ip$/, methods: GET, answer: (request) => reply(200, { origin: originOf(request) }) },
  {
    pattern: /^\/user-agent$/,
    methods: GET,
    answer: (request) => reply(200, { 'user-agent': request.headers['user-agent'] ?? '' }),
  },
  { pattern: /^\/uuid$/, methods: GET, answer: () => reply(200, { uuid: randomUUID() }) },
  { pattern: /^\/hostname$/, methods: GET, answer: (_, __, { pod }) => reply(200, { hostname: pod.name }) },
  { pattern: /^\/status\/(.+)$/, answer: (_, [codes], { random }) => status(codes!, random.next()) },
  { pattern: /^\/delay\/(.+)$/, answer: delay },
  { pattern: /^\/bytes\/(\d+)$/, methods: GET, answer: (_, [count], { random }) => bytes(Number(count), random) },
  { pattern: /^\/stream\/(\d+)$/, methods: GET, answer: (request, [lines]) => stream(request, Number(lines)) },
  { pattern: /^\/(?:relative-)?redirect\/(\d+)$/, answer: (_, [count]) => redirect(Number(count), '') },
  {
    pattern: /^\/absolute-redirect\/(\d+)$/,
    answer: (request, [count]) => redirect(Number(count), new URL(urlOf(request)).origin),
  },
  { pattern: /^\/redirect-to$/, answer: (request) => redirectTo(request) },
  { pattern: /^\/cookies$/, methods: GET, answer: (request) => reply(200, cookiesOf(request)) },
  { pattern: /^\/cookies\/(set|delete)$/, methods: GET, answer: (request, [verb]) => changeCookies(request, verb!) },
  { pattern: /^\/basic-auth\/([^/]+)\/([^/]+)$/, methods: GET, answer: basicAuth },
  { pattern: /^\/bearer$/, methods: GET, answer: bearer },
  { pattern: /^\/json$/, methods: GET, answer: () => reply(200, SAMPLE_JSON) },
  { pattern: /^\/html$/, methods: GET, answer: () => html(SAMPLE_HTML) },
  { pattern: /^\/gzip$/, methods: GET, answer: gzip },
  { pattern: /^\/response-headers$/, answer: responseHeaders },
]

async function withBody(request: AppRequest): Promise<AppReply> {
  return request.method === 'HEAD' ? reply(200, describe(request)) : reply(200, await describeWithBody(request))
}

const REDIRECTS = new Set([301, 302, 303, 305, 307])

/** One code, or `200:0.9,500:0.1`: weighted, the draw decides. */
function status(text: string, draw: number): AppReply {
  const choices = text.split(',').map((choice) => {
    const [code, weight = '1'] = choice.split(':')
    return { code: Number(code), weight: Number(weight) }
  })
  const valid = choices.every(({ code, weight }) => Number.isInteger(code) && code >= 100 && code < 600 && weight >= 0)
  if (!valid) return failure(400, `invalid status code: ${text}`)
  const chosen = weightedChoice(choices, draw)
  const headers: Record<string, string> = { 'content-type': 'text/plain; charset=utf-8' }
  if (REDIRECTS.has(chosen.code)) headers.location = '/redirect/1'
  if (chosen.code === 401) headers['www-authenticate'] = 'Basic realm="Fake Realm"'
  if (chosen.code === 407) headers['proxy-authenticate'] = 'Basic realm="Fake Realm"'
  // 1xx are no final answers: node:http would wait for one.
  return { status: Math.max(200, chosen.code), headers, body: chosen.code === 418 ? "I'm a teapot!" : '' }
}

function weightedChoice<T extends { weight: number }>(choices: readonly T[], draw: number): T {
  let rest = draw * choices.reduce((sum, { weight }) => sum + weight, 0)
  for (const choice of choices) {
    rest -= choice.weight
    if (rest < 0) return choice
  }
  return choices.at(-1)!
}

async function delay(request: AppRequest, parameters: readonly string[], { clock }: HttpbinContext): Promise<AppReply> {
  const asked = parameters[0]!
  const delayMs = /^\d+(\.\d+)?$/.test(asked) ? Number(asked) * 1000 : parseDuration(asked)
  if (delayMs === undefined) return failure(400, `invalid duration: ${asked}`)
  if (delayMs > DELAY_MAX_MS) return failure(400, `invalid duration: ${asked} is more than ${DELAY_MAX_MS / 1000}s`)
  await sleep(clock, delayMs, request.signal)
  return withBody(request)
}

function bytes(count: number, random: HttpbinContext['random']): AppReply {
  const body = Buffer.alloc(Math.min(count, BYTES_MAX))
  for (let index = 0; index < body.length; index += 1) body[index] = random.integer(256)
  return { status: 200, headers: { 'content-type': 'application/octet-stream' }, body }
}

function stream(request: AppRequest, lines: number): AppReply {
  const { args, headers, origin, url } = describe(request)
  async function* generate() {
    for (let id = 0; id < Math.min(Math.max(1, lines), STREAM_LINES_MAX); id += 1) {
      yield `${JSON.stringify({ id, args, headers, origin, url })}\n`
    }
  }
  return { status: 200, headers: { 'content-type': 'application/json; charset=utf-8' }, body: generate() }
}

function redirect(count: number, origin: string): AppReply {
  if (count < 1) return failure(400, 'redirect count must be > 0')
  const kind = origin === '' ? 'relative-redirect' : 'absolute-redirect'
  return { status: 302, headers: { location: count === 1 ? `${origin}/get` : `${origin}/${kind}/${count - 1}` } }
}

function redirectTo(request: AppRequest): AppReply {
  const location = request.query.get('url')
  if (!location) return failure(400, 'missing required query parameter: url')
  const code = Number(request.query.get('status_code') ?? 302)
  if (!(code >= 300 && code < 400)) return failure(400, `invalid status code: ${code} not in range [300, 399]`)
  return { status: code, headers: { location } }
}

function cookiesOf(request: AppRequest): Record<string, string> {
  const pairs = (request.headers.cookie ?? '').split(';').flatMap((pair) => {
    const at = pair.indexOf('=')
    return at > 0 ? [[pair.slice(0, at).trim(), pair.slice(at + 1).trim()] as const] : []
  })
  return Object.fromEntries(pairs)
}

function changeCookies(request: AppRequest, verb: string): AppReply {
  const cookies = [...request.query].map(([name, value]) =>
    verb === 'set'
      ? `${encodeURIComponent(name)}=${encodeURIComponent(value)}; HttpOnly`
      : `${encodeURIComponent(name)}=; Max-Age=0; HttpOnly`,
  )
  return { status: 302, headers: { location: '/cookies', ...(cookies.length > 0 ? { 'set-cookie': cookies } : {}) } }
}

function basicAuth(request: AppRequest, parameters: readonly string[]): AppReply {
  const [, encoded = ''] = /^Basic (.+)$/.exec(request.headers.authorization ?? '') ?? []
  const [user = '', ...rest] = Buffer.from(encoded, 'base64').toString('utf8').split(':')
  const authorized = user === parameters[0] && rest.join(':') === parameters[1]
  const headers: Record<string, string> = authorized ? {} : { 'www-authenticate': 'Basic realm="Fake Realm"' }
  return reply(authorized ? 200 : 401, { authenticated: authorized, user, authorized }, headers)
}

function bearer(request: AppRequest): AppReply {
  const token = /^Bearer (.+)$/.exec(request.headers.authorization ?? '')?.[1]
  if (!token) return { status: 401, headers: { 'www-authenticate': 'Bearer' } }
  return reply(200, { authenticated: true, token })
}

async function gzip(request: AppRequest): Promise<AppReply> {
  const { gzipSync } = await import('node:zlib') // one path of fifty needs it
  return {
    status: 200,
    headers: { 'content-type': 'application/json; charset=utf-8', 'content-encoding': 'gzip' },
    body: gzipSync(JSON.stringify({ ...describe(request), gzipped: true }, null, 2)),
  }
}

function responseHeaders(request: AppRequest): AppReply {
  const args = argumentsOf(request)
  args['Content-Type'] ??= ['application/json; charset=utf-8']
  return { status: 200, headers: args, body: `${JSON.stringify(args, null, 2)}\n` }
}

function html(body: string): AppReply {
  return { status: 200, headers: { 'content-type': 'text/html; charset=utf-8' }, body }
}
