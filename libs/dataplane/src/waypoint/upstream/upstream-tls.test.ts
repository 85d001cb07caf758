import type { AddressInfo } from 'node:net'
import { createServer, type PeerCertificate, type TLSSocket } from 'node:tls'
import { systemClock } from '@ambient-lab/std'
import { eventually, TestCertificates } from '@ambient-lab/testing'
import { CLUSTER_TYPE, type UpstreamTls } from '@ambient-lab/xds'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { NodeNetwork } from '../../plain-network.ts'
import { NodeStream } from '../../stream/node-stream.ts'
import { WsMtlsTransport } from '../../tunnel/ws-mtls-transport.ts'
import { parseProxyHeader } from '../../ztunnel/proxy-protocol.ts'
import { ServerConnection } from '../http-server.conformance.ts'
import { clusterOf, MeshWithWaypoint } from '../mesh-with-waypoint.conformance.ts'
import { checkNames } from './upstream-tls.ts'

const certificates = new TestCertificates()
const shop = certificates.svid('default/shop')
const client = certificates.svid('default/client')
const SHOP = 'spiffe://cluster.local/ns/default/sa/shop'
const caPem = certificates.bundle.rootsPem.join('\n')

const SIMPLE: UpstreamTls = {
  mode: 'SIMPLE',
  sni: 'shop.example',
  subjectAltNames: [SHOP],
  caPem,
  insecureSkipVerify: false,
}
const { caPem: _, ...SYSTEM_ROOTS } = SIMPLE

describe('TLS to an endpoint, inside the tunnel', () => {
  let mesh: MeshWithWaypoint
  let server: ReturnType<typeof createServer>
  const sockets: TLSSocket[] = []
  beforeEach(async () => {
    mesh = new MeshWithWaypoint({
      clock: systemClock,
      network: new NodeNetwork({ clock: systemClock }),
      transport: (svids) => new WsMtlsTransport({ clock: systemClock, svids }),
      until: async (condition) => {
        await eventually(() => expect(condition()).toBe(true))
      },
    })
    await mesh.start()
    server = createServer(
      {
        cert: shop.chainPem,
        key: shop.privateKeyPem,
        ca: caPem,
        requestCert: true,
        rejectUnauthorized: false,
        ALPNProtocols: ['h2', 'http/1.1'],
        allowHalfOpen: true,
      },
      (socket) => {
        sockets.push(socket)
        new ServerConnection(new NodeStream(socket), mesh.servers[0])
      },
    )
    server.on('tlsClientError', () => {})
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    for (const name of ['web-0', 'web-1']) {
      mesh.targets.set(name, { host: '127.0.0.1', port: (server.address() as AddressInfo).port })
    }
  })
  afterEach(async () => {
    await mesh.stop()
    for (const socket of sockets.splice(0)) socket.destroy()
    server.close()
  })

  it('is SIMPLE: the certificate has to be of a known root, and for one of the names', async () => {
    mesh.cluster(clusterOf('web', { tls: SIMPLE }))
    expect(await mesh.get('/a')).toMatchObject({ status: 200, body: 'GET /a' })
    expect(sockets.map((socket) => [socket.servername, socket.alpnProtocol, socket.authorized])).toEqual([
      ['shop.example', false, false],
    ])
  })

  it('is MUTUAL: the endpoint sees who asks', async () => {
    const keys = { certificatePem: client.chainPem, keyPem: client.privateKeyPem }
    mesh.cluster(clusterOf('web', { tls: { ...SIMPLE, ...keys, mode: 'MUTUAL' } }))
    expect(await mesh.get()).toMatchObject({ status: 200 })
    expect(sockets[0]?.authorized).toBe(true)
    expect(sockets[0]?.getPeerCertificate().subjectaltname).toBe('URI:spiffe://cluster.local/ns/default/sa/client')
  })

  it('carries a body both ways', async () => {
    mesh.cluster(clusterOf('web', { tls: SIMPLE }))
    const sent = 'x'.repeat(300_000)
    mesh.servers[0].handler = ({ body }) => ({ body: body.toString().toUpperCase() })
    const head = `POST / HTTP/1.1\r\nhost: web\r\ncontent-length: ${sent.length}\r\n\r\n`
    const { body } = await mesh.exchange(await mesh.dial(), head + sent)
    expect(body === sent.toUpperCase()).toBe(true)
  })

  it.each<[string, UpstreamTls, RegExp]>([
    ['another name', { ...SIMPLE, subjectAltNames: [], sni: 'shop.example' }, /not for shop\.example/],
    ['another identity', { ...SIMPLE, subjectAltNames: [`${SHOP}2`] }, /not for spiffe:/],
    ['a root that nobody knows', SYSTEM_ROOTS, /TLS error: /],
    ['no root at all', { ...SIMPLE, caPem: '' }, /TLS error: /],
  ])('does not speak with %s', async (_title, tls, reason) => {
    mesh.cluster(clusterOf('web', { tls }))
    const { status, body } = await mesh.get()
    expect(status).toBe(503)
    expect(body).toMatch(/^upstream connect error or disconnect\/reset before headers/)
    expect(body).toMatch(reason)
    expect(mesh.servers[0].requests).toEqual([])
  })

  it('speaks with anybody who is not to be verified', async () => {
    mesh.cluster(clusterOf('web', { tls: { ...SIMPLE, subjectAltNames: [], caPem: '', insecureSkipVerify: true } }))
    expect(await mesh.get()).toMatchObject({ status: 200 })
  })

  it('is what a TCP route goes through too', async () => {
    mesh.cluster(clusterOf('web', { tls: SIMPLE, protocol: 'tcp' }))
    const backends = [{ cluster: 'web', weight: 1 }]
    mesh.chain({ tcp: { routes: [{ name: 'tcp', serverNames: [], destinationCidrs: [], backends }] } })
    expect(await mesh.get('/raw')).toMatchObject({ status: 200, body: 'GET /raw' })
    expect(sockets).toHaveLength(1)
  })

  it('gives up when the endpoint says nothing', async () => {
    const silent = await mesh.ground.network.listen({ host: '127.0.0.1', port: 0 }, (stream) => {
      stream.start({ onData() {}, onEnd() {}, onDrain() {}, onClose() {} })
    })
    for (const name of ['web-0', 'web-1']) mesh.targets.set(name, silent.address)
    mesh.cluster(clusterOf('web', { tls: SIMPLE, connectTimeoutMs: 50 }))
    expect(await mesh.get()).toMatchObject({ status: 503, body: expect.stringContaining('connection timeout') })
    await silent[Symbol.asyncDispose]()
  })

  it('refuses keys that are none, and goes on with what was there', async () => {
    const broken = clusterOf('web', { tls: { ...SIMPLE, certificatePem: 'nonsense', keyPem: 'nonsense' } })
    const [error] = mesh.waypoint.apply(CLUSTER_TYPE, [{ name: 'web', resource: broken }], [])
    expect(error).toMatchObject({ name: 'web' })
    const shape = { ...clusterOf('web'), tls: { mode: 'SIMPLE' } }
    expect(mesh.waypoint.apply(CLUSTER_TYPE, [{ name: 'web', resource: shape }], [])).toMatchObject([{ name: 'web' }])
  })

  it.each(['V1', 'V2'] as const)('comes behind a PROXY protocol header, version %s', async (proxyProtocol) => {
    const [plain] = mesh.servers
    for (const name of ['web-0', 'web-1']) mesh.targets.set(name, plain.address)
    mesh.cluster(clusterOf('web', { proxyProtocol }))
    const program = await mesh.dial()
    program.say('GET / HTTP/1.1\r\nhost: web\r\n\r\n')
    await mesh.ground.until(() => plain.connections[0]?.received[0] !== undefined)
    const first = plain.connections[0]!.received[0]!
    if (proxyProtocol === 'V1') {
      expect(Buffer.from(first).toString()).toMatch(/^PROXY TCP4 10\.244\.1\.4 10\.96\.0\.20 \d+ 80\r\n/)
    } else {
      const destination = { address: '10.96.0.20', port: 80 }
      expect(parseProxyHeader(first)).toMatchObject({ header: { source: { address: '10.244.1.4' }, destination } })
    }
  })
})

describe('checkNames', () => {
  const certificate = {
    subject: {},
    subjectaltname: 'DNS:*.a.test, DNS:b.test, IP Address:10.0.0.1, URI:spiffe://t/a',
  }
  it.each([
    ['x.a.test', true],
    ['x.y.a.test', false],
    ['a.test', false],
    ['B.test', true],
    ['10.0.0.1', true],
    ['10.0.0.2', false],
    ['spiffe://t/a', true],
    ['spiffe://t/ab', false],
  ])('%s: %s', (name, holds) => {
    expect(checkNames(certificate as PeerCertificate, [name]) === undefined).toBe(holds)
    expect(checkNames(certificate as PeerCertificate, ['other.test', name]) === undefined).toBe(holds)
  })
})
