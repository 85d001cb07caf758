import type { Resource } from '@ambient-lab/api'
import type { Route } from '@ambient-lab/xds'
import { describe, expect, it } from 'vitest'
import { GRPC_ROUTES, HTTP_ROUTES, type KnownType, SERVICES } from '../stored-kinds.ts'
import { httpRoute, routesAmong, service } from './routing.conformance.ts'

const REVIEWS = 'inbound-vip|80|http|reviews.default.svc.cluster.local'
const TO_REVIEWS = { backendRefs: [{ name: 'reviews', port: 80 }] }

function ofRule(rule: object) {
  return routesAmong([[HTTP_ROUTES, httpRoute('r', [rule])]])
}

describe('a match', () => {
  it.each([
    [{}, { path: { pathSegments: '/' } }],
    [{ path: { value: '/a/' } }, { path: { pathSegments: '/a' } }],
    [{ path: { type: 'Exact', value: '/a/' } }, { path: { exact: '/a/' } }],
    [{ path: { type: 'RegularExpression', value: '/a.*' } }, { path: { regex: '/a.*' } }],
    [{ method: 'GET' }, { path: { pathSegments: '/' }, method: { exact: 'GET' } }],
    [
      {
        headers: [
          { name: 'X-A', value: '1' },
          { name: 'x-a', value: '2' },
          { type: 'RegularExpression', name: 'b', value: '.' },
        ],
      },
      {
        path: { pathSegments: '/' },
        headers: [
          { name: 'x-a', value: { exact: '1' } },
          { name: 'b', value: { regex: '.' } },
        ],
      },
    ],
    [
      {
        queryParams: [
          { name: 'A', value: '1' },
          { name: 'a', value: '2' },
        ],
      },
      {
        path: { pathSegments: '/' },
        queryParams: [
          { name: 'A', value: { exact: '1' } },
          { name: 'a', value: { exact: '2' } },
        ],
      },
    ],
  ])('%j', (match, expected) => {
    expect(ofRule({ matches: [match], ...TO_REVIEWS })[0]?.match).toEqual(expected)
  })
})

describe('precedence', () => {
  const rule = (match: object) => ({ matches: [match], ...TO_REVIEWS })
  it.each<[string, object, object]>([
    ['exact before prefix', { path: { type: 'Exact', value: '/a' } }, { path: { value: '/a/long/prefix' } }],
    ['the longer prefix', { path: { value: '/abc' } }, { path: { value: '/ab' } }],
    ['prefix before pattern', { path: { value: '/' } }, { path: { type: 'RegularExpression', value: '/abcdef' } }],
    [
      'with a method',
      { method: 'GET' },
      {
        headers: [
          { name: 'a', value: '1' },
          { name: 'b', value: '1' },
        ],
      },
    ],
    ['more headers', { headers: [{ name: 'a', value: '1' }] }, { queryParams: [{ name: 'a', value: '1' }] }],
    ['more parameters', { queryParams: [{ name: 'a', value: '1' }] }, {}],
  ])('%s', (_, first, second) => {
    const named = (objects: readonly Resource[]) =>
      routesAmong(objects.map((object) => [HTTP_ROUTES, object] as [KnownType, Resource])).map(({ name }) => name)
    const before = httpRoute('z', [rule(first)], { creationTimestamp: '2026-02-02T00:00:00Z' })
    const after = httpRoute('a', [rule(second)], { creationTimestamp: '2026-01-01T00:00:00Z' })
    expect(named([after, before])).toEqual(['default.z.0', 'default.a.0'])
  })

  it.each([
    ['the older route', '2026-01-01T00:00:00Z', '2026-01-02T00:00:00Z', ['default.z.0', 'default.a.0']],
    ['of the same age by name', '2026-01-01T00:00:00Z', '2026-01-01T00:00:00Z', ['default.a.0', 'default.z.0']],
  ])('%s', (_, z, a, expected) => {
    const found = routesAmong([
      [HTTP_ROUTES, httpRoute('z', [rule({})], { creationTimestamp: z })],
      [HTTP_ROUTES, httpRoute('a', [rule({})], { creationTimestamp: a })],
    ])
    expect(found.map(({ name }) => name)).toEqual(expected)
  })

  it('keeps the order of rules that are alike', () => {
    expect(routesAmong([[HTTP_ROUTES, httpRoute('r', [rule({}), rule({})])]]).map(({ name }) => name)).toEqual([
      'default.r.0',
      'default.r.1',
    ])
  })
})

describe('filters', () => {
  it.each<[object, object]>([
    [
      { type: 'RequestHeaderModifier', requestHeaderModifier: { set: [{ name: 'X-S', value: '1' }], remove: ['X-R'] } },
      { requestHeaders: { set: [{ name: 'x-s', value: '1' }], remove: ['x-r'] } },
    ],
    [
      { type: 'ResponseHeaderModifier', responseHeaderModifier: { add: [{ name: 'X-A', value: '1' }] } },
      { responseHeaders: { add: [{ name: 'x-a', value: '1' }] } },
    ],
    [
      {
        type: 'RequestRedirect',
        requestRedirect: { hostname: 'h', path: { type: 'ReplacePrefixMatch', replacePrefixMatch: '/n' } },
      },
      { action: { kind: 'redirect', redirect: { status: 302, authority: 'h', path: { prefix: '/n' } } } },
    ],
    [
      { type: 'RequestRedirect', requestRedirect: { scheme: 'https', port: 8443, statusCode: 301 } },
      { action: { kind: 'redirect', redirect: { status: 301, scheme: 'https', port: 8443 } } },
    ],
    [
      { type: 'URLRewrite', urlRewrite: { hostname: 'h', path: { type: 'ReplaceFullPath', replaceFullPath: '/f' } } },
      { action: { forward: { rewrite: { authority: 'h', path: { full: '/f' } } } } },
    ],
    [
      {
        type: 'RequestMirror',
        requestMirror: { backendRef: { name: 'reviews', port: 80 }, fraction: { numerator: 1, denominator: 8 } },
      },
      { action: { forward: { mirrors: [{ cluster: expect.stringMatching(/^inbound-vip/), millionths: 125_000 }] } } },
    ],
    [
      { type: 'RequestMirror', requestMirror: { backendRef: { name: 'reviews', port: 80 }, percent: 0 } },
      { action: { forward: { mirrors: [{ millionths: 0 }] } } },
    ],
    [
      { type: 'CORS', cors: { allowOrigins: ['https://*.a.com', 'http://b'], maxAge: 9 } },
      {
        filters: {
          cors: {
            allowOrigins: [{ regex: 'https://.*\\.a\\.com' }, { exact: 'http://b' }],
            ...{ maxAgeSeconds: 9, allowCredentials: false, forwardUnmatchedPreflights: false },
          },
        },
      },
    ],
    [
      { type: 'ExtensionRef', extensionRef: { group: 'g', kind: 'k', name: 'n' } },
      { action: { kind: 'direct-response', status: 500 } },
    ],
  ])('%j', (filter, expected) => {
    expect(ofRule({ filters: [filter], ...TO_REVIEWS })[0]).toMatchObject(expected)
  })

  it('leave out a mirror that leads nowhere', () => {
    const requestMirror = { backendRef: { name: 'gone', port: 80 } }
    const [found] = ofRule({ filters: [{ type: 'RequestMirror', requestMirror }], ...TO_REVIEWS })
    expect(found?.action).not.toHaveProperty('forward.mirrors')
  })
})

describe('backends', () => {
  it.each<[string, readonly object[], readonly object[]]>([
    [
      'their weights, 1 by default',
      [
        { name: 'reviews', port: 80, weight: 0 },
        { name: 'reviews', port: 80 },
      ],
      [
        { cluster: REVIEWS, weight: 0 },
        { cluster: REVIEWS, weight: 1 },
      ],
    ],
    ['nobody knows', [{ name: 'gone', port: 80, weight: 3 }], [{ weight: 3 }]],
    ['of a kind that is none', [{ group: 'x', kind: 'Bucket', name: 'reviews', port: 80 }], [{ weight: 1 }]],
    ['without a port', [{ name: 'reviews' }], [{ weight: 1 }]],
    [
      'with a filter that only a rule may have',
      [{ name: 'reviews', port: 80, filters: [{ type: 'URLRewrite', urlRewrite: {} }] }],
      [{ weight: 1 }],
    ],
    [
      'of another namespace, which a service of the mesh may send to',
      [{ name: 'ratings', namespace: 'other', port: 80 }],
      [{ weight: 1, cluster: 'inbound-vip|80|http|ratings.other.svc.cluster.local' }],
    ],
  ])('%s', (_, backendRefs, expected) => {
    const found = routesAmong([
      [HTTP_ROUTES, httpRoute('r', [{ backendRefs }])],
      [SERVICES, service('other/ratings')],
    ])
    const [{ action }] = found as [Route]
    expect(action.kind === 'forward' && action.forward.backends).toEqual(expected)
  })

  it('change headers of their own', () => {
    const filters = [{ type: 'RequestHeaderModifier', requestHeaderModifier: { add: [{ name: 'B', value: '1' }] } }]
    expect(ofRule({ backendRefs: [{ name: 'reviews', port: 80, filters }] })[0]?.action).toMatchObject({
      forward: { backends: [{ requestHeaders: { add: [{ name: 'b', value: '1' }] } }] },
    })
  })
})

describe('timeouts and retries', () => {
  it.each<[object, object]>([
    [
      {},
      { retry: { attempts: 2, on: expect.arrayContaining(['connect-failure']), backoffBaseMs: 25, backoffMaxMs: 250 } },
    ],
    [{ timeouts: { request: '10s' } }, { timeoutMs: 10_000 }],
    [{ timeouts: { request: '0s' } }, {}],
    [{ timeouts: { request: '10s', backendRequest: '2s' } }, { timeoutMs: 2000 }],
    [
      {
        timeouts: { request: '10s', backendRequest: '2s' },
        retry: { attempts: 3, codes: [500, 503], backoff: '50ms' },
      },
      {
        timeoutMs: 10_000,
        retry: { attempts: 3, perTryTimeoutMs: 2000, statusCodes: [500, 503], backoffBaseMs: 50, backoffMaxMs: 500 },
      },
    ],
  ])('%j', (rule, expected) => {
    const action = ofRule({ ...rule, ...TO_REVIEWS })[0]?.action
    expect(action).toMatchObject({ forward: expected })
    if (!('timeoutMs' in expected)) expect(action).not.toHaveProperty('forward.timeoutMs')
  })
})

describe('which routes count', () => {
  const other = (more: object, parent: object = {}) => {
    const route = httpRoute('r', [TO_REVIEWS], more)
    const parentRefs = [{ group: '', kind: 'Service', name: 'reviews', namespace: 'default', ...parent }]
    return { ...route, spec: { ...(route.spec as object), parentRefs } }
  }
  it.each<[string, object, object, number, boolean]>([
    ['of the service’s namespace', {}, {}, 80, true],
    ['of a consumer’s namespace', { namespace: 'consumer' }, {}, 80, false],
    ['for its port', {}, { port: 80 }, 80, true],
    ['for another port', {}, { port: 80 }, 8080, false],
    ['for its port by name', {}, { sectionName: 'http-admin' }, 8080, true],
    ['of another service', {}, { name: 'ratings' }, 80, false],
    ['of a Gateway of that name', {}, { group: 'gateway.networking.k8s.io', kind: 'Gateway' }, 80, false],
  ])('%s', (_, more, parent, port, counts) => {
    const found = routesAmong([[HTTP_ROUTES, other(more, parent)]], port)
    expect(found.map(({ name }) => name)).toEqual([counts ? 'default.r.0' : 'default'])
  })
})

describe('a GRPCRoute', () => {
  const grpc = (match: object | undefined): Resource => ({
    ...httpRoute('g', [{ ...(match && { matches: [match] }), backendRefs: [{ name: 'reviews', port: 80 }] }]),
    kind: 'GRPCRoute',
  })
  it.each([
    [undefined, {}],
    [{ method: { service: 'a.B', method: 'C' } }, { path: { exact: '/a.B/C' } }],
    [{ method: { service: 'a.B' } }, { path: { prefix: '/a.B/' } }],
    [{ method: { method: 'C' } }, { path: { regex: '/[^/]+/C' } }],
    [{ method: { type: 'RegularExpression', service: 'a.*' } }, { path: { regex: '/a.*/.+' } }],
    [{ headers: [{ name: 'V', value: '1' }] }, { headers: [{ name: 'v', value: { exact: '1' } }] }],
  ])('%j', (match, expected) => {
    expect(routesAmong([[GRPC_ROUTES, grpc(match)]])[0]?.match).toEqual(expected)
  })

  it('stands among HTTPRoutes', () => {
    const found = routesAmong([
      [GRPC_ROUTES, grpc({ method: { service: 'a.B', method: 'C' } })],
      [HTTP_ROUTES, httpRoute('h', [TO_REVIEWS])],
    ])
    expect(found.map(({ name }) => name)).toEqual(['default.g.0', 'default.h.0'])
  })
})
