import { request as httpRequest, type IncomingMessage } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { connect as connectTls } from 'node:tls'
import { systemClock } from '@ambient-lab/std'
import { eventually, TestCertificates } from '@ambient-lab/testing'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { NodeNetwork } from '../plain-network.ts'
import { WsMtlsTransport } from '../tunnel/ws-mtls-transport.ts'
import { forwardRoute, MeshWithWaypoint } from './mesh-with-waypoint.conformance.ts'

let mesh: MeshWithWaypoint

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
  mesh.proxy({
    kind: 'gateway',
    ports: [
      { port: 80, protocol: 'HTTP' },
      { port: 443, protocol: 'TLS' },
    ],
  })
  await mesh.ground.until(() => Object.keys(mesh.gatewayPorts).length === 2)
})
afterEach(() => mesh.stop())

const certificates = new TestCertificates()
const svid = certificates.svid('default/shop')

function textOf(response: IncomingMessage): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = ''
    response.on('data', (chunk: Buffer) => {
      text += chunk
    })
    response.on('end', () => resolve(text))
    response.on('error', reject)
  })
}

function get(
  port: '80' | '443',
  host: string,
  path: string,
  client: { readonly cert?: string; readonly key?: string } = {},
): Promise<IncomingMessage> {
  const { port: real } = mesh.gatewayPorts[port]!
  const init = { host: '127.0.0.1', port: real, path, headers: { host }, agent: false }
  return new Promise((resolve, reject) => {
    const made =
      port === '80'
        ? httpRequest(init, resolve)
        : httpsRequest({ ...init, servername: host, rejectUnauthorized: false, ...client }, resolve)
    made.on('error', reject).end()
  })
}

const http = (domain: string) => ({
  statPrefix: 'outbound_0.0.0.0_80',
  virtualHosts: [{ name: domain, domains: [domain], routes: [forwardRoute()] }],
})

it('lets a program outside of the mesh in by HTTP, with the fields of an edge', async () => {
  mesh.chain({ match: { kind: 'listener', port: 80, serverNames: [] }, http: http('shop.example') }, 'http')
  const response = await get('80', 'shop.example', '/cart')
  expect(response).toMatchObject({ statusCode: 200, headers: { server: 'istio-envoy' } })
  expect(await textOf(response)).toBe('GET /cart')
  const { headers } = mesh.servers.flatMap(({ requests }) => requests)[0]!.head
  expect([headers.get('x-forwarded-for'), headers.get('x-forwarded-proto')]).toEqual(['127.0.0.1', 'http'])
  expect((await get('80', 'other.example', '/')).statusCode).toBe(404)
  expect(mesh.metrics.expose()).toContain('istio_requests_total{reporter="source",source_workload="waypoint"')
})

it('ends TLS with the certificate of the server that is asked for, and lets no other in', async () => {
  const tls = {
    mode: 'SIMPLE' as const,
    certificates: [{ certificatePem: svid.chainPem, keyPem: svid.privateKeyPem }],
  }
  const match = { kind: 'listener', port: 443, serverNames: ['*.example'] } as const
  mesh.chain({ match, tls, http: http('*') }, 'https')
  const response = await get('443', 'shop.example', '/')
  expect(response.statusCode).toBe(200)
  expect(await textOf(response)).toBe('GET /')
  expect(mesh.servers.flatMap(({ requests }) => requests)[0]!.head.headers.get('x-forwarded-proto')).toBe('https')
  await expect(get('443', 'shop.other', '/')).rejects.toThrow()
})

it.each([
  ['MUTUAL', 'one of its authority', true],
  ['MUTUAL', 'one of another authority', false],
  ['MUTUAL', 'none', false],
  ['OPTIONAL_MUTUAL', 'one of another authority', true],
  ['OPTIONAL_MUTUAL', 'none', true],
] as const)('in mode %s a client that presents %s is let in: %s', async (mode, presented, isLetIn) => {
  const tls = {
    mode,
    certificates: [{ certificatePem: svid.chainPem, keyPem: svid.privateKeyPem }],
    clientCaPem: certificates.bundle.rootsPem.join('\n'),
  }
  mesh.chain({ match: { kind: 'listener', port: 443, serverNames: [] }, tls, http: http('*') }, 'https')
  const client = {
    'one of its authority': certificates.svid('default/browser'),
    'one of another authority': new TestCertificates().svid('default/browser'),
    none: undefined,
  }[presented]
  const answer = get('443', 'shop.example', '/', client && { cert: client.chainPem, key: client.privateKeyPem })
  const outcome = await answer.then(
    ({ statusCode }) => statusCode === 200,
    () => false,
  )
  expect(outcome).toBe(isLetIn)
})

it('lets TLS through by server name', async () => {
  const routes = [
    { name: 'tls', serverNames: ['a.example'], destinationCidrs: [], backends: [{ cluster: 'web', weight: 1 }] },
  ]
  const match = { kind: 'listener', port: 443, serverNames: [] } as const
  mesh.chain({ match, tls: { mode: 'PASSTHROUGH', certificates: [] }, tcp: { routes } }, 'tls')
  const { port } = mesh.gatewayPorts['443']!
  const socket = connectTls({ port, host: '127.0.0.1', servername: 'a.example', rejectUnauthorized: false })
  // What arrives is a client hello, which no HTTP server of a test understands.
  await new Promise((resolve) => socket.on('error', resolve))
  await eventually(() => expect(mesh.servers.flatMap(({ connections }) => connections)).toHaveLength(1))
})

it('refuses a listener whose certificate is none, and goes on with the one before', () => {
  const chain = {
    name: 'broken',
    proxy: 'default/waypoint',
    match: { kind: 'listener', port: 443, serverNames: [] },
    tls: { mode: 'SIMPLE', certificates: [{ certificatePem: 'nonsense', keyPem: 'nonsense' }] },
    http: http('*'),
  }
  const upsert = { name: 'broken', resource: chain }
  const [error] = mesh.waypoint.apply('type.googleapis.com/ambient.lab.FilterChain', [upsert], [])
  expect(error).toMatchObject({ name: 'broken' })
})
