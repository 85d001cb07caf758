import { describe, expect, it } from 'vitest'
import { apiVersionOf, findKindByName } from '../registry.ts'
import type { Resource } from '../resource.ts'
import { analyze, loadAnalyzers } from './analyze.ts'
import { FINDING_CODES, type FindingCode } from './finding-codes.ts'

interface More {
  readonly namespace?: string
  readonly labels?: Readonly<Record<string, string>>
  readonly annotations?: Readonly<Record<string, string>>
  readonly status?: unknown
}

/** `authorizationpolicy/pay` in namespace shop, with a spec. */
function object(
  typed: string,
  spec: unknown = {},
  { namespace = 'shop', labels, annotations, status }: More = {},
): Resource {
  const [type = '', name = ''] = typed.split('/')
  const definition = findKindByName(type)!
  return {
    apiVersion: apiVersionOf(definition),
    kind: definition.kind,
    metadata: {
      name,
      ...(definition.scope === 'Namespaced' && { namespace }),
      ...(labels && { labels }),
      ...(annotations && { annotations }),
    },
    spec,
    ...(status !== undefined && { status }),
  }
}

const AMBIENT = { 'istio.io/dataplane-mode': 'ambient' }
const USES = { 'istio.io/use-waypoint': 'wp' }
const mesh = object('namespace/shop', {}, { labels: AMBIENT })
const injecting = (injection: string) =>
  object('namespace/shop', {}, { labels: { ...AMBIENT, 'istio-injection': injection } })
const INJECTED = { 'sidecar.istio.io/inject': 'true' }
const plain = object('namespace/old')
const waypoint = object('gateway/wp', { gatewayClassName: 'istio-waypoint', listeners: [] })
const web = (labels: Readonly<Record<string, string>> = {}) =>
  object('service/web', { selector: { app: 'web' }, ports: [{ name: 'http', port: 80 }] }, { labels })
const pod = (
  name: string,
  labels: Readonly<Record<string, string>> = { app: name },
  more: More = {},
  spec: object = {},
) => object(`pod/${name}`, { containers: [{ name: 'app' }], ...spec }, { labels, ...more })
const policy = (spec: object, more: More = {}) => object('authorizationpolicy/pay', spec, more)
const TO_WEB = { targetRefs: [{ kind: 'Service', group: '', name: 'web' }] }
const FROM = [{ source: { principals: ['cluster.local/ns/shop/sa/cart'] } }]
const GET = [{ operation: { methods: ['GET'] } }]
const inNetwork = (network: string) => ({ 'topology.istio.io/network': network })
const GLOBAL_WEB = web({ 'istio.io/global': 'true' })
const gatewayOf = (gatewayClassName: string, network: string) =>
  object('gateway/door', { gatewayClassName, listeners: [] }, { labels: inNetwork(network) })
const waypointOf = (network: string) => gatewayOf('istio-waypoint', network)
const WEST_DOOR = gatewayOf('istio-east-west', 'west')
const NETWORKS = [
  pod('web-1', { app: 'web', ...inNetwork('west') }),
  pod('curl', { app: 'curl', ...inNetwork('east') }),
]
const ON_NODES = [
  object('node/n2', {}, { labels: inNetwork('east') }),
  object('node/n1', {}, { labels: inNetwork('west') }),
  pod('web-1', { app: 'web' }, {}, { nodeName: 'n1' }),
]
const ONLY_WAYPOINT = object('authorizationpolicy/only-wp', {
  action: 'DENY',
  selector: { matchLabels: { app: 'web' } },
  rules: [{ from: [{ source: { notPrincipals: ['cluster.local/ns/shop/sa/wp'] } }] }],
})
const envoyFilter = (operation: string, applyTo: string, more: object = {}, match: object = {}) =>
  object('envoyfilter/patch', {
    configPatches: [{ applyTo, match, patch: { operation, value: { name: 'lua' } } }],
    ...more,
  })
const istioGateway = (name: string, servers: object[], selector: object = { istio: 'ingressgateway' }) =>
  object(`gateways.networking.istio.io/${name}`, { selector, servers })
const http = (number: number, hosts = ['a.example']) => ({ port: { number, name: 'http', protocol: 'HTTP' }, hosts })
const route = (destination: object, more: object = {}) =>
  object('virtualservice/web', { hosts: ['web'], http: [{ route: [{ destination }] }], ...more })
const tls = (settings: object) => object('destinationrule/web', { host: 'web', trafficPolicy: settings })
const telemetry = (name: string, spec: object = { metrics: [{}] }) => object(`telemetries/${name}`, spec)
const sidecar = (name: string, spec: object = { egress: [{ hosts: ['./*'] }] }) =>
  object(`sidecar/${name}`, spec, { namespace: 'old' })
const entry = (name: string, protocol: string, more: object = {}) =>
  object(`serviceentry/${name}`, { hosts: ['a.example'], ports: [{ number: 80, name: 'p', protocol }], ...more })
const deployment = (name: string, labels: object = { app: name }, spec: object = {}) =>
  object(`deployment/${name}`, {
    selector: { matchLabels: labels },
    template: { metadata: { labels }, spec: { containers: [{ name: 'a' }], ...spec } },
  })
const strict = object('peerauthentication/strict', { mtls: { mode: 'STRICT' } })
const door = object('gateway/door', {
  gatewayClassName: 'istio',
  listeners: [{ name: 'http', port: 80, hostname: 'a.example' }],
})
const service = (name: string, ports: object[]) => object(`service/${name}`, { selector: { app: 'web' }, ports })

/** For each code: objects of which one has it, and the least change after which none has. */
const CASES: readonly (readonly [code: FindingCode, has: readonly Resource[], hasNot: readonly Resource[]])[] = [
  ['AM0101', [mesh, plain, pod('job', {}, { namespace: 'old' })], [mesh, pod('job')]],
  ['AM0102', [mesh, pod('web', {}, { annotations: { 'sidecar.istio.io/status': '{}' } })], [mesh, pod('web')]],
  // What says no counts before what says yes, here as at the injection itself.
  ['AM0102', [injecting('enabled'), pod('web')], [injecting('disabled'), pod('web', INJECTED)]],
  ['AM0103', [mesh, web(USES)], [mesh, web(USES), waypoint]],
  [
    'AM0104',
    [policy({ action: 'DENY', rules: [{ from: FROM, to: GET }] })],
    [
      policy({ action: 'DENY', rules: [{ from: FROM }] }),
      policy({ action: 'ALLOW', rules: [{ from: FROM, to: GET }] }),
    ],
  ],
  ['AM0105', [policy({ rules: [{ from: FROM, to: GET }] })], [policy({ rules: [{ from: FROM }] })]],
  [
    'AM0106',
    [
      mesh,
      waypoint,
      web(USES),
      pod('web'),
      policy({ selector: { matchLabels: { app: 'web' } }, rules: [{ from: FROM }] }),
    ],
    [mesh, waypoint, web(USES), pod('web'), ONLY_WAYPOINT],
  ],
  ['AM0107', [mesh, web(), policy(TO_WEB)], [web(USES), waypoint, policy(TO_WEB)]],
  [
    'AM0108',
    [mesh, waypoint, web(USES), policy({ ...TO_WEB, rules: [{ to: GET }] })],
    [mesh, waypoint, web(USES), policy({ ...TO_WEB, rules: [{ to: GET }] }), ONLY_WAYPOINT],
  ],
  ['AM0109', [policy({ action: 'CUSTOM', rules: [{}] })], [policy({ action: 'CUSTOM', ...TO_WEB, rules: [{}] })]],
  ['AM0111', [policy({})], [policy({ rules: [] }), policy({ action: 'DENY' })]],
  ['AM0113', [object('l4tp/limits', TO_WEB)], [object('ratelimitpolicy/limits', TO_WEB)]],
  ['AM0114', [mesh, plain, strict, pod('job', {}, { namespace: 'old' })], [mesh, strict, pod('job')]],
  [
    'AM0115',
    [policy({ action: 'DENY', rules: [{ to: [{ operation: { methods: ['GET'], ports: ['80'] } }] }] })],
    [policy({ action: 'DENY', rules: [{ to: [{ operation: { ports: ['80'] } }] }] })],
  ],
  ['AM0116', [mesh, GLOBAL_WEB, ...NETWORKS], [mesh, GLOBAL_WEB, ...NETWORKS, WEST_DOOR]],
  ['AM0116', [mesh, GLOBAL_WEB, ...NETWORKS, waypointOf('west')], [mesh, web(), ...NETWORKS]],
  ['AM0116', [mesh, GLOBAL_WEB, ...ON_NODES], [mesh, GLOBAL_WEB, ...ON_NODES.slice(1)]],
  [
    'AM1001',
    [mesh, web(), object('httproute/web', { parentRefs: [{ kind: 'Service', group: '', name: 'web' }] })],
    [web(USES), waypoint, object('httproute/web', { parentRefs: [{ kind: 'Service', group: '', name: 'web' }] })],
  ],
  ['AM1002', [tls({ tunnel: { targetHost: 'a', targetPort: 1 } })], [tls({ tls: { mode: 'SIMPLE' } })]],
  [
    'AM1002',
    [
      object('destinationrule/web', {
        host: 'web',
        subsets: [{ name: 'v1', trafficPolicy: { portLevelSettings: [{ loadBalancer: { backendUtilization: {} } }] } }],
      }),
    ],
    [object('destinationrule/web', { host: 'web', subsets: [{ name: 'v1' }] })],
  ],
  [
    'AM1002',
    [object('destinationrule/web', { host: 'web', workloadSelector: { matchLabels: { app: 'cart' } } })],
    [object('destinationrule/web', { host: 'web' })],
  ],
  [
    'AM1002',
    [web(USES), waypoint, tls({ outlierDetection: { outlierDetectionHttpErrorCodes: [429] } })],
    [web(), tls({ outlierDetection: { outlierDetectionHttpErrorCodes: [429] } })],
  ],
  [
    'AM1002',
    [route({ host: 'web' }, { http: [{ match: [{}, { statPrefix: 's' }] }] })],
    [route({ host: 'web' }, { http: [{ match: [{}, { statPrefix: '' }] }] })],
  ],
  [
    'AM1002',
    [object('httproute/r', { rules: [{ sessionPersistence: { sessionName: 's' } }] })],
    [object('httproute/r', { rules: [{}] })],
  ],
  ['AM1001', [mesh, web(), route({ host: 'web' })], [mesh, web(USES), waypoint, route({ host: 'web' })]],
  [
    'IST0002',
    [route({ host: 'web' }, { http: [{ fault: { delay: { percent: 5, fixedDelay: '1s' } } }] })],
    [route({ host: 'web' }, { http: [{ fault: { delay: { percentage: { value: 5 }, fixedDelay: '1s' } } }] })],
  ],
  ['IST0101', [policy(TO_WEB)], [web(), policy(TO_WEB)]],
  ['IST0101', [route({ host: 'web' })], [web(), route({ host: 'web' })]],
  [
    'IST0101',
    [web(), object('httproute/r', { rules: [{ backendRefs: [{ name: 'nobody', port: 80 }] }] })],
    [web(), object('httproute/r', { rules: [{ backendRefs: [{ name: 'web', port: 80 }] }] })],
  ],
  [
    'IST0101',
    [mesh, policy({ rules: [{ from: [{ source: { namespaces: ['sohp'] } }] }] })],
    [mesh, policy({ rules: [{ from: [{ source: { namespaces: ['shop', 'sh*'] } }] }] })],
  ],
  [
    'IST0101',
    [istioGateway('a', [{ ...http(443), tls: { mode: 'SIMPLE', credentialName: 'gone' } }])],
    [istioGateway('a', [http(80)])],
  ],
  [
    'IST0109',
    [
      route({ host: 'web' }),
      object('virtualservice/other', { hosts: ['web.shop.svc.cluster.local'] }, { namespace: 'old' }),
    ],
    [route({ host: 'web' }), object('virtualservice/other', { hosts: ['web'] }, { namespace: 'old' })],
  ],
  [
    'IST0110',
    [
      sidecar('a', { workloadSelector: { labels: { app: 'x' } } }),
      sidecar('b', { workloadSelector: { labels: { app: 'x' } } }),
      pod('x', { app: 'x' }, { namespace: 'old' }),
    ],
    [sidecar('a', { workloadSelector: { labels: { app: 'x' } } }), pod('x', { app: 'x' }, { namespace: 'old' })],
  ],
  ['IST0111', [sidecar('a'), sidecar('b')], [sidecar('a')]],
  [
    'IST0112',
    [service('web', [{ port: 80 }, { port: 81 }]), route({ host: 'web' })],
    [service('web', [{ port: 80 }, { port: 81 }]), route({ host: 'web', port: { number: 80 } })],
  ],
  [
    'IST0116',
    [
      mesh,
      deployment('web'),
      service('a', [{ port: 80, protocol: 'TCP' }]),
      service('b', [{ port: 80, protocol: 'UDP' }]),
    ],
    [mesh, deployment('web'), service('a', [{ port: 80 }]), service('b', [{ port: 80, protocol: 'TCP' }])],
  ],
  [
    'IST0118',
    [service('web', [{ name: 'main', port: 80 }])],
    [service('web', [{ name: 'main', port: 80, appProtocol: 'http' }])],
  ],
  [
    'IST0127',
    [policy({ selector: { matchLabels: { app: 'web' } } }), pod('wbe')],
    [policy({ selector: { matchLabels: { app: 'web' } } }), deployment('web')],
  ],
  ['IST0128', [tls({ tls: { mode: 'SIMPLE' } })], [tls({ tls: { mode: 'SIMPLE', caCertificates: '/ca.pem' } })]],
  [
    'IST0129',
    [tls({ portLevelSettings: [{ port: { number: 443 }, tls: { mode: 'MUTUAL' } }] })],
    [tls({ portLevelSettings: [{ port: { number: 443 }, tls: { mode: 'DISABLE' } }] })],
  ],
  [
    'IST0132',
    [istioGateway('a', [http(80)]), route({ host: 'web' }, { gateways: ['a'], hosts: ['b.example'] })],
    [istioGateway('a', [http(80, ['*.example'])]), route({ host: 'web' }, { gateways: ['a'], hosts: ['b.example'] })],
  ],
  [
    'IST0137',
    [mesh, deployment('web'), service('a', [{ port: 80 }]), service('b', [{ port: 81, targetPort: 80 }])],
    [mesh, deployment('web'), service('a', [{ port: 80 }])],
  ],
  [
    'IST0140',
    [
      web(),
      route({ host: 'web', subset: 'v1' }),
      object('virtualservice/in', {
        hosts: ['a.example'],
        gateways: ['g'],
        http: [{ route: [{ destination: { host: 'web' } }] }],
      }),
    ],
    [
      web(),
      route({ host: 'web' }),
      object('virtualservice/in', {
        hosts: ['a.example'],
        gateways: ['g'],
        http: [{ route: [{ destination: { host: 'web' } }] }],
      }),
    ],
  ],
  [
    'IST0144',
    [pod('web', {}, {}, { securityContext: { runAsUser: 1337 } })],
    [pod('web', {}, {}, { securityContext: { runAsUser: 1000 } })],
  ],
  [
    'IST0145',
    [istioGateway('a', [http(80)]), istioGateway('b', [http(80)])],
    [istioGateway('a', [http(80)]), istioGateway('b', [http(80, ['b.example'])])],
  ],
  [
    'IST0149',
    [
      istioGateway('g', [http(80)]),
      route(
        { host: 'web' },
        { gateways: ['g'], http: [{ match: [{ headers: { '@request.auth.claims.sub': { exact: 'x' } } }] }] },
      ),
    ],
    [
      istioGateway('g', [http(80)]),
      route({ host: 'web' }, { gateways: ['g'], http: [{ match: [{ headers: { sub: { exact: 'x' } } }] }] }),
    ],
  ],
  [
    'IST0151',
    [envoyFilter('INSERT_BEFORE', 'HTTP_FILTER')],
    [envoyFilter('INSERT_BEFORE', 'HTTP_FILTER', { priority: 1 })],
  ],
  ['IST0152', [envoyFilter('REPLACE', 'CLUSTER')], [envoyFilter('REPLACE', 'HTTP_FILTER')]],
  ['IST0153', [envoyFilter('ADD', 'HTTP_ROUTE')], [envoyFilter('ADD', 'CLUSTER')]],
  ['IST0154', [envoyFilter('REMOVE', 'HTTP_ROUTE')], [envoyFilter('REMOVE', 'HTTP_FILTER')]],
  [
    'IST0155',
    [
      envoyFilter('MERGE', 'CLUSTER', {}, { proxy: { proxyVersion: '^1' } }),
      object('envoyfilter/second', envoyFilter('INSERT_AFTER', 'HTTP_FILTER').spec),
    ],
    [envoyFilter('MERGE', 'CLUSTER'), object('envoyfilter/second', envoyFilter('INSERT_AFTER', 'HTTP_FILTER').spec)],
  ],
  [
    'IST0157',
    [telemetry('a', { accessLogging: [{ filter: { expression: 'true' } }] })],
    [telemetry('a', { accessLogging: [{ disabled: true }] })],
  ],
  [
    'IST0159',
    [
      telemetry('a', { selector: { matchLabels: { app: 'x' } } }),
      telemetry('b', { selector: { matchLabels: { app: 'x' } } }),
      pod('x'),
    ],
    [telemetry('a', { selector: { matchLabels: { app: 'x' } } }), telemetry('b', TO_WEB), pod('x')],
  ],
  ['IST0160', [telemetry('a'), telemetry('b')], [telemetry('a'), telemetry('b', TO_WEB)]],
  [
    'IST0161',
    [
      object('secret/c', undefined, { namespace: 'istio-system' }),
      istioGateway('a', [{ ...http(443), tls: { mode: 'SIMPLE', credentialName: 'c' } }]),
    ],
    [istioGateway('a', [{ ...http(443), tls: { mode: 'PASSTHROUGH' } }])],
  ],
  ['IST0162', [istioGateway('a', [http(8004)])], [istioGateway('a', [http(80)])]],
  [
    'IST0166',
    [
      pod('door', { 'gateway.networking.k8s.io/gateway-name': 'door' }),
      policy({ selector: { matchLabels: { 'gateway.networking.k8s.io/gateway-name': 'door' } } }),
    ],
    [
      pod('door', { 'gateway.networking.k8s.io/gateway-name': 'door' }),
      door,
      policy({ targetRefs: [{ kind: 'Gateway', group: 'gateway.networking.k8s.io', name: 'door' }] }),
    ],
  ],
  ['IST0167', [mesh, telemetry('a')], [mesh, web(USES), waypoint, telemetry('a', TO_WEB)]],
  [
    'IST0171',
    [object('service/web', {}, { status: { conditions: [{ type: 'istio.io/WaypointBound', status: 'False' }] } })],
    [object('service/web', {}, { status: { conditions: [{ type: 'istio.io/WaypointBound', status: 'True' }] } })],
  ],
  [
    'IST0173',
    [
      web(),
      pod('web'),
      object('destinationrule/web', { host: 'web', subsets: [{ name: 'v2', labels: { version: 'v2' } }] }),
    ],
    [
      web(),
      pod('web', { app: 'web', version: 'v2' }),
      object('destinationrule/web', { host: 'web', subsets: [{ name: 'v2', labels: { version: 'v2' } }] }),
    ],
  ],
  [
    'IST0174',
    [object('destinationrule/web', { host: 'web' })],
    [web(), object('destinationrule/web', { host: 'web' })],
  ],
  ['IST0177', [entry('a', 'HTTP'), entry('b', 'TLS')], [entry('a', 'HTTP'), entry('b', 'http')]],
]

async function codesOf(objects: readonly Resource[]): Promise<readonly string[]> {
  return (await analyze(objects)).map(({ code }) => code)
}

describe('the analyzers', () => {
  it.each(CASES)('%s: found where it is, and not where it is not', async (code, has, hasNot) => {
    expect(await codesOf(has)).toContain(code)
    expect(await codesOf(hasNot)).not.toContain(code)
  })

  it('find IST0134 only where nobody allocates addresses', async () => {
    const objects = [entry('a', 'TCP')]
    const codes = async (allocatesEntryAddresses: boolean) =>
      (await analyze(objects, { allocatesEntryAddresses })).map(({ code }) => code)
    expect([await codes(false), await codes(true)]).toEqual([['IST0134'], []])
  })

  it('say nothing of waypoints and capture where the namespace is not told', async () => {
    const web80 = service('web', [{ name: 'http', port: 80 }])
    const attached = object('httproute/web', { parentRefs: [{ kind: 'Service', group: '', name: 'web' }] })
    const elsewhere = object('namespace/other', {}, { labels: AMBIENT })
    expect(await codesOf([elsewhere, web80, pod('web'), policy({ ...TO_WEB, rules: [{}] }), attached, strict])).toEqual(
      [],
    )
  })

  it('find every code of the table, and no other', async () => {
    const found = new Set((await loadAnalyzers()).flatMap(({ codes }) => codes))
    expect([...found].sort()).toEqual(Object.keys(FINDING_CODES).sort())
    const tested = new Set([...CASES.map(([code]) => code), 'IST0134'])
    expect([...tested].sort()).toEqual(Object.keys(FINDING_CODES).sort())
  })

  it('give what they declare, with level, words and place', async () => {
    const [found, ...more] = await analyze([policy({ action: 'DENY', rules: [{ to: GET }] })])
    expect(more).toEqual([])
    expect(found).toEqual({
      code: 'AM0104',
      level: 'Error',
      object: { apiVersion: 'security.istio.io/v1', kind: 'AuthorizationPolicy', name: 'pay', namespace: 'shop' },
      message: 'ztunnel reads no HTTP (found: methods), so this rule of a DENY can never match: nobody enforces it.',
      path: 'spec.rules[0]',
    })
  })

  it('put the most serious first', async () => {
    const levels = (
      await analyze([
        policy({}),
        policy({ action: 'AUDIT', rules: [{}] }),
        web(),
        object('l4tp/a', TO_WEB),
        object('httproute/r', { parentRefs: [{ name: 'gone' }] }),
      ])
    ).map(({ level }) => level)
    expect(levels).toEqual(levels.toSorted())
  })

  it('bear objects without anything in them', async () => {
    const kinds = [
      'ap',
      'pa',
      'requestauthentication',
      'vs',
      'dr',
      'se',
      'gateways.networking.istio.io',
      'gateway',
      'httproute',
      'telemetries',
      'sidecar',
      'envoyfilter',
      'pod',
      'deployment',
      'service',
      'l4tp',
    ]
    const bare = kinds.map((kind) => ({ ...object(`${kind}/x`), spec: undefined }))
    await expect(analyze(bare)).resolves.toBeDefined()
  })
})
