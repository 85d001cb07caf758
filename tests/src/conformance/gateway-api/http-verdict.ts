import type { TrafficExpectation } from './cases.ts'
import type { HttpAnswer, HttpRequest } from './exchange.ts'

/** What the echo server says of a request. */
interface EchoReply {
  readonly path: string
  readonly host: string
  readonly method: string
  readonly headers: Readonly<Record<string, readonly string[]>>
  readonly namespace: string
  readonly pod: string
  readonly sni?: string
}

/** @returns what is not as it was expected */
export function httpProblem(answer: HttpAnswer, expected: TrafficExpectation, asked: HttpRequest): string | undefined {
  const { status, headers, body } = answer
  if (!(expected.status ?? [200]).includes(status)) return `status ${status}: ${body.slice(0, 200)}`
  for (const [name, value] of Object.entries(expected.response?.headers ?? {})) {
    const got = String(headers[name.toLowerCase()] ?? '')
    if (got !== value) return `the answer's ${name}: ${got}`
  }
  for (const name of expected.response?.absentHeaders ?? []) {
    if (headers[name.toLowerCase()] !== undefined) return `the answer has ${name}`
  }
  if (expected.redirect) return redirectProblem(String(headers.location ?? ''), expected.redirect, asked)
  return status === 200 ? backendProblem(JSON.parse(body), expected, asked) : undefined
}

function redirectProblem(
  location: string,
  { scheme, host, port, path }: NonNullable<TrafficExpectation['redirect']>,
  asked: HttpRequest,
): string | undefined {
  if (!URL.canParse(location, `http://${asked.host}`)) return `location ${location}`
  const url = new URL(location, `http://${asked.host}`)
  const isRight =
    (scheme === undefined || url.protocol === `${scheme}:`) &&
    (host === undefined || url.hostname === host) &&
    // Of a default port URL keeps nothing.
    (port === undefined || port === '' ? url.port === '' : url.port === port) &&
    (path === undefined || url.pathname === path)
  return isRight ? undefined : `location ${location}`
}

function backendProblem(reply: EchoReply, expected: TrafficExpectation, asked: HttpRequest): string | undefined {
  const { backend = '', namespace, requestAtBackend = {} } = expected
  if (!reply.pod.startsWith(backend)) return `${reply.pod} answered`
  if (namespace !== undefined && reply.namespace !== namespace) return `namespace ${reply.namespace}`
  const { host, path, method, headers = {}, absentHeaders = [], sni, exactlyOneHeader } = requestAtBackend
  if (host !== undefined && reply.host !== host) return `host ${reply.host} at the backend`
  if (path !== undefined && reply.path !== path && !isProbe(path, asked, reply))
    return `path ${reply.path} at the backend`
  if (method !== undefined && reply.method !== method) return `method ${reply.method} at the backend`
  if (sni !== undefined && reply.sni !== sni) return `server name ${reply.sni} at the backend`
  const lines = new Map(Object.entries(reply.headers).map(([name, values]) => [name.toLowerCase(), values]))
  for (const [name, value] of Object.entries(headers)) {
    const got = lines.get(name.toLowerCase())?.join(',')
    if (got !== value) return `${name}: ${got} at the backend`
  }
  const present = absentHeaders.find((name) => lines.has(name.toLowerCase()))
  if (present !== undefined) return `${present} is there at the backend`
  if (exactlyOneHeader === undefined) return undefined
  const [value, ...others] = lines.get(exactlyOneHeader.toLowerCase()) ?? []
  const isOne = value !== undefined && others.length === 0 && reply.pod.startsWith(value)
  return isOne ? undefined : `${exactlyOneHeader}: ${[value, ...others]} at ${reply.pod}`
}

/** `$UUID` stands for what was asked with. */
function isProbe(path: string, asked: HttpRequest, reply: EchoReply): boolean {
  return path.includes('$UUID') && reply.path === asked.path
}
