import { CertificateAuthority } from '@ambient-lab/pki'
import { ADDRESS_TYPE } from '@ambient-lab/xds'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { ByteStream } from '../stream/byte-stream.ts'
import { type Ground, serviceOf, TwoNodes, workloadOf } from './two-nodes.conformance.ts'

/** So that each rotation comes within a second or two: a certificate is renewed at half of its life. */
const ROTATING_TTL_SECONDS = 2

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

    it('makes two spans of each tunnelled connection, the destination’s below the source’s', async () => {
      const { program } = await mesh.dial('curl', 'echo', 80, 'abc')
      await mesh.ground.until(() => program.text === 'ABC')
      program.stream.end()
      await mesh.ground.until(() => mesh.a.spans.length === 1 && mesh.b.spans.length === 1)
      const [source] = mesh.a.spans
      const [destination] = mesh.b.spans
      expect(source).toMatchObject({
        ...{
          service: 'curl.default',
          parentSpanId: '',
          name: 'outbound echo.default.svc.cluster.local',
          isError: false,
        },
        attributes: {
          'src.workload': 'curl',
          'dst.workload': 'echo',
          bytes_sent: '3',
          bytes_recv: '4',
          response_flags: '-',
        },
      })
      expect(destination).toMatchObject({
        service: 'echo.default',
        traceId: source!.traceId,
        parentSpanId: source!.spanId,
      })
      expect(source!.traceId).toBe(mesh.a.connections[0]!.traceId)
      mesh.policy('allow-nothing', {})
      await mesh.dial('curl', 'echo', 80)
      expect(mesh.b.spans[1]).toMatchObject({ isError: true, attributes: { response_flags: 'DENY' } })
      expect(mesh.a.spans[1]).toMatchObject({ isError: true, attributes: { error: 'http status: 401 Unauthorized' } })
    })

    it('changes its root while connections come and go, and not one fails', async () => {
      const rotating = new TwoNodes(makeGround(), ROTATING_TTL_SECONDS)
      await rotating.start()
      const { clock } = rotating.ground
      const before = rotating.certificates.authority
      const after = CertificateAuthority.create({ clock })
      const both = [...before.rootsPem, ...after.rootsPem]
      const steps = [
        CertificateAuthority.load({ clock }, { ...before.serialize(), rootsPem: both }),
        CertificateAuthority.load({ clock }, { ...after.serialize(), rootsPem: both.toReversed() }),
        after,
      ]
      const standing = await rotating.dial('curl', 'echo', 80, 'hello')
      for (const authority of steps) {
        rotating.signer = { sign: async (csrPem, ttlSeconds) => authority.signWorkload(csrPem, ttlSeconds) }
        const isFrom = ({ svids }: TwoNodes['a'], account: string) => {
          const state = svids.state(rotating.certificates.id(`default/${account}`))
          return state?.phase === 'Available' && state.svid.bundle.equals(authority.bundle)
        }
        const isDone = () => isFrom(rotating.a, 'curl') && isFrom(rotating.b, 'echo')
        while (!isDone()) {
          const { program, reply } = await rotating.dial('curl', 'echo', 80, 'x')
          expect(reply).toBe(0)
          await rotating.ground.until(() => program.text === 'X')
          program.stream.end()
          const laterMs = clock.monotonic() + 20
          await rotating.ground.until(() => clock.monotonic() >= laterMs)
        }
      }
      standing.program.say(' again')
      await rotating.ground.until(() => standing.program.text === 'HELLO AGAIN')
      expect(rotating.a.connections.filter(({ state }) => state === 'failed')).toEqual([])
      await rotating.stop()
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

    it('closes what a removed workload still drains when policies change, which nobody can ask about it', async () => {
      const { program } = await mesh.dial('curl', 'echo', 80, 'hello')
      await mesh.ground.until(() => program.text === 'HELLO')
      const removed = mesh.b.ztunnel.removeWorkload('Kubernetes//Pod/default/echo')
      mesh.b.ztunnel.state.apply(ADDRESS_TYPE, [], ['Kubernetes//Pod/default/echo'])
      program.say(' still')
      await mesh.ground.until(() => program.text === 'HELLO STILL')
      mesh.policy('unrelated', { action: 'DENY', rules: [{ clauses: [{ matches: [{ destinationPorts: [1] }] }] }] })
      await mesh.ground.until(() => program.closed && mesh.servers[0]!.closed)
      await removed
      expect(mesh.b.connections[0]!.error).toBe('connection closed due to policy change')
    })

    it('reaches the pod at whose address somebody wrote an endpoint by hand', async () => {
      const services = { 'default/manual.default.svc.cluster.local': [{ servicePort: 80, targetPort: 8080 }] }
      const uid = 'Kubernetes/discovery.k8s.io/EndpointSlice/default/manual/10.244.2.5'
      mesh.push(ADDRESS_TYPE, [
        { service: serviceOf('manual', '10.96.0.30') },
        {
          workload: workloadOf('manual', '', '10.244.2.5', {
            ...{ uid, services, tunnelProtocol: 'NONE', networkMode: 'HOST_NETWORK' },
          }),
        },
      ])
      const { program } = await mesh.dial('curl', 'manual', 80, 'hello')
      await mesh.ground.until(() => program.text === 'HELLO')
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

    it('lets plaintext pass a pod that has only its way out captured, unseen, and guards its tunnels', async () => {
      mesh.policy('closed', { action: 'DENY', rules: [{ clauses: [{ matches: [{ destinationPorts: [8080] }] }] }] })
      const { program, reply } = await mesh.dial('bare', '10.244.2.6', 8080, 'plain')
      expect(reply).toBe(0)
      await mesh.ground.until(() => program.text === 'PLAIN')
      expect(mesh.b.connections).toEqual([])
      expect((await mesh.dial('curl', '10.244.2.6', 8080)).reply).toBe(2)
      expect(mesh.b.connections).toMatchObject([{ state: 'failed', protocol: 'HBONE', responseFlags: 'DENY' }])
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

    describe('with an L4TrafficPolicy', () => {
      const traffic = (fields: object) => {
        const l4Traffic = { policy: 'default/p', ...fields }
        mesh.push(ADDRESS_TYPE, [{ service: serviceOf('echo', '10.96.0.10', { l4Traffic }) }])
      }
      const replies = async (count: number) => {
        const found: number[] = []
        for (let call = 0; call < count; call += 1) found.push((await mesh.dial('curl', 'echo', 80)).reply)
        return found
      }

      it('holds no more connections open than it allows', async () => {
        traffic({ connectionsMax: 1 })
        const { program } = await mesh.dial('curl', 'echo', 80, 'one')
        expect(await replies(1)).toEqual([4])
        expect(mesh.a.connections.find(({ responseFlags }) => responseFlags === 'UO')).toMatchObject({
          state: 'failed',
          error: 'connection limit of echo.default.svc.cluster.local reached: 1 (default/p)',
        })
        program.stream.end()
        await mesh.ground.until(() => program.closed && mesh.a.connections.some(({ state }) => state === 'closed'))
        expect(await replies(1)).toEqual([0])
      })

      it('lets no more begin than its rate', async () => {
        traffic({ localRate: { connections: 2, perMs: 3_600_000 } })
        expect(await replies(3)).toEqual([0, 0, 4])
        expect(mesh.a.connections.filter(({ responseFlags }) => responseFlags === 'RL')).toHaveLength(1)
      })

      it('tries another endpoint, leaves the broken one out, and records the connection once', async () => {
        const services = { 'default/echo.default.svc.cluster.local': [] }
        mesh.push(ADDRESS_TYPE, [
          { workload: workloadOf('broken', 'nowhere', '10.244.3.1', { services, capacity: 1e6 }) },
        ])
        traffic({
          connectRetries: 1,
          outlier: { consecutiveFailures: 1, baseEjectionMs: 3_600_000, ejectionPercentMax: 50 },
        })
        expect(await replies(3)).toEqual([0, 0, 0])
        expect(mesh.a.connections.map(({ destination }) => destination.workload)).toEqual(['echo', 'echo', 'echo'])
      })

      it('says when every endpoint that it lets be tried has failed', async () => {
        const services = { 'default/echo.default.svc.cluster.local': [] }
        const broken = (name: string, address: string) => ({
          workload: workloadOf(name, 'nowhere', address, { services, capacity: 1e6 }),
        })
        mesh.push(ADDRESS_TYPE, [broken('b1', '10.244.3.1'), broken('b2', '10.244.3.2'), broken('b3', '10.244.3.3')])
        traffic({ connectRetries: 1 })
        expect(await replies(1)).toEqual([1])
        expect(mesh.a.connections).toMatchObject([
          {
            responseFlags: 'URX',
            error: expect.stringMatching(/^connect failed on 2 endpoints, retry limit reached; the last: io error/),
          },
        ])
      })

      it('does not try again what policy denied', async () => {
        mesh.policy('allow-nothing', {})
        traffic({ connectRetries: 3 })
        expect(await replies(1)).toEqual([2])
        expect(mesh.b.connections).toHaveLength(1)
      })

      it.each([
        ['idle for too long', { idleTimeoutMs: 40 }, 'SI', 'connection closed after 40 ms of silence'],
        ['open for too long', { durationMaxMs: 40 }, 'DT', 'connection closed after its maximum duration of 40 ms'],
      ])('closes what is %s', async (_, fields, responseFlags, error) => {
        traffic(fields)
        const { program } = await mesh.dial('curl', 'echo', 80, 'hello')
        await mesh.ground.until(() => program.closed && mesh.a.connections[0]?.state === 'closed')
        expect(mesh.a.connections).toMatchObject([{ responseFlags, error }])
      })
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

    it('leads no tunnel to another pod that was given the address of the one it was opened to', async () => {
      const { program } = await mesh.dial('curl', 'echo', 80, 'hello')
      await mesh.ground.until(() => program.text === 'HELLO')
      const echo = 'Kubernetes//Pod/default/echo'
      const removed = mesh.b.ztunnel.removeWorkload(echo)
      const strangers: ByteStream[] = []
      const listener = await mesh.ground.network.listen({ host: '127.0.0.1', port: 0 }, (stream) => {
        strangers.push(stream)
      })
      // The client's node has not heard of it: it still means echo, and expects echo's certificate.
      const stranger = workloadOf('stranger', 'b', '10.244.2.5')
      const { state } = mesh.b.ztunnel
      state.apply(ADDRESS_TYPE, [{ name: stranger.uid, resource: { workload: stranger } }], [echo])
      await mesh.run(mesh.b, 'stranger', '10.244.2.5', true, listener.address)
      expect((await mesh.dial('curl', 'echo', 80, 'secret')).reply).not.toBe(0)
      program.say(' still')
      await mesh.ground.until(() => program.text === 'HELLO STILL')
      await mesh.ground.until(() => program.closed)
      await removed
      expect(strangers).toEqual([])
      await listener[Symbol.asyncDispose]()
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
