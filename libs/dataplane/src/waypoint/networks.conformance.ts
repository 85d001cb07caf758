import { type SpiffeId, SvidSource } from '@ambient-lab/pki'
import { ConnectionFacts } from '@ambient-lab/policy'
import { SeededRandom } from '@ambient-lab/std'
import { MetricsRegistry, silentLogger } from '@ambient-lab/telemetry'
import { ADDRESS_TYPE, L7_PROXY_TYPE, type L7Proxy, NODE_TYPE, type Service, type Workload } from '@ambient-lab/xds'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { TunnelPool } from '../tunnel/tunnel-pool.ts'
import { type Ground, Program, serviceOf, TwoNodes, workloadOf } from '../ztunnel/two-nodes.conformance.ts'
import { clusterOf } from './mesh-with-waypoint.conformance.ts'
import { OwnWorkload } from './own-workload.ts'
import type { DownstreamPeer } from './request-record.ts'
import { Cluster } from './upstream/cluster.ts'
import { EndpointDialer } from './upstream/endpoint-dialer.ts'
import { Waypoint } from './waypoint.ts'

const UID = 'Kubernetes//Pod/default/gateway'
const PROXY = 'default/gateway'
const IDENTITY: SpiffeId = { trustDomain: 'cluster.local', namespace: 'default', serviceAccount: 'gateway' }
const GATEWAY = {
  networkGateway: {
    hostname: { namespace: 'default', hostname: 'gateway.default.svc.cluster.local' },
    hboneMtlsPort: 15008,
  },
}
/** A waypoint that has no pods. */
const NOBODY = { hostname: { namespace: 'default', hostname: 'nobody.default.svc.cluster.local' } }
const echoServices = { 'default/echo.default.svc.cluster.local': [] }

/** `curl` on node a in network east, `echo` on node b in network west, whose gateway is on b. */
class TwoNetworks {
  readonly nodes: TwoNodes
  readonly lines: string[] = []
  gateway!: Waypoint
  readonly #ground: Ground
  readonly #proxies: (() => Promise<void>)[] = []
  #svids!: SvidSource

  constructor(ground: Ground) {
    this.#ground = ground
    this.nodes = new TwoNodes(ground)
  }

  async start(): Promise<void> {
    const { clock, network } = this.#ground
    await this.nodes.start()
    const random = new SeededRandom(13)
    this.#svids = new SvidSource({ components: { clock, random, signer: this.nodes.certificates.signer() } })
    const svid = (signal?: AbortSignal) => this.#svids.fetch(IDENTITY, signal ? { signal } : {})
    this.gateway = new Waypoint({
      components: {
        ...{ clock, random, network, svids: this.#svids, metrics: new MetricsRegistry(), log: silentLogger() },
        upstreamLog: silentLogger(),
        fetchText: (url) => Promise.reject(new Error(`${url} is not to be read in tests`)),
        accessLogSink: (line) => this.lines.push(line),
        transport: this.#ground.transport({
          clientSvid: (_source, signal) => svid(signal),
          serverSvid: () => svid(),
        }),
      },
      init: { uid: UID, proxy: PROXY, node: 'b', identity: IDENTITY, labels: {}, drainDeadlineMs: 500 },
    })
    await this.gateway.start()
    this.workload('curl', 'a', '10.244.1.4', { network: 'east' })
    this.workload('echo', 'b', '10.244.2.5', { network: 'west', services: echoServices, ...GATEWAY })
    this.workload('gateway', 'b', '10.244.2.9', {
      ...{ network: 'west', nativeTunnel: true, hbone: this.gateway.address, ...GATEWAY },
      services: { 'default/gateway.default.svc.cluster.local': [] },
    })
    this.service('echo', '10.96.0.10', { scope: 'GLOBAL' })
    this.service('gateway', '10.96.0.12', {
      ports: [{ servicePort: 15008, targetPort: 15008, appProtocol: 'UNKNOWN' }],
    })
    this.gateway.apply(NODE_TYPE, [this.nodes.a, this.nodes.b].map(upsertOf), [])
    const resource: L7Proxy = {
      ...{ name: 'gateway', namespace: 'default', kind: 'east-west', workloads: [UID], ports: [] },
      accessLog: { enabled: true, encoding: 'TEXT', format: '%RESPONSE_FLAGS% %UPSTREAM_CLUSTER%' },
      pathNormalization: 'BASE',
    }
    expect(this.gateway.apply(L7_PROXY_TYPE, [{ name: PROXY, resource }], [])).toEqual([])
  }

  workload(name: string, node: string, address: string, overrides: Partial<Workload>): void {
    const workload = workloadOf(name, node, address, overrides)
    this.nodes.push(ADDRESS_TYPE, [{ workload }])
    this.gateway.apply(ADDRESS_TYPE, [{ name: workload.uid, resource: { workload } }], [])
  }

  service(name: string, address: string, overrides: Partial<Service>): void {
    const addresses = ['east', 'west'].map((network) => ({ network, address }))
    const service = serviceOf(name, address, { addresses, ...overrides })
    this.nodes.push(ADDRESS_TYPE, [{ service }])
    this.gateway.apply(ADDRESS_TYPE, [{ name: `default/${service.hostname}`, resource: { service } }], [])
  }

  /** A cluster of `echo` in a proxy of requests of network east, which has a certificate of its own. */
  async proxy(kind: L7Proxy['kind']): Promise<Cluster> {
    const { clock, network } = this.#ground
    const identity: SpiffeId = { ...IDENTITY, serviceAccount: 'proxy' }
    const random = new SeededRandom(17)
    const svid = (signal?: AbortSignal) => this.#svids.fetch(identity, signal ? { signal } : {})
    const transport = this.#ground.transport({
      clientSvid: (_source, signal) => svid(signal),
      serverSvid: () => svid(),
    })
    const { state } = this.nodes.a.ztunnel
    this.workload('proxy', 'a', '10.244.1.9', { network: 'east', nativeTunnel: true })
    const own = new OwnWorkload(state, 'Kubernetes//Pod/default/proxy')
    own.follow()
    const tunnels = new TunnelPool({ transport, clock })
    const dialer = new EndpointDialer(
      { random, state, own, transport, tunnels, network },
      { node: 'a', identity, clusterDomain: 'cluster.local', labRanges: [], kind: () => kind },
    )
    const endpoints = { kind: 'service', service: 'default/echo.default.svc.cluster.local', servicePort: 80 } as const
    const place = { network: 'east', locality: undefined, labels: {} }
    const components = { clock, random, state, network, dialer, log: silentLogger() }
    const cluster = new Cluster(components, clusterOf('echo', { endpoints }), place)
    this.#proxies.push(async () => {
      cluster[Symbol.dispose]()
      await tunnels[Symbol.asyncDispose]()
    })
    return cluster
  }

  /** A connection of a cluster to its one host. @throws CodedError */
  async through(cluster: Cluster): Promise<Program> {
    const [host, ...more] = cluster.hosts
    expect(more).toEqual([])
    const address = { address: '10.244.1.4', port: 4711 }
    const local = { address: '10.96.0.10', port: 80 }
    const facts = new ConnectionFacts({
      ...{ sourceIp: address.address, destinationIp: local.address, destinationPort: 80, identity: IDENTITY },
    })
    const peer = {
      ...{ identity: IDENTITY, workload: undefined, address, local, facts },
      service: undefined,
      scheme: 'http',
    }
    const options = { timeoutMs: 1000, signal: new AbortController().signal }
    const dialled = cluster.dial(host!, peer as DownstreamPeer, options, [])
    let isOver = false
    const over = () => {
      isOver = true
    }
    dialled.then(over, over)
    await this.#ground.until(() => isOver)
    return new Program(await dialled)
  }

  /** A connection that is refused. @returns what the source's log says */
  async refusal(port = 80): Promise<{ readonly error: string; readonly flags: string }> {
    const { reply } = await this.nodes.dial('curl', 'echo', port)
    expect(reply).not.toBe(0)
    const { error, responseFlags } = this.nodes.a.connections.at(-1)!
    return { error, flags: responseFlags }
  }

  async stop(): Promise<void> {
    for (const end of this.#proxies) await end()
    await this.gateway[Symbol.asyncDispose]()
    await this.#svids[Symbol.asyncDispose]()
    await this.nodes.stop()
  }
}

function upsertOf(node: TwoNodes['a']) {
  return { name: node.name, resource: node.resource() }
}

/** What the gateway of a network promises, whatever it runs on. */
export function describeTwoNetworks(title: string, makeGround: () => Ground): void {
  describe(title, () => {
    let mesh: TwoNetworks
    let ground: Ground
    beforeEach(async () => {
      ground = makeGround()
      mesh = new TwoNetworks(ground)
      await mesh.start()
    })
    afterEach(() => mesh.stop())

    it('moves bytes both ways through both tunnels, half-closes, and shows the caller at the far end', async () => {
      const { program, reply } = await mesh.nodes.dial('curl', 'echo', 80, 'early ')
      expect(reply).toBe(0)
      program.say('bird')
      await ground.until(() => program.text === 'EARLY BIRD')
      program.stream.end()
      await ground.until(() => program.closed && mesh.nodes.b.connections[0]?.state === 'closed')
      expect(program).toMatchObject({ text: 'EARLY BIRD.', ended: true, reason: undefined })
      const [inbound, ...more] = mesh.nodes.b.connections
      expect(more).toEqual([])
      expect(inbound).toMatchObject({ direction: 'inbound', bytesSent: 10, bytesReceived: 11, responseFlags: '-' })
      expect(inbound!.source).toMatchObject({
        workload: 'curl',
        identity: 'spiffe://cluster.local/ns/default/sa/curl',
      })
      expect(inbound!.destination).toMatchObject({ workload: 'echo', service: 'echo.default.svc.cluster.local' })
      const [outbound] = mesh.nodes.a.connections
      expect(outbound!.destination).toMatchObject({
        workload: 'gateway',
        hboneAddress: '10.244.2.9:15008',
        address: '10.96.0.10:80',
      })
      expect(inbound!.traceId).toBe(outbound!.traceId)
      await ground.until(() => mesh.lines.length > 0)
      expect(mesh.lines).toEqual(['- outbound|80||echo.default.svc.cluster.local'])
    })

    it('carries a megabyte unharmed', async () => {
      const { program } = await mesh.nodes.dial('curl', 'echo', 80)
      const text = 'x'.repeat(1024)
      for (let piece = 0; piece < 1024; piece += 1) program.say(text)
      await ground.until(() => program.received.length === 1024 * 1024)
      expect(program.text).toBe(text.toUpperCase().repeat(1024))
      program.stream.end()
      await ground.until(() => program.closed)
    })

    it('judges by the caller, not by the gateway', async () => {
      const principals = [{ exact: 'cluster.local/ns/default/sa/gateway' }]
      const rules = [{ clauses: [{ matches: [{ principals }] }] }]
      mesh.nodes.policy('no-gateway', { action: 'DENY', rules })
      const allowed = await mesh.nodes.dial('curl', 'echo', 80, 'a')
      await ground.until(() => allowed.program.text === 'A')
      const ofCaller = [{ clauses: [{ matches: [{ principals: [{ exact: 'cluster.local/ns/default/sa/curl' }] }] }] }]
      mesh.nodes.policy('no-caller', { action: 'DENY', rules: ofCaller })
      await ground.until(() => allowed.program.closed)
      expect(mesh.nodes.b.connections[0]).toMatchObject({ error: 'connection closed due to policy change' })
      expect(await mesh.refusal()).toEqual({ error: 'http status: 401 Unauthorized', flags: 'DENY' })
      expect(mesh.nodes.servers).toHaveLength(1)
    })

    it('lets nobody in to a service that is not global', async () => {
      mesh.service('echo', '10.96.0.10', {})
      expect(await mesh.refusal()).toMatchObject({ error: 'no valid routing destination for workload' })
      // A source that believes otherwise is told by the gateway.
      mesh.nodes.push(ADDRESS_TYPE, [{ service: globalEcho() }])
      expect(await mesh.refusal()).toMatchObject({ error: 'http status: 503 Service Unavailable' })
      expect(mesh.lines.at(-1)).toBe('NR -')
    })

    it('says what is missing: a gateway, a pod of it, an endpoint behind it', async () => {
      mesh.workload('echo', 'b', '10.244.2.5', { network: 'west', services: echoServices })
      expect(await mesh.refusal()).toMatchObject({ error: 'no valid routing destination for workload' })
      mesh.workload('echo', 'b', '10.244.2.5', { network: 'west', services: echoServices, ...GATEWAY })
      mesh.workload('gateway', 'b', '10.244.2.9', { network: 'west', nativeTunnel: true })
      expect(await mesh.refusal()).toMatchObject({
        error: 'unknown network gateway: network gateway gateway.default.svc.cluster.local not found',
      })
    })

    it('believes no other gateway than the one it knows', async () => {
      mesh.workload('gateway', 'b', '10.244.2.9', {
        ...{ network: 'west', nativeTunnel: true, hbone: mesh.gateway.address, serviceAccount: 'other' },
        services: { 'default/gateway.default.svc.cluster.local': [] },
      })
      const { error, flags } = await mesh.refusal()
      expect(error).toContain('peer did not present the expected SAN')
      expect(flags).toBe('TLS_FAILURE')
      expect(mesh.nodes.servers).toHaveLength(0)
    })

    it('believes nobody behind the gateway but the service’s own', async () => {
      // The source is told another account than the one that the far end has.
      const impostor = workloadOf('echo', 'b', '10.244.2.5', {
        ...{ network: 'west', services: echoServices, ...GATEWAY, serviceAccount: 'other' },
      })
      mesh.nodes.a.ztunnel.state.apply(ADDRESS_TYPE, [{ name: impostor.uid, resource: { workload: impostor } }], [])
      const { error, flags } = await mesh.refusal()
      expect(error).toContain('peer did not present the expected SAN')
      expect(error).toContain('spiffe://cluster.local/ns/default/sa/echo')
      expect(flags).toBe('TLS_FAILURE')
      expect(mesh.nodes.servers).toHaveLength(0)
    })

    it.each(['waypoint', 'gateway', 'sidecar'] as const)(
      'leads a %s to the service, which sees it as itself, and its client by address',
      async (kind) => {
        const program = await mesh.through(await mesh.proxy(kind))
        program.say('hello')
        await ground.until(() => program.text === 'HELLO')
        program.stream.end()
        await ground.until(() => program.closed && mesh.nodes.b.connections[0]?.state === 'closed')
        expect(program).toMatchObject({ text: 'HELLO.', reason: undefined })
        expect(mesh.nodes.b.connections[0]).toMatchObject({
          source: { identity: 'spiffe://cluster.local/ns/default/sa/proxy', address: '10.244.1.4:4711' },
          destination: { workload: 'echo' },
        })
      },
    )

    it('leads what has passed a waypoint to no other one, and what has not to that alone', async () => {
      mesh.service('echo', '10.96.0.10', { scope: 'GLOBAL', waypoint: { ...GATEWAY.networkGateway, ...NOBODY } })
      const program = await mesh.through(await mesh.proxy('waypoint'))
      program.say('past')
      await ground.until(() => program.text === 'PAST')
      await expect(mesh.through(await mesh.proxy('sidecar'))).rejects.toThrow('http status: 503 Service Unavailable')
      expect(mesh.nodes.servers).toHaveLength(1)
    })

    it('lets no proxy of requests take another for the service’s own', async () => {
      const cluster = await mesh.proxy('waypoint')
      const impostor = workloadOf('echo', 'b', '10.244.2.5', {
        ...{ network: 'west', services: echoServices, ...GATEWAY, serviceAccount: 'other' },
      })
      mesh.nodes.a.ztunnel.state.apply(ADDRESS_TYPE, [{ name: impostor.uid, resource: { workload: impostor } }], [])
      await expect(mesh.through(cluster)).rejects.toThrow('peer did not present the expected SAN')
      expect(mesh.nodes.servers).toHaveLength(0)
    })

    it('cuts what it carries when it goes away, and the pool forgets it', async () => {
      const { program } = await mesh.nodes.dial('curl', 'echo', 80, 'a')
      await ground.until(() => program.text === 'A')
      await mesh.gateway[Symbol.asyncDispose]()
      await ground.until(() => program.closed)
      expect((await mesh.refusal()).flags).toBe('CONNECT')
    })

    it('drains: what stands may end, then it is gone', async () => {
      const { program } = await mesh.nodes.dial('curl', 'echo', 80, 'a')
      await ground.until(() => program.text === 'A')
      const drained = mesh.gateway.drain()
      program.say('b')
      await ground.until(() => program.text === 'AB')
      program.stream.end()
      await ground.until(() => program.closed)
      expect(program.reason).toBeUndefined()
      await drained
    })
  })
}

function globalEcho(): Service {
  const addresses = ['east', 'west'].map((network) => ({ network, address: '10.96.0.10' }))
  return serviceOf('echo', '10.96.0.10', { addresses, scope: 'GLOBAL' })
}
