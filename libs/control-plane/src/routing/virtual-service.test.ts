import { describe, expect, it } from 'vitest'
import { HTTP_ROUTES, VIRTUAL_SERVICES } from '../stored-kinds.ts'
import { httpRoute, routesAmong, virtualService } from './routing.conformance.ts'

const CLUSTER = 'inbound-vip|80|http|reviews.default.svc.cluster.local'
const route = [{ destination: { host: 'reviews', port: { number: 80 } } }]

function ofHttp(...http: readonly object[]) {
  return routesAmong([[VIRTUAL_SERVICES, virtualService('v', { hosts: ['reviews'], http })]])
}

describe('a match', () => {
  it.each<[object, object]>([
    [{ uri: { prefix: '/a' } }, { path: { prefix: '/a' } }],
    [{ uri: { exact: '/a' }, ignoreUriCase: true }, { path: { exact: '/a', ignoreCase: true } }],
    [{ uri: { regex: '/a.*' }, ignoreUriCase: true }, { path: { regex: '/a.*' } }],
    [
      { scheme: { exact: 'http' }, method: { regex: 'GET|PUT' } },
      { scheme: { exact: 'http' }, method: { regex: 'GET|PUT' } },
    ],
    [{ authority: { prefix: 'r' } }, { authority: { prefix: 'r' } }],
    [
      { headers: { 'End-User': { exact: 'jason' }, any: {} } },
      { headers: [{ name: 'end-user', value: { exact: 'jason' } }, { name: 'any' }] },
    ],
    [{ withoutHeaders: { x: { prefix: 'a' } } }, { headers: [{ name: 'x', value: { prefix: 'a' }, invert: true }] }],
    [{ queryParams: { q: { exact: '1' } } }, { queryParams: [{ name: 'q', value: { exact: '1' } }] }],
  ])('%j', (match, expected) => {
    expect(ofHttp({ match: [match], route })[0]?.match).toEqual(expected)
  })

  it.each<[object, boolean]>([
    [{ port: 80 }, true],
    [{ port: 81 }, false],
    [{ gateways: ['mesh'] }, true],
    [{ gateways: ['ingress'] }, false],
    [{ sourceNamespace: 'default' }, true],
    [{ sourceNamespace: 'other' }, false],
    [{ sourceLabels: { app: 'curl' } }, false],
  ])('%j is of a waypoint: %s', (match, counts) => {
    expect(ofHttp({ name: 'n', match: [match], route }).map(({ name }) => name)).toEqual(counts ? ['n'] : [])
  })

  it('that takes all ends the list, in the order of the YAML', () => {
    const found = ofHttp(
      { name: 'a', match: [{ uri: { prefix: '/a' } }], route },
      { name: 'b', route },
      { name: 'c', route },
    )
    expect(found.map(({ name }) => name)).toEqual(['a', 'b'])
  })
})

describe('an action', () => {
  it.each<[object, object]>([
    [{ route }, { kind: 'forward', forward: { backends: [{ cluster: CLUSTER, weight: 1 }] } }],
    [
      {
        route: [
          { destination: { host: 'reviews', subset: 'v1' }, weight: 90 },
          { destination: { host: 'ratings' }, weight: 10 },
        ],
      },
      {
        forward: {
          backends: [
            { cluster: 'inbound-vip|80|http/v1|reviews.default.svc.cluster.local', weight: 90 },
            { cluster: 'inbound-vip|80|http|ratings.default.svc.cluster.local', weight: 10 },
          ],
        },
      },
    ],
    [
      { redirect: { uri: '/n', authority: 'h' } },
      { kind: 'redirect', redirect: { status: 301, authority: 'h', path: { full: '/n' } } },
    ],
    [
      { redirect: { prefixRewrite: '/n', scheme: 'https', derivePort: 'FROM_PROTOCOL_DEFAULT', redirectCode: 308 } },
      { redirect: { status: 308, scheme: 'https', port: 443, path: { prefix: '/n' } } },
    ],
    [
      { redirect: { uri: '/n', scheme: 'https', derivePort: 'FROM_REQUEST_PORT', redirectCode: 0 } },
      { redirect: { status: 301, scheme: 'https', port: 80 } },
    ],
    [{ redirect: { uri: '/n', redirectCode: 304 } }, { kind: 'direct-response', status: 500 }],
    [{ route, mirror: { host: 'reviews' }, mirror_percent: 10 }, { forward: { mirrors: [{ millionths: 100_000 }] } }],
    [{ directResponse: { status: 503, body: { string: 'no' } } }, { kind: 'direct-response', status: 503, body: 'no' }],
    [{ directResponse: { status: 200, body: { bytes: 'aGk=' } } }, { body: 'hi' }],
    [{}, { kind: 'direct-response', status: 500 }],
    [{ route, timeout: '2s' }, { forward: { timeoutMs: 2000 } }],
    [
      { route, rewrite: { uri: '/n', authority: 'h' } },
      { forward: { rewrite: { path: { prefix: '/n' }, authority: 'h' } } },
    ],
    [
      { route, rewrite: { uriRegexRewrite: { match: '/a/(.*)', rewrite: '/b/\\1' } } },
      { forward: { rewrite: { path: { regex: { pattern: '/a/(.*)', substitution: '/b/\\1' } } } } },
    ],
    [{ route, headers: { request: { set: { Host: 'h' } } } }, { forward: { rewrite: { authority: 'h' } } }],
    [{ route, mirror: { host: 'reviews' } }, { forward: { mirrors: [{ cluster: CLUSTER, millionths: 1_000_000 }] } }],
    [
      { route, mirror: { host: 'reviews' }, mirrorPercentage: { value: 0.5 } },
      { forward: { mirrors: [{ millionths: 5000 }] } },
    ],
    [
      { route, mirrors: [{ destination: { host: 'reviews' }, percentage: { value: 1 } }] },
      { forward: { mirrors: [{ millionths: 10_000 }] } },
    ],
  ])('%j', (http, expected) => {
    expect(ofHttp(http)[0]?.action).toMatchObject(expected)
  })

  it('mirrors nothing at an explicit 0, and sends nothing where a weight of several is 0', () => {
    const several = [{ destination: { host: 'reviews' }, weight: 100 }, { destination: { host: 'ratings' } }]
    const [found] = ofHttp({ route: several, mirror: { host: 'reviews' }, mirrorPercentage: { value: 0 } })
    expect(found?.action).toMatchObject({ forward: { backends: [{ weight: 100 }] } })
    expect(found?.action).not.toHaveProperty('forward.mirrors')
    expect(found?.action).not.toHaveProperty('forward.backends.1')
  })
})

describe('retries', () => {
  it.each<[object | undefined, object | undefined]>([
    [undefined, { attempts: 2, on: expect.arrayContaining(['retriable-status-codes']), statusCodes: [] }],
    [{ attempts: 0 }, undefined],
    [
      { attempts: 5, perTryTimeout: '1s', backoff: '10ms' },
      { attempts: 5, perTryTimeoutMs: 1000, backoffBaseMs: 10, backoffMaxMs: 100 },
    ],
    [
      { attempts: 1, retryOn: '5xx, 503,404' },
      { on: ['5xx', 'retriable-status-codes'], statusCodes: [503, 404] },
    ],
    [{ attempts: 1, retryIgnorePreviousHosts: false }, { avoidPreviousHostsDraws: 0 }],
    [{ attempts: 3, retryRemoteLocalities: true }, { avoidPreviousLevelsEvery: 2 }],
  ])('%j', (retries, expected) => {
    const action = ofHttp({ route, ...(retries && { retries }) })[0]?.action as { forward: { retry?: object } }
    if (expected) expect(action.forward.retry).toMatchObject(expected)
    else expect(action.forward.retry).toBeUndefined()
  })
})

describe('filters', () => {
  it.each<[object, object | undefined]>([
    [
      { fault: { delay: { fixedDelay: '2s', percentage: { value: 0.0001 } } } },
      { fault: { delay: { millionths: 1, fixedMs: 2000 } } },
    ],
    [{ fault: { delay: { fixedDelay: '2s' } } }, undefined],
    [
      { fault: { abort: { httpStatus: 418, percentage: { value: 100 } } } },
      { fault: { abort: { millionths: 1_000_000, httpStatus: 418 } } },
    ],
    [
      { fault: { abort: { grpcStatus: 'UNAVAILABLE', percentage: { value: 1 } } } },
      { fault: { abort: { grpcStatus: 14 } } },
    ],
    [{ fault: { abort: { grpcStatus: 'NONSENSE', percentage: { value: 1 } } } }, undefined],
    [
      { corsPolicy: { allowOrigins: [{ prefix: 'https://' }], maxAge: '24h', unmatchedPreflights: 'IGNORE' } },
      { cors: { allowOrigins: [{ prefix: 'https://' }], maxAgeSeconds: 86_400, forwardUnmatchedPreflights: false } },
    ],
    [
      { corsPolicy: { allowOrigin: ['https://a.example'] } },
      { cors: { allowOrigins: [{ exact: 'https://a.example' }] } },
    ],
    [{ corsPolicy: {} }, { cors: { allowOrigins: [], forwardUnmatchedPreflights: true } }],
  ])('%j', (http, expected) => {
    const found = ofHttp({ route, ...http })[0]?.filters
    if (expected) expect(found).toMatchObject(expected)
    else expect(found).toBeUndefined()
  })
})

describe('which VirtualServices count', () => {
  it.each<[string, object, object, boolean]>([
    ['by a short name of their namespace', { hosts: ['reviews'] }, {}, true],
    ['by a short name of another', { hosts: ['reviews'] }, { namespace: 'other' }, false],
    [
      'by the whole name, from anywhere',
      { hosts: ['reviews.default.svc.cluster.local'] },
      { namespace: 'other' },
      true,
    ],
    ['by a wildcard', { hosts: ['*.default.svc.cluster.local'] }, {}, true],
    ['of gateways only', { hosts: ['reviews'], gateways: ['ingress'] }, {}, false],
    ['of both', { hosts: ['reviews'], gateways: ['ingress', 'mesh'] }, {}, true],
    [
      'kept to another namespace',
      { hosts: ['reviews.default.svc.cluster.local'], exportTo: ['.'] },
      { namespace: 'other' },
      false,
    ],
  ])('%s', (_, spec, more, counts) => {
    const http = [{ name: 'n', route }]
    const found = routesAmong([[VIRTUAL_SERVICES, virtualService('v', { ...spec, http }, more)]])
    expect(found.map(({ name }) => name)).toEqual([counts ? 'n' : 'default'])
  })

  it('of one host are put together, the oldest first', () => {
    const match = [{ uri: { prefix: '/a' } }]
    const young = virtualService(
      'a',
      { hosts: ['reviews'], http: [{ name: 'young', route }] },
      { creationTimestamp: '2026-02-02T00:00:00Z' },
    )
    const old = virtualService(
      'z',
      { hosts: ['reviews'], http: [{ name: 'old', match, route }] },
      { creationTimestamp: '2026-01-01T00:00:00Z' },
    )
    const found = routesAmong([
      [VIRTUAL_SERVICES, young],
      [VIRTUAL_SERVICES, old],
    ])
    expect(found.map(({ name }) => name)).toEqual(['old', 'young'])
  })

  it('give way to routes of the Gateway API', () => {
    const found = routesAmong([
      [VIRTUAL_SERVICES, virtualService('v', { hosts: ['reviews'], http: [{ name: 'n', route }] })],
      [HTTP_ROUTES, httpRoute('h', [{ backendRefs: [{ name: 'reviews', port: 80 }] }])],
    ])
    expect(found.map(({ name }) => name)).toEqual(['default.h.0'])
  })
})

describe('a delegate', () => {
  const root = (match: object) =>
    virtualService('root', {
      hosts: ['reviews'],
      http: [{ name: 'r', match: [match], delegate: { name: 'child', namespace: 'other' } }],
    })
  const child = (match: object) =>
    virtualService(
      'child',
      { http: [{ name: 'c', match: [match], route: [{ destination: { host: 'ratings' } }] }] },
      { namespace: 'other' },
    )
  it.each<[object, object, object | undefined]>([
    [{ uri: { prefix: '/a' } }, { uri: { prefix: '/a/b' } }, { path: { prefix: '/a/b' } }],
    [
      { uri: { prefix: '/a' } },
      { headers: { x: { exact: '1' } } },
      { path: { prefix: '/a' }, headers: [{ name: 'x', value: { exact: '1' } }] },
    ],
    [{ uri: { prefix: '/a' } }, { uri: { prefix: '/b' } }, undefined],
    [{ method: { exact: 'GET' } }, { method: { exact: 'GET' } }, undefined],
  ])('%j and %j', (outer, inner, expected) => {
    const found = routesAmong([
      [VIRTUAL_SERVICES, root(outer)],
      [VIRTUAL_SERVICES, child(inner)],
    ])
    expect(found.map(({ match }) => match)).toEqual(expected ? [expected] : [])
    if (expected) {
      expect(found[0]).toMatchObject({
        name: 'r-c',
        action: { forward: { backends: [{ cluster: 'inbound-vip|80|http|ratings.other.svc.cluster.local' }] } },
      })
    }
  })
})
