import { type CertificateSigner, SvidSource } from '@ambient-lab/pki'
import type { Authorization } from '@ambient-lab/policy'
import { type Clock, type CodedError, SeededRandom } from '@ambient-lab/std'
import { AccessLog, Logging, MetricsRegistry, type Span } from '@ambient-lab/telemetry'
import { TestCertificates } from '@ambient-lab/testing'
import {
  ADDRESS_TYPE,
  AUTHORIZATION_TYPE,
  type ConnectionView,
  NODE_TYPE,
  type Service,
  type Workload,
} from '@ambient-lab/xds'
import { expect } from 'vitest'
import type { PlainNetwork } from '../plain-network.ts'
import type { ByteSink, ByteStream } from '../stream/byte-stream.ts'
import type { SvidLookup } from '../tunnel/mtls.ts'
import type { Transport } from '../tunnel/transport.ts'
import { ConnectionSpans } from './connection-spans.ts'
import type { LocalWorkload } from './local-workload.ts'
import { LocalSvids, LocalWorkloads } from './local-workloads.ts'
import { Ztunnel } from './ztunnel.ts'

/** What a composition runs on. */
export interface Ground {
  readonly clock: Clock
  readonly network: PlainNetwork
  transport(svids: SvidLookup): Transport
  /** Waits until something holds, moving time where time is virtual. */
  until(condition: () => boolean): Promise<void>
}

const decoder = new TextDecoder()
const bytesOf = (text: string) => new TextEncoder().encode(text)

/** One end of a plain connection as a program sees it. */
export class Program implements ByteSink {
  readonly stream: ByteStream
  received: Uint8Array = new Uint8Array()
  ended = false
  closed = false
  reason: CodedError | undefined

  constructor(stream: ByteStream) {
    this.stream = stream
    stream.start(this)
  }

  get text(): string {
    return decoder.decode(this.received)
  }

  say(text: string): void {
    this.stream.write(bytesOf(text))
  }

  onData(chunk: Uint8Array): void {
    this.received = Buffer.concat([this.received, chunk])
  }

  onEnd(): void {
    this.ended = true
  }

  onDrain(): void {}

  onClose(reason: CodedError | undefined): void {
    this.closed = true
    this.reason = reason
  }
}

/** Answers each chunk in capitals, and half-closes when the client does, after a last word. */
class Shouter extends Program {
  override onData(chunk: Uint8Array): void {
    super.onData(chunk)
    this.stream.write(bytesOf(decoder.decode(chunk).toUpperCase()))
  }

  override onEnd(): void {
    super.onEnd()
    this.stream.write(bytesOf('.'))
    this.stream.end()
  }
}

export function workloadOf(name: string, node: string, address: string, overrides: Partial<Workload> = {}): Workload {
  return {
    uid: `Kubernetes//Pod/default/${name}`,
    name,
    namespace: 'default',
    addresses: [address],
    hostname: '',
    network: '',
    tunnelProtocol: 'HBONE',
    trustDomain: 'cluster.local',
    serviceAccount: name,
    node,
    clusterId: 'Kubernetes',
    canonicalName: name,
    canonicalRevision: 'v1',
    workloadType: 'DEPLOYMENT',
    workloadName: name,
    nativeTunnel: false,
    authorizationPolicies: [],
    status: 'HEALTHY',
    services: {},
    capacity: 1,
    networkMode: 'STANDARD',
    ...overrides,
  }
}

export function serviceOf(name: string, address: string, overrides: Partial<Service> = {}): Service {
  return {
    name,
    namespace: 'default',
    hostname: `${name}.default.svc.cluster.local`,
    addresses: address ? [{ network: '', address }] : [],
    ports: [{ servicePort: 80, targetPort: 8080, appProtocol: 'UNKNOWN' }],
    subjectAltNames: [],
    ipFamilies: 'AUTOMATIC',
    canonical: true,
    ingressUseWaypoint: false,
    visibility: 'PUBLIC',
    ...overrides,
  }
}

/** Two nodes: `curl` (captured) and `bare` (not) on a, `echo` (captured) on b behind the service `echo`. */
export class TwoNodes {
  readonly ground: Ground
  readonly a: Node
  readonly b: Node
  readonly servers: Shouter[] = []
  readonly certificates: TestCertificates
  /** Who signs for both nodes; may be replaced. */
  signer: CertificateSigner
  readonly captures = new Map<string, { host: string; port: number }>()

  /** @param ttlSeconds of certificates @default a day */
  constructor(ground: Ground, ttlSeconds = 86_400) {
    this.ground = ground
    this.certificates = new TestCertificates({ clock: ground.clock })
    this.signer = this.certificates.signer()
    const signer: CertificateSigner = { sign: (...request) => this.signer.sign(...request) }
    this.a = new Node('a', ground, signer, ttlSeconds)
    this.b = new Node('b', ground, signer, ttlSeconds)
  }

  async start(): Promise<void> {
    const server = await this.ground.network.listen({ host: '127.0.0.1', port: 0 }, (stream) => {
      this.servers.push(new Shouter(stream))
    })
    await this.a.ztunnel.start()
    await this.b.ztunnel.start()
    const services = { 'default/echo.default.svc.cluster.local': [] }
    this.push(ADDRESS_TYPE, [
      { workload: workloadOf('curl', 'a', '10.244.1.4') },
      { workload: workloadOf('bare', 'a', '10.244.1.5', { tunnelProtocol: 'NONE' }) },
      { workload: workloadOf('echo', 'b', '10.244.2.5', { services }) },
      { workload: workloadOf('open', 'b', '10.244.2.6') },
      { service: serviceOf('echo', '10.96.0.10') },
      { service: serviceOf('empty', '10.96.0.11') },
    ])
    this.push(NODE_TYPE, [this.a.resource(), this.b.resource()])
    await this.run(this.a, 'curl', '10.244.1.4', true)
    await this.run(this.a, 'bare', '10.244.1.5', false)
    await this.run(this.b, 'echo', '10.244.2.5', true, server.address)
    await this.run(this.b, 'open', '10.244.2.6', true, server.address, { bypassesInboundCapture: true })
  }

  /** What the control plane tells every node. */
  push(
    typeUrl: typeof ADDRESS_TYPE | typeof NODE_TYPE | typeof AUTHORIZATION_TYPE,
    resources: readonly object[],
  ): void {
    for (const node of [this.a, this.b]) {
      const errors = node.ztunnel.state.apply(
        typeUrl,
        resources.map((resource) => ({ name: nameOf(resource), resource })),
        [],
      )
      expect(errors).toEqual([])
    }
  }

  policy(name: string, overrides: Partial<Authorization>): void {
    const base = { name, namespace: 'default', scope: 'NAMESPACE', action: 'ALLOW', rules: [], dryRun: false } as const
    this.push(AUTHORIZATION_TYPE, [{ ...base, ...overrides }])
  }

  /** Connects as a program of the workload would, through its capture listener with SOCKS5 by name. */
  async dial(workload: string, host: string, port: number, early = ''): Promise<{ program: Program; reply: number }> {
    const stream = await this.ground.network.dial(this.captures.get(workload)!, { timeoutMs: 1000 })
    const program = new Program(stream)
    const name = bytesOf(host)
    const request = [5, 1, 0, 5, 1, 0, 3, name.length, ...name, port >> 8, port & 255, ...bytesOf(early)]
    stream.write(Uint8Array.from(request))
    await this.ground.until(() => program.received.length >= 12 || program.closed)
    const reply = program.received[3] ?? -1
    program.received = program.received.slice(12)
    return { program, reply }
  }

  /** Adds a workload to a node, with a program behind its port 8080 if it has a listener. */
  async run(
    node: Node,
    name: string,
    address: string,
    captured: boolean,
    listener?: { host: string; port: number },
    options: Pick<LocalWorkload, 'bypassesInboundCapture'> = {},
  ): Promise<void> {
    const local: LocalWorkload = {
      uid: `Kubernetes//Pod/default/${name}`,
      name,
      namespace: 'default',
      identity: { trustDomain: 'cluster.local', namespace: 'default', serviceAccount: name },
      address,
      captured,
      bypassesInboundCapture: options.bypassesInboundCapture ?? false,
      dialTarget: (port) => (port === 8080 ? listener : undefined),
    }
    this.captures.set(name, (await node.ztunnel.addWorkload(local)).capture!)
  }

  async stop(): Promise<void> {
    await this.a.ztunnel[Symbol.asyncDispose]()
    await this.b.ztunnel[Symbol.asyncDispose]()
    await this.a.svids[Symbol.asyncDispose]()
    await this.b.svids[Symbol.asyncDispose]()
  }
}

class Node {
  readonly name: string
  readonly ztunnel: Ztunnel
  readonly svids: SvidSource
  readonly metrics = new MetricsRegistry()
  readonly lines: string[] = []
  readonly spans: Span[] = []

  constructor(name: string, ground: Ground, signer: CertificateSigner, ttlSeconds: number) {
    const { clock, network } = ground
    const random = new SeededRandom(7).fork(name)
    const locals = new LocalWorkloads()
    this.name = name
    this.svids = new SvidSource({ components: { clock, random, signer }, init: { ttlSeconds } })
    const logging = new Logging({ components: { clock, sink: (line) => this.lines.push(line) } })
    this.ztunnel = new Ztunnel({
      node: name,
      init: { drainDeadlineMs: 300 },
      components: {
        clock,
        random,
        locals,
        svids: this.svids,
        dialer: network,
        transport: ground.transport(new LocalSvids({ locals, svids: this.svids })),
        log: logging.logger('ztunnel'),
        accessLog: new AccessLog(logging.logger('access')),
        metrics: this.metrics,
        spans: new ConnectionSpans({ exporter: { add: (span) => this.spans.push(span) }, random }, 100),
      },
    })
  }

  resource() {
    return { name: this.name, podCidr: '10.244.0.0/24', status: 'HEALTHY', ...this.ztunnel.addresses }
  }

  get connections(): readonly ConnectionView[] {
    return this.ztunnel.traffic({ edgesOnly: false }).connections
  }
}

function nameOf(resource: object): string {
  if ('workload' in resource) return (resource.workload as Workload).uid
  if ('service' in resource) {
    const { namespace, hostname } = resource.service as Service
    return `${namespace}/${hostname}`
  }
  const { namespace, name } = resource as { namespace?: string; name: string }
  return namespace === undefined ? name : `${namespace}/${name}`
}
