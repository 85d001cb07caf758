import { SvidSource } from '@ambient-lab/pki'
import type { Authorization } from '@ambient-lab/policy'
import { type Clock, type CodedError, SeededRandom } from '@ambient-lab/std'
import { AccessLog, Logging, MetricsRegistry } from '@ambient-lab/telemetry'
import { TestCertificates } from '@ambient-lab/testing'
import {
  ADDRESS_TYPE,
  AUTHORIZATION_TYPE,
  type ConnectionView,
  NODE_TYPE,
  type Service,
  type Workload,
} from '@ambient-lab/xds'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { PlainNetwork } from '../plain-network.ts'
import type { ByteSink, ByteStream } from '../stream/byte-stream.ts'
import type { SvidLookup } from '../tunnel/mtls.ts'
import type { Transport } from '../tunnel/transport.ts'
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
  readonly #certificates: TestCertificates
  readonly captures = new Map<string, { host: string; port: number }>()

  constructor(ground: Ground) {
    this.ground = ground
    this.#certificates = new TestCertificates({ clock: ground.clock })
    this.a = new Node('a', ground, this.#certificates)
    this.b = new Node('b', ground, this.#certificates)
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
      { service: serviceOf('echo', '10.96.0.10') },
      { service: serviceOf('empty', '10.96.0.11') },
    ])
    this.push(NODE_TYPE, [this.a.resource(), this.b.resource()])
    await this.#run(this.a, 'curl', '10.244.1.4', true)
    await this.#run(this.a, 'bare', '10.244.1.5', false)
    await this.#run(this.b, 'echo', '10.244.2.5', true, server.address)
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

  async stop(): Promise<void> {
    await this.a.ztunnel[Symbol.asyncDispose]()
    await this.b.ztunnel[Symbol.asyncDispose]()
    await this.a.svids[Symbol.asyncDispose]()
    await this.b.svids[Symbol.asyncDispose]()
  }

  async #run(
    node: Node,
    name: string,
    address: string,
    captured: boolean,
    listener?: { host: string; port: number },
  ): Promise<void> {
    const local: LocalWorkload = {
      uid: `Kubernetes//Pod/default/${name}`,
      name,
      namespace: 'default',
      identity: { trustDomain: 'cluster.local', namespace: 'default', serviceAccount: name },
      address,
      captured,
      dialTarget: (port) => (port === 8080 ? listener : undefined),
    }
    this.captures.set(name, (await node.ztunnel.addWorkload(local)).capture)
  }
}

class Node {
  readonly name: string
  readonly ztunnel: Ztunnel
  readonly svids: SvidSource
  readonly metrics = new MetricsRegistry()
  readonly lines: string[] = []

  constructor(name: string, ground: Ground, certificates: TestCertificates) {
    const { clock, network } = ground
    const random = new SeededRandom(7).fork(name)
    const locals = new LocalWorkloads()
    this.name = name
    this.svids = new SvidSource({ components: { clock, random, signer: certificates.signer() } })
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

/** What two ztunnels promise their workloads, whatever they run on. */
export function describeTwoZtunnels(title: string, makeGround: () => Ground): void {
  describe(title, () => {
    let mesh: TwoNodes
    beforeEach(async () => {
      mesh = new TwoNodes(makeGround())
      await mesh.start()
    })
    afterEach(() => mesh.stop())

    it('moves bytes both ways, half-closes, and records once on both sides with one trace', async () => {
      const { program, reply } = await mesh.dial('curl', 'echo', 80, 'early ')
      expect(reply).toBe(0)
      program.say('bird')
      await mesh.ground.until(() => program.text === 'EARLY BIRD')
      program.stream.end()
      await mesh.ground.until(() => program.closed && mesh.b.connections[0]?.state === 'closed')
      expect(program).toMatchObject({ text: 'EARLY BIRD.', ended: true, reason: undefined })
      const [outbound, ...moreOutbound] = mesh.a.connections
      const [inbound, ...moreInbound] = mesh.b.connections
      expect([moreOutbound, moreInbound]).toEqual([[], []])
      const common = {
        protocol: 'HBONE',
        state: 'closed',
        responseFlags: '-',
        error: '',
        bytesSent: 10,
        bytesReceived: 11,
      }
      expect(outbound).toMatchObject({ ...common, id: 'a-1', direction: 'outbound' })
      expect(inbound).toMatchObject({ ...common, id: 'b-1', direction: 'inbound' })
      expect(inbound!.traceId).toBe(outbound!.traceId)
      expect(outbound!.traceId).toMatch(/^[0-9a-f]{32}$/)
      for (const view of [outbound!, inbound!]) {
        expect(view.source).toMatchObject({ workload: 'curl', identity: 'spiffe://cluster.local/ns/default/sa/curl' })
        expect(view.destination).toMatchObject({
          address: '10.244.2.5:8080',
          workload: 'echo',
          identity: 'spiffe://cluster.local/ns/default/sa/echo',
          hboneAddress: '10.244.2.5:15008',
          service: 'echo.default.svc.cluster.local',
        })
      }
      expect(inbound!.source.address).toBe(outbound!.source.address)
    })

    it('writes access log, metrics and edges', async () => {
      const { program } = await mesh.dial('curl', 'echo.default', 80, 'abc')
      await mesh.ground.until(() => program.text === 'ABC')
      const live = mesh.a.ztunnel.traffic({ edgesOnly: true })
      expect(live).toMatchObject({
        connections: [],
        lost: 0,
        edges: [{ opened: 1, closed: 0, bytesSent: 3, bytesReceived: 3 }],
      })
      program.stream.end()
      await mesh.ground.until(
        () => mesh.b.connections[0]?.state === 'closed' && mesh.a.connections[0]?.state === 'closed',
      )
      expect(mesh.a.lines).toHaveLength(1)
      expect(mesh.a.lines[0]).toContain('connection complete')
      expect(mesh.a.lines[0]).toContain('dst.addr=10.244.2.5:15008 dst.hbone_addr=10.244.2.5:8080')
      expect(mesh.a.lines[0]).toContain('direction="outbound" bytes_sent=3 bytes_recv=4')
      const text = mesh.b.metrics.expose()
      const labels = /reporter="destination".*source_workload="curl".*destination_service="echo.*response_flags="-"/
      for (const [name, value] of [
        ['connections_opened_total', 1],
        ['connections_closed_total', 1],
        ['received_bytes_total', 3],
        ['sent_bytes_total', 4],
      ]) {
        const line = text.split('\n').find((row) => row.startsWith(`istio_tcp_${name}{`))
        expect(line).toMatch(labels)
        expect(line).toMatch(new RegExp(`connection_security_policy="mutual_tls".*\\} ${value}$`))
      }
      expect(mesh.b.ztunnel.traffic({ edgesOnly: true }).edges).toMatchObject([
        { reporter: 'destination', sourceWorkload: 'curl', destinationWorkload: 'echo', opened: 1, closed: 1 },
      ])
    })

    it('refuses what policy denies, before the workload is dialled', async () => {
      mesh.policy('allow-nothing', {})
      const { reply, program } = await mesh.dial('curl', 'echo', 80, 'secret')
      expect(reply).toBe(2)
      await mesh.ground.until(() => program.ended)
      expect(mesh.servers).toHaveLength(0)
      expect(mesh.a.connections).toMatchObject([
        { state: 'failed', responseFlags: 'DENY', error: 'http status: 401 Unauthorized', bytesSent: 0 },
      ])
      const reason = 'connection closed due to policy rejection: allow policies exist, but none allowed'
      expect(mesh.b.connections).toMatchObject([{ state: 'failed', responseFlags: 'DENY', error: reason }])
      expect(mesh.b.lines[0]).toContain('connection failed')
      expect(mesh.b.connections[0]!.traceId).toBe(mesh.a.connections[0]!.traceId)
      expect(mesh.b.ztunnel.traffic({ edgesOnly: true }).edges).toMatchObject([{ opened: 0, failed: 1, denied: 1 }])
    })

    it('closes a live connection when a policy turns against it', async () => {
      const { program } = await mesh.dial('curl', 'echo', 80, 'hello')
      await mesh.ground.until(() => program.text === 'HELLO')
      mesh.policy('unrelated', { action: 'DENY', rules: [{ clauses: [{ matches: [{ destinationPorts: [1] }] }] }] })
      program.say(' again')
      await mesh.ground.until(() => program.text === 'HELLO AGAIN')
      mesh.policy('deny-all', { action: 'DENY', rules: [{ clauses: [] }] })
      await mesh.ground.until(() => program.closed && mesh.servers[0]!.closed)
      expect(program.reason).toBeDefined()
      expect(mesh.b.connections).toMatchObject([
        { state: 'closed', responseFlags: 'DENY', error: 'connection closed due to policy change' },
      ])
    })

    it('closes a live connection when a policy is attached to its workload', async () => {
      const { program } = await mesh.dial('curl', 'echo', 80, 'hello')
      await mesh.ground.until(() => program.text === 'HELLO')
      mesh.policy('deny-all', { action: 'DENY', scope: 'WORKLOAD_SELECTOR', rules: [{ clauses: [] }] })
      const attached = { authorizationPolicies: ['default/deny-all'] }
      mesh.push(ADDRESS_TYPE, [{ workload: workloadOf('echo', 'b', '10.244.2.5', attached) }])
      await mesh.ground.until(() => program.closed && mesh.servers[0]!.closed)
    })

    it('answers unknown names, empty services and closed ports each in its own way', async () => {
      expect((await mesh.dial('curl', 'nobody', 80)).reply).toBe(4)
      expect((await mesh.dial('curl', 'empty', 80)).reply).toBe(4)
      expect((await mesh.dial('curl', '10.244.2.5', 9999)).reply).toBe(5)
      expect((await mesh.dial('curl', '10.244.9.9', 80)).reply).toBe(4)
      expect(mesh.a.connections).toMatchObject([
        { state: 'failed', responseFlags: 'CONNECT', error: 'no such host: nobody' },
        { state: 'failed', responseFlags: 'CONNECT', error: 'no healthy upstream: 10.96.0.11:80' },
        { state: 'failed', responseFlags: 'CONNECT', error: 'http status: 503 Service Unavailable' },
        { state: 'failed', responseFlags: 'CONNECT', error: 'io error: no route to host' },
      ])
    })

    it('carries plaintext of uncaptured pods, unless the destination is STRICT', async () => {
      const { program, reply } = await mesh.dial('bare', 'echo', 80, 'plain')
      expect(reply).toBe(0)
      await mesh.ground.until(() => program.text === 'PLAIN')
      program.stream.end()
      await mesh.ground.until(() => program.closed && mesh.b.connections[0]?.state === 'closed')
      expect(mesh.a.connections).toEqual([])
      expect(mesh.b.connections[0]).toMatchObject({
        protocol: 'TCP',
        source: { workload: 'bare', identity: '' },
        destination: { workload: 'echo', identity: '', hboneAddress: '' },
      })
      mesh.policy('strict', {
        action: 'DENY',
        rules: [{ clauses: [{ matches: [{ notPrincipals: [{ presence: true }] }] }] }],
      })
      const refused = await mesh.dial('bare', 'echo', 80, 'plain')
      await mesh.ground.until(() => refused.program.closed)
      expect(refused.program.text).toBe('')
      expect(mesh.servers).toHaveLength(1)
      expect(mesh.b.connections[1]).toMatchObject({
        state: 'failed',
        responseFlags: 'DENY',
        error: 'connection closed due to policy rejection: explicitly denied by: default/strict',
      })
      expect((await mesh.dial('curl', 'echo', 80)).reply).toBe(0)
    })

    it('lets a workload that is removed finish, and cuts what outlives the deadline', async () => {
      const { program } = await mesh.dial('curl', 'echo', 80, 'hello')
      await mesh.ground.until(() => program.text === 'HELLO')
      const removed = mesh.b.ztunnel.removeWorkload('Kubernetes//Pod/default/echo')
      program.say(' still')
      await mesh.ground.until(() => program.text === 'HELLO STILL')
      await mesh.ground.until(() => mesh.b.connections[0]?.state === 'closed')
      await removed
      expect(mesh.b.connections[0]!.error).toBe('connection failed to drain within the timeout')
      expect((await mesh.dial('curl', 'echo', 80)).reply).not.toBe(0)
    })

    it('reaches a workload of its own node through the tunnel, and itself without one', async () => {
      mesh.push(ADDRESS_TYPE, [{ service: serviceOf('self', '10.96.0.12') }])
      const services = { 'default/self.default.svc.cluster.local': [] }
      mesh.push(ADDRESS_TYPE, [{ workload: workloadOf('echo', 'b', '10.244.2.5', { services }) }])
      const { program, reply } = await mesh.dial('echo', 'self', 80, 'me')
      expect(reply).toBe(0)
      await mesh.ground.until(() => program.text === 'ME')
      expect(mesh.b.connections.map((view) => view.direction).sort()).toEqual(['inbound', 'outbound'])
      const own = await mesh.dial('echo', '10.244.2.5', 8080, 'loop')
      await mesh.ground.until(() => own.program.text === 'LOOP')
      expect(mesh.b.connections).toHaveLength(2)
    })

    it('waits for the news of the workload that connects', async () => {
      mesh.a.ztunnel.state.apply(ADDRESS_TYPE, [], ['Kubernetes//Pod/default/curl'])
      const dialled = mesh.dial('curl', 'echo', 80)
      mesh.push(ADDRESS_TYPE, [{ workload: workloadOf('curl', 'a', '10.244.1.4') }])
      expect((await dialled).reply).toBe(0)
    })
  })
}
