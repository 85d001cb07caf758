import type { ExtAuthz, ExtAuthzHttp } from '@ambient-lab/xds'
import { expect, it, test } from 'vitest'
import { MESH_CONFIG_DEFAULT } from '../mesh-config.ts'
import { parseMeshSettings } from '../mesh-settings.ts'
import { extAuthzOf } from './ext-authz.ts'

/** The provider `authz` of settings as users write them, as a proxy gets it. */
async function asked(kind: 'Http' | 'Grpc', field = ''): Promise<ExtAuthz | undefined> {
  const settings = `
extensionProviders:
- name: authz
  envoyExtAuthz${kind}:
    service: ns/authz.ns.svc.cluster.local
    port: "8000"
    ${field}
`
  const mesh = { ...MESH_CONFIG_DEFAULT, ...(await parseMeshSettings(settings)) }
  return extAuthzOf('authz', { mesh })[0]
}

const DEFAULTS: ExtAuthz = {
  provider: 'authz',
  protocol: 'grpc',
  cluster: 'outbound|8000||authz.ns.svc.cluster.local',
  authority: 'authz.ns.svc.cluster.local',
  timeoutMs: 600_000,
  failOpen: false,
  statusOnError: 403,
  clearRouteCache: false,
}
const DEFAULTS_HTTP: ExtAuthzHttp = {
  pathPrefix: '',
  requestHeaders: [],
  additionalHeaders: [],
  upstreamOnAllow: [],
  downstreamOnDeny: [],
  downstreamOnAllow: [],
}

const BODY = 'includeRequestBodyInCheck'
test.each<[field: string, changed: Partial<ExtAuthz>]>([
  ['', {}],
  ['timeout: 1.5s', { timeoutMs: 1500 }],
  ['failOpen: true', { failOpen: true }],
  ['statusOnError: "503"', { statusOnError: 503 }],
  ['statusOnError: 503', { statusOnError: 503 }],
  ['clearRouteCache: true', { clearRouteCache: true }],
  [`${BODY}: {maxRequestBytes: 9}`, { requestBody: { maxBytes: 9, allowPartial: false, packAsBytes: false } }],
  [
    `${BODY}: {maxRequestBytes: "9", allowPartialMessage: true, packAsBytes: true}`,
    { requestBody: { maxBytes: 9, allowPartial: true, packAsBytes: true } },
  ],
  ['pathPrefix: /of-http-alone', {}],
])('a provider with %s is asked accordingly, over gRPC and HTTP', async (field, changed) => {
  expect(await asked('Grpc', field)).toEqual({ ...DEFAULTS, ...changed })
  const { http: _http, ...common } = (await asked('Http', field))!
  expect(common).toEqual({ ...DEFAULTS, protocol: 'http', ...changed })
})

test.each<[field: string, changed: Partial<ExtAuthzHttp>]>([
  ['', {}],
  ['pathPrefix: /check', { pathPrefix: '/check' }],
  ['includeRequestHeadersInCheck: [X-A, x-b-*]', { requestHeaders: ['x-a', 'x-b-*'] }],
  ['includeHeadersInCheck: [X-A]', { requestHeaders: ['x-a'] }],
  ['includeAdditionalHeadersInCheck: {X-A: b}', { additionalHeaders: [{ name: 'x-a', value: 'b' }] }],
  ['headersToUpstreamOnAllow: [Authorization]', { upstreamOnAllow: ['authorization'] }],
  ['headersToDownstreamOnDeny: [WWW-Authenticate]', { downstreamOnDeny: ['www-authenticate'] }],
  ['headersToDownstreamOnAllow: [x-ext-authz-result]', { downstreamOnAllow: ['x-ext-authz-result'] }],
])('a provider over HTTP with %s is asked accordingly', async (field, changed) => {
  expect(await asked('Http', field)).toMatchObject({ http: { ...DEFAULTS_HTTP, ...changed } })
})

it('is none where nobody has that name, or it does something else', () => {
  const extensionProviders = [{ name: 'otel', opentelemetry: { service: 'otel.ns', port: 4318 } }]
  const mesh = { ...MESH_CONFIG_DEFAULT, extensionProviders }
  expect([...extAuthzOf('authz', { mesh }), ...extAuthzOf('otel', { mesh })]).toEqual([])
})
