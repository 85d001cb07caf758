import { describe, expect, test } from 'vitest'
import { applyDefaults } from './apply-defaults.ts'
import { parseGatewayDuration } from './gateway-api.ts'
import { findKind } from './registry.ts'
import type { Resource } from './resource.ts'
import { validateResource } from './validate.ts'

const GATEWAY_API = 'gateway.networking.k8s.io/v1'
const NETWORKING = 'networking.istio.io/v1'
const SECURITY = 'security.istio.io/v1'

/** What the API server would say; the same with defaults and without. */
function findings(apiVersion: string, kind: string, spec: object): string[] {
  const object = { apiVersion, kind, metadata: { name: 'a', namespace: 'default' }, spec } as Resource
  const definition = findKind(object)!
  const told = (candidate: Resource) =>
    validateResource(definition, candidate).errors.map(({ path, message }) => `${path}: ${message}`)
  expect(told(applyDefaults(definition, object))).toEqual(told(object))
  return told(object)
}

const httpRoute = (rule: object) => ({ rules: [rule] })
const prefixRewrite = {
  type: 'URLRewrite',
  urlRewrite: { path: { type: 'ReplacePrefixMatch', replacePrefixMatch: '/' } },
}
const redirect = { type: 'RequestRedirect', requestRedirect: { scheme: 'https' } }
const backend = { name: 'reviews', port: 9080 }
const route = { destination: { host: 'reviews' } }

describe('what stands across fields is checked where it stands', () => {
  test.each([
    [
      GATEWAY_API,
      'HTTPRoute',
      httpRoute({ backendRefs: [{ name: 'reviews' }] }),
      'spec.rules[0].backendRefs[0]: Invalid value: Must have port',
    ],
    [
      GATEWAY_API,
      'HTTPRoute',
      httpRoute({ filters: [redirect], backendRefs: [backend] }),
      'spec.rules[0]: Invalid value: RequestRedirect filter',
    ],
    [
      GATEWAY_API,
      'HTTPRoute',
      httpRoute({ filters: [redirect, redirect] }),
      'spec.rules[0].filters: Invalid value: RequestRedirect filter cannot be repeated',
    ],
    [
      GATEWAY_API,
      'HTTPRoute',
      httpRoute({ filters: [{ type: 'CORS' }] }),
      'spec.rules[0].filters[0]: Invalid value: filter.cors must be specified',
    ],
    [
      GATEWAY_API,
      'HTTPRoute',
      httpRoute({ matches: [{ path: { type: 'Exact', value: '/' } }], filters: [prefixRewrite] }),
      'spec.rules[0]: Invalid value: When using URLRewrite',
    ],
    [
      GATEWAY_API,
      'HTTPRoute',
      httpRoute({ timeouts: { request: '1s', backendRequest: '2s' } }),
      'spec.rules[0].timeouts: Invalid value: backendRequest timeout',
    ],
    [
      GATEWAY_API,
      'HTTPRoute',
      httpRoute({
        matches: [
          {
            headers: [
              { name: 'a', value: '1' },
              { name: 'a', value: '2' },
            ],
          },
        ],
      }),
      'spec.rules[0].matches[0].headers[1]: Duplicate value',
    ],
    [
      GATEWAY_API,
      'GRPCRoute',
      { rules: [{ matches: [{ method: {} }] }] },
      "spec.rules[0].matches[0].method: Invalid value: One or both of 'service' or 'method'",
    ],
    [GATEWAY_API, 'Gateway', { gatewayClassName: 'a', listeners: [] }, 'spec.listeners: Required value'],
    [
      NETWORKING,
      'VirtualService',
      { hosts: ['a'], http: [{ route: [route], redirect: { uri: '/' } }] },
      'spec.http[0]: Invalid value: exactly one of route',
    ],
    [
      NETWORKING,
      'VirtualService',
      { hosts: ['*.a', 'b.a'], http: [{ route: [route] }] },
      'spec.hosts: Invalid value: hosts must not mean',
    ],
    [
      NETWORKING,
      'VirtualService',
      { hosts: ['a'], http: [{ route: [route], timeout: '1' }] },
      'spec.http[0].timeout: Invalid value: must be a valid duration',
    ],
    [
      NETWORKING,
      'DestinationRule',
      { host: 'a', subsets: [{ name: 'v1' }, { name: 'v1' }] },
      'spec.subsets: Invalid value: duplicate subset names',
    ],
    [
      NETWORKING,
      'DestinationRule',
      { host: 'a', trafficPolicy: { connectionPool: {} } },
      'spec.trafficPolicy.connectionPool: Invalid value: 0: must have at least 1 properties',
    ],
    [NETWORKING, 'Sidecar', {}, 'spec: Invalid value: a sidecar must configure something'],
    [
      SECURITY,
      'PeerAuthentication',
      { selector: { matchLabels: { a: 'b' } }, portLevelMtls: { http: {} } },
      'spec.portLevelMtls: Invalid value: port must be between',
    ],
    [
      SECURITY,
      'AuthorizationPolicy',
      { rules: [{ when: [{ key: 'source.ip', values: ['a'] }] }] },
      'spec.rules[0].when[0]: Invalid value: the values must be addresses',
    ],
    [SECURITY, 'AuthorizationPolicy', { action: 'CUSTOM', rules: [{}] }, 'spec.provider: Required value'],
    [
      SECURITY,
      'RequestAuthentication',
      { jwtRules: [{ issuer: 'a', jwksUri: 'ftp://a/' }] },
      'spec.jwtRules[0].jwksUri: Invalid value: url must have scheme',
    ],
  ])('%s %s %j', (apiVersion, kind, spec, wanted) => {
    expect(findings(apiVersion, kind, spec)[0]).toContain(wanted)
  })

  test.each([
    [GATEWAY_API, 'HTTPRoute', {}],
    [GATEWAY_API, 'HTTPRoute', httpRoute({ filters: [prefixRewrite], backendRefs: [backend] })],
    [GATEWAY_API, 'GRPCRoute', { rules: [{ matches: [{ method: { service: 'a.B' } }], backendRefs: [backend] }] }],
    [GATEWAY_API, 'TCPRoute', { rules: [{ backendRefs: [backend] }] }],
    [
      GATEWAY_API,
      'Gateway',
      { gatewayClassName: 'istio-waypoint', listeners: [{ name: 'mesh', port: 15_008, protocol: 'HBONE' }] },
    ],
    [
      NETWORKING,
      'VirtualService',
      { hosts: ['a'], http: [{ match: [{ uri: { prefix: '/' } }], route: [route], retries: { attempts: 3 } }] },
    ],
    [NETWORKING, 'DestinationRule', { host: 'a', subsets: [{ name: 'v1', labels: { version: 'v1' } }] }],
    [SECURITY, 'AuthorizationPolicy', {}],
    [SECURITY, 'AuthorizationPolicy', { targetRefs: [{ kind: 'Service', group: 'core', name: 'reviews' }] }],
    [SECURITY, 'AuthorizationPolicy', { action: 'DENY', rules: [{ to: [{ operation: { ports: ['80'] } }] }] }],
  ])('%s %s %j is taken', (apiVersion, kind, spec) => {
    expect(findings(apiVersion, kind, spec)).toEqual([])
  })
})

test.each([
  ['0s', 0],
  ['2h30m', 9_000_000],
  ['500ms', 500],
  ['1', undefined],
  ['1.5s', undefined],
  ['1h1m1s1ms1h', undefined],
])('the Gateway API reads %s as %s ms', (text, wanted) => {
  expect(parseGatewayDuration(text)).toBe(wanted)
})
