import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { type ConnectionOptions, connect as tlsConnect } from 'node:tls'
import { errorMessage } from '@ambient-lab/std'
import { eventually } from '@ambient-lab/testing'
import { socks5Dial } from '@ambient-lab/testing/mesh'
import { canonicalJson } from '../expectation.ts'
import { failed, PASSED, skipped, type Verdict } from '../judge.ts'
import type { CertificateSource, TrafficCheck, TrafficRequest } from './cases.ts'
import { type HttpAnswer, type HttpRequest, overGrpc, overHttp, overHttp2, overTcp } from './exchange.ts'
import { httpProblem } from './http-verdict.ts'
import type { TrafficLab } from './traffic-lab.ts'

/** The suite asks again until an answer is right, since a route takes its time to arrive; here it takes milliseconds. */
const ATTEMPTS_TIMEOUT_MS = 4_000
const GRPC_ECHO = 'gateway_api_conformance.echo_basic.grpcecho.GrpcEcho'
/** Of requests that name no host: no route of the suite means it. */
const ANY_HOST = 'gateway.test'
const PARALLEL = 10

/** Judges one entry of a case by what comes back. @param before the entry before it, whose request `weights` repeats */
export async function judgeTraffic(
  check: TrafficCheck,
  before: TrafficCheck | undefined,
  lab: TrafficLab,
): Promise<Verdict> {
  const kind = KINDS[check.kind]
  if (!kind) return skipped(`the lab has no client for ${check.kind}`)
  try {
    return await eventually(
      async () => {
        const problem = await kind(check, lab, before)
        if (problem !== undefined) throw new Error(problem)
        return PASSED
      },
      { timeoutMs: ATTEMPTS_TIMEOUT_MS, intervalMs: 50 },
    )
  } catch (error) {
    return failed(`want ${JSON.stringify(check.expected ?? check)}\n${errorMessage(error)}`)
  }
}

/** @returns what is wrong with what came of it; what it throws is wrong too */
type Kind = (check: TrafficCheck, lab: TrafficLab, before: TrafficCheck | undefined) => Promise<string | undefined>

const KINDS: Readonly<Record<string, Kind>> = {
  http: judgeHttp,
  'http-not-200': async (check, lab) => {
    const { status } = await send(check, lab, requestOf(check.request))
    return status === 200 ? 'status 200' : undefined
  },
  'http-repeat': async (check, lab) => {
    for (let turn = 0; turn < (check.repeat ?? 1); turn += 1) {
      const problem = await judgeHttp(check, lab)
      if (problem !== undefined) return problem
    }
    return undefined
  },
  'tls-http': judgeHttp,
  'tls-http-failure': rejected,
  'tls-connection-rejected': rejected,
  // The suite's clients of mesh tests do not compare paths, and some of those that they state are not right.
  'mesh-http': (check, lab) => judgeHttp(withoutPath(check), lab),
  grpc: judgeGrpc,
  'mesh-grpc': judgeGrpc,
  weights: judgeWeights,
  'tcp-echo': judgeTcp,
  websocket: judgeWebSocket,
}

async function judgeHttp(check: TrafficCheck, lab: TrafficLab): Promise<string | undefined> {
  const asked = requestOf(check.request)
  const mirrors = check.expected.mirroredTo ?? []
  const line = `Echoing back request made to ${asked.path} to client`
  const counts = () => Promise.all(mirrors.map(({ namespace, name }) => lab.linesOf(namespace, name, line)))
  const linesBefore = await counts()
  const answer = await send(check, lab, asked)
  const problem = httpProblem(answer, check.expected, asked)
  if (problem !== undefined || mirrors.length === 0) return problem
  await eventually(async () => (await counts()).every((lines, index) => lines > linesBefore[index]!), {
    timeoutMs: 1000,
  })
  return undefined
}

function withoutPath(check: TrafficCheck): TrafficCheck {
  const { path: _, ...requestAtBackend } = check.expected.requestAtBackend ?? {}
  return { ...check, expected: { ...check.expected, requestAtBackend } }
}

async function send(check: TrafficCheck, lab: TrafficLab, asked: HttpRequest): Promise<HttpAnswer> {
  const socket = await dial(check, lab)
  return check.request?.protocol === 'H2C_PRIOR_KNOWLEDGE' ? overHttp2(socket, asked) : overHttp(socket, asked)
}

/** Each probe has an id of its own, so that the echo server counts its failures alone. */
function requestOf({ host, path = '/', method = 'GET', headers = {} }: TrafficRequest = {}): HttpRequest {
  const { Host: authority, ...others } = headers
  return {
    host: authority ?? host ?? ANY_HOST,
    path: path.replace('$UUID', crypto.randomUUID()),
    method,
    headers: others,
  }
}

async function judgeGrpc(check: TrafficCheck, lab: TrafficLab): Promise<string | undefined> {
  const { code = 0, backend = '', namespace } = check.expected
  const answer = await callGrpc(check, lab)
  if (answer.code !== code) return `code ${answer.code}`
  if (code !== 0) return undefined
  if (!answer.pod.startsWith(backend)) return `${answer.pod} answered`
  return namespace !== undefined && answer.namespace !== namespace ? `namespace ${answer.namespace}` : undefined
}

async function callGrpc(check: TrafficCheck, lab: TrafficLab) {
  const { service = GRPC_ECHO, method = 'Echo', metadata = {}, authority, host } = check.request ?? {}
  const path = `/${service}/${check.kind === 'mesh-grpc' ? 'Echo' : method}`
  return overGrpc(await dial(check, lab), { path, metadata, authority: authority ?? host ?? ANY_HOST })
}

async function judgeWeights(
  { requests = 0, tolerance = 0, weights = {} }: TrafficCheck,
  lab: TrafficLab,
  before: TrafficCheck | undefined,
): Promise<string | undefined> {
  if (!before) return 'there is no request to repeat'
  const counts = new Map<string, number>(Object.keys(weights).map((name) => [name, 0]))
  let left = requests
  const work = async () => {
    for (; left > 0; ) {
      left -= 1
      const pod = await answeringPod(before, lab)
      const name = Object.keys(weights).find((backend) => pod.startsWith(backend))
      if (name === undefined) throw new Error(`${pod} answered`)
      counts.set(name, counts.get(name)! + 1)
    }
  }
  await Promise.all(Array.from({ length: PARALLEL }, work))
  for (const [name, weight] of Object.entries(weights)) {
    const share = counts.get(name)! / requests
    if (weight === 0 ? share > 0 : Math.abs(share - weight) > tolerance) return `${name} had ${share} of the requests`
  }
  return undefined
}

async function answeringPod(check: TrafficCheck, lab: TrafficLab): Promise<string> {
  if (check.kind.includes('grpc')) return (await callGrpc(check, lab)).pod
  const { body } = await send(check, lab, requestOf(check.request))
  return (JSON.parse(body) as { pod: string }).pod
}

async function judgeTcp(check: TrafficCheck, lab: TrafficLab): Promise<string | undefined> {
  const { backend, neverBackend, namespace, backendIsTLS, hostname } = check.expected
  for (let turn = 0; turn < (check.repeat ?? 1); turn += 1) {
    const { pod, namespace: home, isTLS, tls } = await overTcp(await dial(check, lab))
    if (backend !== undefined && !pod.startsWith(backend)) return `${pod} answered`
    if (neverBackend !== undefined && pod.startsWith(neverBackend)) return `${pod} answered`
    if (namespace !== undefined && home !== namespace) return `namespace ${home}`
    if (backendIsTLS !== undefined && isTLS !== backendIsTLS) return `TLS at the backend: ${isTLS}`
    if (hostname !== undefined && tls?.serverName !== hostname) return `server name ${tls?.serverName}`
  }
  return undefined
}

async function judgeWebSocket(
  { to, path = '/', exchange = [] }: TrafficCheck,
  lab: TrafficLab,
): Promise<string | undefined> {
  const { host, port } = await lab.gateway(to!.gateway, to!.port ?? 80)
  const socket = new WebSocket(`ws://${host}:${port}${path}`)
  socket.binaryType = 'arraybuffer'
  try {
    await event(socket, 'open')
    for (const { send: sent, receive } of exchange) {
      const answer = event(socket, 'message')
      socket.send('text' in sent ? sent.text : Buffer.from(sent.binaryHex, 'hex'))
      const data = ((await answer) as MessageEvent).data as string | ArrayBuffer
      const got = typeof data === 'string' ? { text: data } : { binaryHex: Buffer.from(data).toString('hex') }
      if (canonicalJson(got) !== canonicalJson(receive)) return `came back as ${JSON.stringify(got)}`
    }
    return undefined
  } finally {
    socket.close()
  }
}

function event(socket: WebSocket, name: 'open' | 'message'): Promise<Event> {
  return new Promise((resolve, reject) => {
    socket.addEventListener(name, resolve, { once: true })
    socket.addEventListener('close', () => reject(new Error('the WebSocket was closed')), { once: true })
  })
}

/** A handshake or a request that fails in whatever way. */
async function rejected(check: TrafficCheck, lab: TrafficLab): Promise<string | undefined> {
  let answer: HttpAnswer
  try {
    answer = await overHttp(await dial(check, lab), requestOf(check.request))
  } catch {
    return undefined
  }
  return `answered ${answer.status}`
}

/** From a pod into the mesh, or from outside to a Gateway's port; with TLS where the case has it. */
async function dial(check: TrafficCheck, lab: TrafficLab): Promise<Socket> {
  if (check.from) return dialFrom(check.from, check.request?.host ?? '', lab)
  const isTls = check.kind.startsWith('tls') || check.useTLS === true
  const { gateway, port } = check.to!
  const address = await lab.gateway(gateway, port ?? (isTls ? 443 : 80))
  if (!isTls) return connect(address)
  const socket = tlsConnect({ ...address, ...tlsOptions(check, lab) })
  await once(socket, 'secureConnect')
  return socket
}

/** The chain is verified; names are judged by the suite's certificates, some of which Node's rules would refuse (`*`). */
function tlsOptions(check: TrafficCheck, { certificates }: TrafficLab): ConnectionOptions {
  const { serverName, serverCertificate, clientCertificate } = check
  const client = clientCertificate && certificates.keyPair(nameOf(clientCertificate.secret))
  return {
    ...(serverName !== undefined && { servername: serverName }),
    ...(serverCertificate && { ca: trustedPem(serverCertificate, certificates) }),
    ...(client && { cert: client.certificatePem, key: client.keyPem }),
    rejectUnauthorized: serverCertificate !== undefined,
    checkServerIdentity: () => undefined,
  }
}

function trustedPem(source: CertificateSource, certificates: TrafficLab['certificates']): string {
  if ('configMap' in source) return certificates.authority(nameOf(source.configMap))
  return certificates.issuerOf(nameOf(source.secret))
}

function nameOf(key: string): string {
  return key.slice(key.indexOf('/') + 1)
}

async function dialFrom(
  { namespace, selector }: NonNullable<TrafficCheck['from']>,
  host: string,
  lab: TrafficLab,
): Promise<Socket> {
  const [pod] = await lab.pods(namespace, Object.fromEntries(selector.split(',').map((pair) => pair.split('='))))
  const capture = pod?.status?.ambientLab?.capture
  if (!capture) throw new Error(`no pod ${selector} in ${namespace}`)
  const [name = '', port = '80'] = host.split(':')
  const isShort = !name.includes('.')
  return socks5Dial(capture, { host: isShort ? `${name}.${namespace}.svc.cluster.local` : name, port: Number(port) })
}
