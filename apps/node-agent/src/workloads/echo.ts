import { readFileSync } from 'node:fs'
import { CodedError, parseDuration, sleep } from '@ambient-lab/std'
import { type AppReply, type AppRequest, defineWorkload, json, type WorkloadContext } from '../hosting/workload.ts'
import { FailingFirst } from './_echo-failures.ts'
import { grpcEcho } from './_echo-grpc.ts'
import { tcpEcho } from './_echo-tcp.ts'
import { echoWebSocket } from './_echo-websocket.ts'
import { isGrpc } from './_grpc.ts'

const TLS_PORT = 8443

/**
 * Says what it received and who it is, in the shape of Gateway API's echo-basic, whose conformance suite reads it: HTTP/1.1
 * (with WebSocket at /ws) and h2c and gRPC on all ports, lines of TCP with TCP_ECHO_SERVER, and the same behind TLS with TLS_SERVER_CERT. Stands in
 * for echo-advanced too, whose own words for the same are others.
 * @see https://github.com/kubernetes-sigs/gateway-api/tree/main/conformance/echo-basic
 */
export default defineWorkload({
  name: 'echo',
  images: ['echo', 'conformance/echo-basic', 'conformance/echo-advanced', 'ambient-lab/echo'],
  ports: ({ env }) => [
    Number(env.HTTP_PORT ?? 3000),
    ...(env.GRPC_ECHO_SERVER || env.TCP_ECHO_SERVER ? [] : [Number(env.H2C_PORT ?? 3001)]),
    ...(certificateFile(env) ? [tlsPort(env)] : []),
  ],
  create: (context) => {
    const { env } = context
    const [certFile, keyFile] = [certificateFile(env), env.TLS_SERVER_PRIVKEY ?? env.TLS_SERVER_PRIV_KEY ?? '']
    const keyPair = certFile && { cert: readFileSync(certFile, 'utf8'), key: readFileSync(keyFile, 'utf8') }
    const tls = (port: number) => (port === tlsPort(env) && keyPair ? keyPair : undefined)
    if (env.TCP_ECHO_SERVER) return { tls, tcp: tcpEcho(echoContext(context)) }
    const failures = new FailingFirst()
    const grpc = grpcEcho(echoContext(context))
    return {
      tls,
      http2: true,
      upgrade: echoWebSocket,
      http: (request) => (isGrpc(request) ? grpc(request) : httpEcho(request, failures, context)),
    }
  },
})

function certificateFile(env: WorkloadContext['env']): string | undefined {
  return env.TLS_SERVER_CERT || undefined
}

function tlsPort(env: WorkloadContext['env']): number {
  return Number(env.HTTPS_PORT ?? TLS_PORT)
}

/** Who answers. */
export interface EchoContext {
  readonly namespace: string
  readonly ingress: string
  readonly service: string
  readonly pod: string
}

function echoContext({ env, pod }: WorkloadContext): EchoContext {
  return {
    namespace: env.NAMESPACE ?? pod.namespace,
    ingress: env.INGRESS_NAME ?? '',
    service: env.SERVICE_NAME ?? '',
    pod: env.POD_NAME ?? pod.name,
  }
}

async function httpEcho(request: AppRequest, failures: FailingFirst, context: WorkloadContext): Promise<AppReply> {
  const { query, headers, target, method, httpVersion, tls, signal } = request
  const { clock, log } = context
  log(`Echoing back request made to ${target} to client (${request.remoteAddress})`)
  const failure = failures.next(query)
  await sleep(clock, durationIn(query, failure ? 'delayRetry' : 'delay'), signal)
  if (failure === 'cut') return { status: 200, body: cutting() }
  const status = failure ?? Number(headers['x-echo-set-status'] ?? query.get('status') ?? 200)
  const body = {
    path: target,
    host: headers.host ?? '',
    method,
    proto: `HTTP/${httpVersion}`,
    headers: headerLists(request),
    ...echoContext(context),
    ...(tls && {
      tls: { version: tls.version, serverName: tls.serverName, negotiatedProtocol: tls.protocol },
      sni: tls.serverName,
    }),
  }
  return json(status >= 200 && status < 600 ? status : 200, body, answeredHeaders(headers['x-echo-set-header']))
}

/** Milliseconds of a parameter such as `delay=300ms`. */
function durationIn(query: URLSearchParams, name: string): number {
  return parseDuration(query.get(name) ?? '') ?? 0
}

/** An answer of which nothing is sent. */
// biome-ignore lint/correctness/useYield: it breaks off before it has anything to say
async function* cutting(): AsyncGenerator<string> {
  throw new CodedError('CALLER_GONE', 'cut, as the request asked for')
}

function headerLists({ rawHeaders }: AppRequest): Record<string, string[]> {
  const headers: Record<string, string[]> = {}
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = canonicalHeader(rawHeaders[index]!)
    if (name === 'Host' || name.startsWith(':')) continue
    headers[name] ??= []
    headers[name].push(rawHeaders[index + 1]!)
  }
  return headers
}

/** `name:value,name:value`; what stands there twice is joined. */
function answeredHeaders(asked: string | readonly string[] | undefined): Record<string, string> {
  const headers: Record<string, string> = {}
  for (const pair of [asked ?? []].flat().join(',').split(',')) {
    const [name = '', value = ''] = pair.trim().split(/:(.*)/s)
    if (/^[\w-]+$/.test(name)) headers[name] = name in headers ? `${headers[name]},${value.trim()}` : value.trim()
  }
  return headers
}

/** Go's canonical form: `x-request-id` → `X-Request-Id`. */
export function canonicalHeader(name: string): string {
  return name.toLowerCase().replace(/(^|-)[a-z]/g, (letter) => letter.toUpperCase())
}
