import type { Resource } from '@ambient-lab/api'
import { describe, expect, it } from 'vitest'
import { ISTIO_GATEWAYS, type KnownType, VIRTUAL_SERVICES } from '../stored-kinds.ts'
import { viewOf } from '../translate/view.conformance.ts'
import { istioGatewayChains } from './istio-gateway-chains.ts'
import { virtualService } from './routing.conformance.ts'

const PROXY = {
  ...{ proxy: 'default/ingress', namespace: 'default', labels: { istio: 'ingressgateway' } },
  targetPorts: (port: number) => (port === 80 ? [8080] : []),
}

function gateway(
  servers: readonly object[],
  more: object = {},
  selector: object = { istio: 'ingressgateway' },
): [KnownType, Resource] {
  const metadata = { name: 'gw', namespace: 'default', ...more }
  return [
    ISTIO_GATEWAYS,
    { apiVersion: 'networking.istio.io/v1', kind: 'Gateway', metadata, spec: { selector, servers } },
  ]
}

function bound(name: string, spec: object, more: object = {}): [KnownType, Resource] {
  const http = [{ name, route: [{ destination: { host: 'reviews', port: { number: 80 } } }] }]
  return [VIRTUAL_SERVICES, virtualService(name, { gateways: ['gw'], http, ...spec }, more)]
}

const server = (port: number, protocol: string, hosts: readonly string[], more: object = {}) => ({
  ...{ port: { number: port, name: `${protocol.toLowerCase()}-${port}`, protocol }, hosts },
  ...more,
})

function hostsOf(objects: readonly [KnownType, Resource][]) {
  const [chain] = istioGatewayChains(PROXY, viewOf(objects))
  return chain?.http?.virtualHosts.map(({ name, routes }) => [name, routes.map((route) => route.name)])
}

describe('a server', () => {
  it.each<[string, readonly [KnownType, Resource][], unknown]>([
    [
      'with the hosts that both name',
      [gateway([server(80, 'HTTP', ['*.a.com'])]), bound('v', { hosts: ['x.a.com', 'b.org'] })],
      [['x.a.com:80', ['v']]],
    ],
    ['that nobody is bound to', [gateway([server(80, 'HTTP', ['a.com'])])], [['blackhole:8080', []]]],
    ['of another selector', [gateway([server(80, 'HTTP', ['*'])], {}, { istio: 'other' })], undefined],
    ['without a selector', [gateway([server(80, 'HTTP', ['*'])], {}, {})], undefined],
    [
      'for one namespace alone',
      [gateway([server(80, 'HTTP', ['other/*'])]), bound('v', { hosts: ['a.com'] })],
      [['blackhole:8080', []]],
    ],
    ['for its own', [gateway([server(80, 'HTTP', ['./*'])]), bound('v', { hosts: ['a.com'] })], [['a.com:80', ['v']]]],
    [
      'that sends to TLS',
      [gateway([server(80, 'HTTP', ['a.com'], { tls: { httpsRedirect: true } })]), bound('v', { hosts: ['a.com'] })],
      [['a.com:80', ['https-redirect', 'v']]],
    ],
    [
      'VirtualServices of the mesh alone',
      [gateway([server(80, 'HTTP', ['*'])]), bound('v', { hosts: ['a.com'], gateways: ['mesh'] })],
      [['blackhole:8080', []]],
    ],
    [
      'from another namespace, by the whole name',
      [
        gateway([server(80, 'HTTP', ['*'])]),
        bound('v', { hosts: ['a.com'], gateways: ['default/gw'] }, { namespace: 'other' }),
      ],
      [['a.com:80', ['v']]],
    ],
  ])('%s', (_, objects, expected) => {
    expect(hostsOf(objects)).toEqual(expected)
  })

  it('listens where the pods do, and on its own number where no service leads', () => {
    const found = istioGatewayChains(PROXY, viewOf([gateway([server(80, 'HTTP', ['*']), server(81, 'HTTP', ['*'])])]))
    expect(found.map(({ name, match }) => [name, match])).toEqual([
      ['default/ingress|http.8080|8080', { kind: 'listener', port: 8080, serverNames: [] }],
      ['default/ingress|http.81|81', { kind: 'listener', port: 81, serverNames: [] }],
    ])
  })

  it('gives way to the older of another protocol on its port', () => {
    const objects = [
      gateway([server(90, 'TCP', ['*'])], { name: 'young', creationTimestamp: '2026-02-02T00:00:00Z' }),
      gateway([server(90, 'HTTP', ['*'])], { name: 'old', creationTimestamp: '2026-01-01T00:00:00Z' }),
    ]
    const found = istioGatewayChains(PROXY, viewOf(objects))
    expect(found).toHaveLength(1)
    expect(found[0]).toHaveProperty('http')
  })

  it('lets TLS through by server name, and takes none without a certificate', () => {
    const tls = [
      { match: [{ sniHosts: ['a.com'] }], route: [{ destination: { host: 'reviews', port: { number: 80 } } }] },
    ]
    const servers = [
      server(443, 'TLS', ['a.com'], { tls: { mode: 'PASSTHROUGH' } }),
      server(443, 'HTTPS', ['b.com'], { tls: { mode: 'SIMPLE', credentialName: 'gone' } }),
    ]
    const found = istioGatewayChains(PROXY, viewOf([gateway(servers), bound('v', { hosts: ['a.com'], http: [], tls })]))
    expect(found).toMatchObject([
      {
        match: { port: 443, serverNames: ['a.com'] },
        tls: { mode: 'PASSTHROUGH' },
        tcp: {
          routes: [
            { serverNames: ['a.com'], backends: [{ cluster: 'outbound|80||reviews.default.svc.cluster.local' }] },
          ],
        },
      },
    ])
    expect(found).toHaveLength(1)
  })
})
