import type { HttpAuthorization } from '@ambient-lab/policy'
import type { Route } from '@ambient-lab/xds'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { clusterOf, forwardRoute } from '../waypoint/mesh-with-waypoint.conformance.ts'
import { encodeProxyHeader } from '../ztunnel/proxy-protocol.ts'
import { type Ground, Program, serviceOf, workloadOf } from '../ztunnel/two-nodes.conformance.ts'
import { GROUP, MeshWithSidecars, SHOP, tcpRoute } from './mesh-with-sidecars.conformance.ts'

const SHOP_URI = 'spiffe://cluster.local/ns/default/sa/shop'
const CLIENT_URI = 'spiffe://cluster.local/ns/default/sa/client'
const CURL_URI = 'spiffe://cluster.local/ns/default/sa/curl'

/** What sidecars promise, whatever they run on. */
export function describeSidecars(title: string, makeGround: () => Ground): void {
  describe(title, () => {
    let mesh: MeshWithSidecars
    beforeEach(async () => {
      mesh = new MeshWithSidecars(makeGround())
      await mesh.start()
    })
    afterEach(() => mesh.stop())
    const heads = () => mesh.server.requests.map(({ head }) => head)

    it('carry a request from one to the other, and each tells of it', async () => {
      const answer = await mesh.get('client', '/hello')
      expect(answer).toMatchObject({ status: 200, body: 'GET /hello', headers: { server: 'envoy' } })
      const [head] = heads()
      expect(head!.headers.get('x-forwarded-client-cert')).toBe(`By=${SHOP_URI};Subject="";URI=${CLIENT_URI}`)
      expect(mesh.client.lines).toEqual(['200 - via_upstream shop'])
      expect(mesh.shop.lines).toEqual(['200 - via_upstream inbound|8080||'])
      expect(mesh.client.metrics.expose()).toMatch(
        new RegExp(
          `istio_requests_total\\{reporter="source",source_workload="client",.*source_principal="${CLIENT_URI}",.*` +
            `destination_workload="shop",.*destination_service="shop.default.svc.cluster.local",.*` +
            'connection_security_policy="unknown"\\} 1',
        ),
      )
      expect(mesh.shop.metrics.expose()).toMatch(
        new RegExp(
          `istio_requests_total\\{reporter="destination",source_workload="client",.*source_principal="${CLIENT_URI}",.*` +
            `destination_workload="shop",.*destination_principal="${SHOP_URI}",.*` +
            'destination_service="shop.default.svc.cluster.local",.*connection_security_policy="mutual_tls"\\} 1',
        ),
      )
    })

    it('count who talks to whom: requests, and connections whose bytes nobody reads', async () => {
      for (let count = 0; count < 2; count += 1) await mesh.get('client')
      const ends = { sourceWorkload: 'client', destinationWorkload: 'shop', connectionSecurityPolicy: 'mutual_tls' }
      const principals = { sourcePrincipal: CLIENT_URI, destinationPrincipal: SHOP_URI }
      const shop = { ...ends, ...principals, opened: 2, closed: 2, failed: 0, bytesReceived: 10 }
      expect(mesh.client.proxy.edges()).toMatchObject([{ ...shop, reporter: 'source', node: 'a' }])
      expect(mesh.shop.proxy.edges()).toMatchObject([{ ...shop, reporter: 'destination', node: 'b' }])
      const { program } = await mesh.nodes.dial('client', 'echo', 80, 'hello')
      await mesh.ground.until(() => program.text === 'HELLO')
      const echo = () => mesh.client.proxy.edges().find(({ destinationWorkload }) => destinationWorkload === 'echo')
      expect(echo()).toMatchObject({ reporter: 'source', opened: 1, closed: 0 })
      program.stream.end()
      await mesh.ground.until(() => echo()?.closed === 1)
      expect(echo()).toMatchObject({ opened: 1, bytesSent: 5, bytesReceived: program.received.length, failed: 0 })
    })

    it('tell of each of their sides what that side is to tell', async () => {
      const silent = { accessLog: { enabled: false, encoding: 'TEXT' as const } }
      mesh.proxy(mesh.client, { outboundTelemetry: { ...silent, disabledMetrics: ['REQUEST_COUNT'] } })
      mesh.proxy(mesh.shop, { outboundTelemetry: silent })
      const before = mesh.shop.lines.length
      expect(await mesh.get('client')).toMatchObject({ status: 200 })
      expect(mesh.client.lines).toEqual([])
      expect(mesh.shop.lines).toHaveLength(before + 1)
      const told = (pod: typeof mesh.client) => pod.metrics.expose().match(/^istio_\w+_(total|count)\{/gm) ?? []
      expect(told(mesh.client)).not.toContain('istio_requests_total{')
      expect(told(mesh.client)).toContain('istio_request_duration_milliseconds_count{')
      expect(told(mesh.shop)).toContain('istio_requests_total{')
    })

    it('take what a ztunnel brings, with the identity of its workload', async () => {
      const answer = await mesh.get('curl', '/')
      expect(answer).toMatchObject({ status: 200, headers: { server: 'istio-envoy' } })
      expect(heads()[0]!.headers.get('x-forwarded-client-cert')).toContain(`URI=${CURL_URI}`)
    })

    it('bring requests of several clients to the workload on one connection, which tells nothing of them', async () => {
      for (const caller of ['client', 'curl', 'bare']) expect((await mesh.get(caller)).status).toBe(200)
      expect(mesh.server.connections).toHaveLength(1)
    })

    it('reach workloads of a ztunnel through its tunnel', async () => {
      const { program, reply } = await mesh.nodes.dial('client', 'echo', 80, 'hello')
      expect(reply).toBe(0)
      await mesh.ground.until(() => program.text === 'HELLO')
      expect(mesh.nodes.b.connections).toMatchObject([
        { direction: 'inbound', protocol: 'HBONE', source: { workload: 'client', identity: CLIENT_URI } },
      ])
    })

    it('pass by the waypoint of a service', async () => {
      const hostname = { namespace: 'default', hostname: 'waypoint.default.svc.cluster.local' }
      mesh.addresses([{ service: serviceOf('shop', '10.96.0.30', { waypoint: { hostname, hboneMtlsPort: 15008 } }) }])
      // There is none: whoever asks it fails.
      expect((await mesh.nodes.dial('curl', 'shop', 80)).reply).not.toBe(0)
      expect(await mesh.get('client')).toMatchObject({ status: 200 })
    })

    it('refuse requests by policy at the side of the workload', async () => {
      const deny: HttpAuthorization = {
        ...{ name: 'no-delete', namespace: 'default', action: 'DENY', dryRun: false },
        rules: [{ index: 0, clauses: [{ part: 'to', matches: [{ methods: [{ exact: 'DELETE' }] }] }] }],
      }
      mesh.inbound({}, { authorization: [deny] })
      for (const caller of ['client', 'curl', 'bare']) {
        expect(await mesh.get(caller, '/', { method: 'DELETE' })).toMatchObject({
          ...{ status: 403, body: 'RBAC: access denied' },
        })
        expect(await mesh.get(caller)).toMatchObject({ status: 200 })
      }
      expect(heads().map(({ method }) => method)).toEqual(['GET', 'GET', 'GET'])
      const [told] = mesh.client.proxy.requests({}).requests
      expect(told).toMatchObject({
        ...{ kind: 'sidecar', proxy: 'default/client', method: 'DELETE', status: 403, state: 'answered' },
        source: { workload: 'client', namespace: 'default' },
      })
      const refused = mesh.shop.proxy.requests({ id: told!.id }).requests
      expect(refused).toMatchObject([{ proxy: 'default/shop', state: 'refused', source: { identity: CLIENT_URI } }])
      const { uid } = mesh.shop
      const { checkpoints } = await mesh.shop.proxy.review({ at: 'request', uid, serial: refused[0]!.serial })
      expect(checkpoints.at(-1)).toMatchObject({ at: 'sidecar default/shop', point: 'deny', verdict: 'denied' })
      const counted = { destinationWorkload: 'shop', opened: 1, failed: 1, denied: 1 }
      expect(mesh.shop.proxy.edges()).toMatchObject([
        { ...counted, sourceWorkload: 'client', connectionSecurityPolicy: 'mutual_tls' },
        { ...counted, sourceWorkload: 'curl', connectionSecurityPolicy: 'mutual_tls' },
        { ...counted, sourceWorkload: 'bare', connectionSecurityPolicy: 'unknown' },
      ])
      expect(mesh.shop.metrics.expose()).toMatch(/istio_requests_total\{.*destination_workload="shop".*"403"/)
    })

    it('let plaintext in unless they want mutual TLS', async () => {
      expect(await mesh.get('bare')).toMatchObject({ status: 200 })
      expect(heads()[0]!.headers.has('x-forwarded-client-cert')).toBe(false)
      mesh.inbound({ mutualTls: 'STRICT' })
      const { program } = await mesh.nodes.dial('bare', 'shop', 80, 'GET / HTTP/1.1\r\nhost: shop\r\n\r\n')
      await mesh.ground.until(() => program.closed)
      expect(program.text).toBe('')
      expect(mesh.shop.lines.at(-1)).toBe('0 NR filter_chain_not_found -')
      expect(mesh.shop.proxy.edges()).toMatchObject([{ sourceWorkload: 'bare', opened: 1, failed: 1, denied: 1 }])
      expect(await mesh.get('client')).toMatchObject({ status: 200 })
      expect(await mesh.get('curl')).toMatchObject({ status: 200 })
    })

    it('do without mutual TLS among themselves where the other one does, port by port', async () => {
      const identity = () => mesh.server.requests.at(-1)!.head.headers.has('x-forwarded-client-cert')
      const underlay = mesh.shop.proxy.sidecarAddresses['15006']!
      const say = (plaintext: boolean, exceptPorts: number[]) => {
        const services = { [SHOP]: [] }
        const sidecar = { underlay, plaintext, exceptPorts }
        mesh.addresses([{ workload: mesh.workloadOf(mesh.shop, { services, sidecar }) }])
      }
      say(true, [])
      await mesh.get('client')
      expect(identity()).toBe(false)
      await mesh.get('curl') // who is ambient tunnels in any case
      expect(identity()).toBe(true)
      say(true, [8080])
      await mesh.get('client')
      expect(identity()).toBe(true)
      say(false, [8080])
      await mesh.get('client')
      expect(identity()).toBe(false)
    })

    it('do not trust what a peer claims of its address', async () => {
      const { state } = mesh.shop.proxy
      // curl's address belongs to another identity, as far as the destination knows.
      const workload = { ...state.current.workload('Kubernetes//Pod/default/curl')!, serviceAccount: 'other' }
      mesh.shop.proxy.apply(
        'type.googleapis.com/istio.workload.Address',
        [{ name: workload.uid, resource: { workload } }],
        [],
      )
      expect((await mesh.nodes.dial('curl', 'shop', 80)).reply).not.toBe(0)
      expect(mesh.nodes.a.connections.at(-1)?.error).toContain('400')
    })

    it('are not passed by: nobody but them answers for their pod', async () => {
      const { program } = await plainTo(mesh, mesh.nodes.b.ztunnel.addresses.underlay, 8080)
      await mesh.ground.until(() => program.closed)
      expect(heads()).toEqual([])
    })

    it('answer for no pod but their own', async () => {
      const { program } = await plainTo(mesh, mesh.shop.proxy.sidecarAddresses['15006']!, 8080, '10.244.2.5')
      await mesh.ground.until(() => program.closed)
      expect(heads()).toEqual([])
    })

    it('take ports that no chain is for by the one for all others', async () => {
      mesh.shop.targets.set(9999, mesh.server.address)
      const { program } = await plainTo(mesh, mesh.shop.proxy.sidecarAddresses['15006']!, 9999)
      await mesh.ground.until(() => program.closed)
      expect(mesh.shop.lines.at(-1)).toContain('filter_chain_not_found')
      mesh.chain({
        ...{ name: `${mesh.shop.uid}|inbound|0`, proxy: mesh.shop.uid, match: { kind: 'inbound', port: 0 } },
        tcp: { routes: [tcpRoute('InboundPassthroughCluster')] },
      })
      const second = await plainTo(mesh, mesh.shop.proxy.sidecarAddresses['15006']!, 9999)
      expect(await mesh.exchange(second.program, 'GET /any HTTP/1.1\r\nhost: x\r\n\r\n')).toMatchObject({
        body: 'GET /any',
      })
    })

    it('say that the application does not listen', async () => {
      mesh.shop.targets.clear()
      expect(await mesh.get('client')).toMatchObject({ status: 503 })
      expect(mesh.shop.lines[0]).toMatch(/^503 UF upstream_reset_before_response_started\{remote_connection_failure/)
    })

    it('leave a workload alone that dials itself', async () => {
      mesh.client.targets.set(8080, mesh.server.address)
      const answer = await mesh.get('client', '/self', { to: '10.244.1.20', port: 8080 })
      expect(answer).toMatchObject({ status: 200, body: 'GET /self' })
      expect(mesh.client.lines).toEqual([])
      expect((await mesh.nodes.dial('client', '10.244.1.20', 9999)).reply).toBe(5)
    })

    describe('on the way out', () => {
      it('go by the Host of a request, whatever address was dialled', async () => {
        const { body } = await mesh.get('client', '/', { to: '192.0.2.7' })
        expect(body).toBe('GET /')
        expect(mesh.client.lines).toEqual(['200 - via_upstream shop'])
      })

      it('pass on to where the workload was going what no service is', async () => {
        // A pod that was dialled past its service is sent to in the clear, as Istio's sidecars do it.
        const { program } = await mesh.nodes.dial('client', '10.244.2.20', 8080)
        expect(await mesh.exchange(program, 'GET / HTTP/1.1\r\nhost: x\r\n\r\n')).toMatchObject({ status: 200 })
        program.stream.end()
        await mesh.ground.until(() => mesh.client.lines.length > 0)
        expect(heads()[0]!.headers.has('x-forwarded-client-cert')).toBe(false)
        expect(mesh.client.lines).toEqual(['0 - - PassthroughCluster'])
        const byHost = await mesh.get('client', '/', { host: 'unknown', to: 'shop' })
        expect(byHost).toMatchObject({ status: 503 }) // nobody listens at a virtual address
        expect(mesh.client.lines.at(-1)).toContain('PassthroughCluster')
      })

      it('block what no service is where only the registry counts', async () => {
        mesh.proxy(mesh.client, { outbound: { mode: 'REGISTRY_ONLY' } })
        expect(await mesh.get('client', '/', { host: 'unknown' })).toMatchObject({ status: 502 })
        expect(mesh.client.lines).toEqual(['502 - direct_response -'])
        const { program } = await mesh.nodes.dial('client', '192.0.2.7', 9000, 'hello')
        await mesh.ground.until(() => program.closed)
        expect(mesh.client.lines.at(-1)).toBe('0 UH - BlackHoleCluster')
        expect(await mesh.get('client')).toMatchObject({ status: 200 })
      })

      it('know only the services that their egress lists', async () => {
        mesh.proxy(mesh.client, {
          outbound: { mode: 'REGISTRY_ONLY', hosts: ['default/echo.default.svc.cluster.local'] },
        })
        const { program } = await mesh.nodes.dial('client', 'shop', 80, 'GET / HTTP/1.1\r\nhost: shop\r\n\r\n')
        await mesh.ground.until(() => program.closed)
        expect(mesh.client.lines.at(-1)).toBe('0 UH - BlackHoleCluster')
        mesh.proxy(mesh.client, { outbound: { mode: 'REGISTRY_ONLY', hosts: ['*/shop.default.svc.cluster.local'] } })
        expect(await mesh.get('client')).toMatchObject({ status: 200 })
      })

      it('have the routes of their own labels only', async () => {
        const reply = (status: number, sourceLabels?: Record<string, string>): Route => ({
          ...{ name: String(status), match: sourceLabels ? { sourceLabels } : {} },
          action: { kind: 'direct-response', status },
        })
        mesh.outbound([reply(201, { app: 'other' }), reply(202, { app: 'client' }), reply(203)])
        expect(await mesh.get('client')).toMatchObject({ status: 202 })
      })

      it('leave alone what is another namespace’s, and follow each change', async () => {
        const teapot = [forwardRoute({ action: { kind: 'direct-response', status: 418 } })]
        mesh.outbound(teapot, { name: 'x', proxy: 'sidecars//other' })
        expect(await mesh.get('client')).toMatchObject({ status: 200 })
        const { program } = await mesh.nodes.dial('client', 'shop', 80)
        const request = 'GET / HTTP/1.1\r\nhost: shop\r\n\r\n'
        expect(await mesh.exchange(program, request)).toMatchObject({ status: 200 })
        mesh.outbound(teapot)
        program.received = new Uint8Array()
        expect(await mesh.exchange(program, request)).toMatchObject({ status: 418 })
      })

      it('find out by the first bytes what nobody declared', async () => {
        mesh.outbound([forwardRoute({}, 'shop')], { sniff: true, tcp: { routes: [tcpRoute('echo')] } }, ['*'])
        expect(await mesh.get('client', '/', { host: 'whatever' })).toMatchObject({ status: 200 })
        const { program } = await mesh.nodes.dial('client', 'shop', 80, 'hello')
        await mesh.ground.until(() => program.text === 'HELLO')
      })

      it('lead to the pod that was dialled of a headless service', async () => {
        const ports = [{ servicePort: 8080, targetPort: 8080, appProtocol: 'HTTP11' as const }]
        mesh.addresses([
          { service: serviceOf('shop', '', { ports }) },
          { workload: workloadOf('gone', 'nowhere', '10.244.9.9', { services: { [SHOP]: [] }, capacity: 1000 }) },
        ])
        mesh.clusters([clusterOf('headless', { endpoints: { kind: 'service', service: SHOP, servicePort: 8080 } })])
        mesh.outbound([forwardRoute({}, 'headless')], {
          ...{ name: `${GROUP}|shop|8080`, match: { kind: 'service', service: SHOP, port: 8080 } },
        })
        for (let call = 0; call < 5; call += 1) {
          const answer = await mesh.get('client', '/', { to: '10.244.2.20', port: 8080 })
          expect(answer).toMatchObject({ status: 200 })
        }
        expect(heads()[0]!.headers.get('x-forwarded-client-cert')).toContain(CLIENT_URI)
      })

      it('refuse names that nobody knows, and their own ports', async () => {
        expect((await mesh.nodes.dial('client', 'nobody', 80)).reply).not.toBe(0)
        const { program } = await mesh.nodes.dial('client', '192.0.2.7', 15001, 'hello')
        await mesh.ground.until(() => program.closed)
        expect(mesh.client.lines).toEqual(['0 UH - BlackHoleCluster'])
        expect((await mesh.nodes.dial('client', '127.0.0.1', 15001)).reply).not.toBe(0)
      })
    })

    it('drain: nothing new comes in, and what is under way is answered', async () => {
      let answer = () => {}
      mesh.server.handler = (request) => {
        answer = () => request.connection.answer(request, { body: 'late' })
        return 'silence'
      }
      const { program } = await mesh.nodes.dial('client', 'shop', 80)
      program.say('GET / HTTP/1.1\r\nhost: shop\r\n\r\n')
      await mesh.ground.until(() => heads().length === 1)
      let isDrained = false
      void mesh.client.proxy.drain().then(() => {
        isDrained = true
      })
      answer()
      await mesh.ground.until(() => program.text.endsWith('late'))
      await mesh.ground.until(() => (program.closed || program.ended) && isDrained)
      await expect(mesh.nodes.dial('client', 'shop', 80)).rejects.toThrow()
    })
  })
}

/** A peer's plain connection as it arrives on an underlay listener. */
async function plainTo(
  mesh: MeshWithSidecars,
  listener: { host: string; port: number },
  port: number,
  pod = '10.244.2.20',
) {
  const stream = await mesh.ground.network.dial(listener, { timeoutMs: 1000 })
  const program = new Program(stream)
  stream.write(encodeProxyHeader({ address: '10.244.1.5', port: 40_000 }, { address: pod, port }))
  return { program }
}
