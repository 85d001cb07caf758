import type { Gateway, Resource } from '@ambient-lab/api'
import { describe, expect, it } from 'vitest'
import {
  BACKEND_TLS_POLICIES,
  CONFIG_MAPS,
  GATEWAY_CLASSES,
  GATEWAYS,
  HTTP_ROUTES,
  type KnownType,
  NAMESPACES,
  REFERENCE_GRANTS,
  SERVICES,
} from '../stored-kinds.ts'
import { viewOf } from '../translate/view.conformance.ts'
import { backendTlsFindings } from './backend-tls-status.ts'
import type { GatewayServices } from './gateway-services.ts'
import { gatewayFindings } from './gateway-status.ts'
import { routeFindings } from './route-status.ts'
import { waypointAccepted } from './waypoint-accepted.ts'

const GROUP = 'gateway.networking.k8s.io'

function object(kind: string, name: string, spec: object, more: object = {}): Resource {
  return { apiVersion: 'x/v1', kind, metadata: { name, namespace: 'default', ...more }, spec }
}

const WAYPOINT: Resource = {
  ...object('Gateway', 'wp', {
    gatewayClassName: 'istio-waypoint',
    listeners: [{ name: 'mesh', port: 15008, protocol: 'HBONE' }],
  }),
  status: { addresses: [{ type: 'Hostname', value: 'wp.default.svc.cluster.local' }] },
}

function gateway(listeners: readonly object[], more: object = {}): Gateway {
  return object('Gateway', 'gw', { gatewayClassName: 'istio', listeners, ...more }) as Gateway
}

const HTTP = { name: 'http', port: 80, protocol: 'HTTP' }

describe('whether waypoints enforce a policy', () => {
  const world: readonly [KnownType, Resource][] = [
    [GATEWAYS, WAYPOINT],
    [
      GATEWAY_CLASSES,
      {
        ...object('GatewayClass', 'istio-waypoint', { controllerName: 'istio.io/mesh-controller' }),
        metadata: { name: 'istio-waypoint' },
      },
    ],
    [
      GATEWAY_CLASSES,
      {
        ...object('GatewayClass', 'istio', { controllerName: 'istio.io/gateway-controller' }),
        metadata: { name: 'istio' },
      },
    ],
    [SERVICES, object('Service', 'bound', {}, { labels: { 'istio.io/use-waypoint': 'wp' } })],
    [SERVICES, object('Service', 'unbound', {})],
  ]
  const service = (name: string) => ({ group: '', kind: 'Service', name })
  const other = (kind: string, name: string) => ({ group: GROUP, kind, name })
  it.each<[readonly object[], string, string, string, string?]>([
    [[service('bound')], 'True', 'Accepted', 'bound to default/wp'],
    [[service('unbound')], 'False', 'AncestorNotBound', 'Service default/unbound is not bound to a waypoint'],
    [[service('gone')], 'False', 'TargetNotFound', 'Service default/gone was not found'],
    [[other('Gateway', 'wp')], 'True', 'Accepted', 'bound to default/wp'],
    [[other('Gateway', 'gone')], 'False', 'TargetNotFound', 'Gateway default/gone was not found'],
    [
      [other('GatewayClass', 'istio-waypoint')],
      'False',
      'Invalid',
      'AuthorizationPolicy must be in the root namespace `istio-system` when referencing a GatewayClass',
    ],
    [[other('GatewayClass', 'istio-waypoint')], 'True', 'Accepted', 'bound to istio-waypoint', 'istio-system'],
    [
      [other('GatewayClass', 'istio')],
      'False',
      'Invalid',
      'GatewayClass must use controller name `istio.io/mesh-controller`',
      'istio-system',
    ],
    [
      [{ group: 'x', kind: 'Y', name: 'z' }],
      'False',
      'Invalid',
      'targetRef of group "x" and kind "Y" is not supported',
    ],
    [[service('bound'), other('Gateway', 'wp')], 'True', 'Accepted', 'bound to all ancestors'],
    [[service('bound'), service('gone')], 'True', 'PartiallyInvalid', 'ancestors not bound: Service/gone'],
    [
      [service('gone'), service('unbound')],
      'False',
      'TargetNotFound',
      'ancestors not bound: Service/gone, Service/unbound',
    ],
  ])('%j: %s %s', (targetRefs, status, reason, message, namespace = 'default') => {
    const policy = object('AuthorizationPolicy', 'p', { targetRefs }, { namespace, generation: 3 })
    expect(waypointAccepted(policy, viewOf(world))).toEqual({
      ...{ type: 'WaypointAccepted', status, reason, message, observedGeneration: 3 },
    })
  })

  it('is no question for one without targets', () => {
    expect(waypointAccepted(object('AuthorizationPolicy', 'p', {}), viewOf(world))).toBeUndefined()
  })
})

describe('what a parent says to a route', () => {
  const open = { allowedRoutes: { namespaces: { from: 'All' } } }
  const selected = { allowedRoutes: { namespaces: { from: 'Selector', selector: { matchLabels: { team: 'a' } } } } }
  it.each<[string, object, object, { namespace?: string; hostnames?: string[] }, string, string?]>([
    ['its listener', HTTP, {}, {}, 'Accepted'],
    ['a listener by name', HTTP, { sectionName: 'http' }, {}, 'Accepted'],
    [
      'no listener of that name',
      HTTP,
      { sectionName: 'other' },
      {},
      'NoMatchingParent',
      'sectionName "other" not found',
    ],
    ['no listener of that port', HTTP, { port: 81 }, {}, 'NoMatchingParent', 'port 81 not found'],
    ['hosts that meet', { ...HTTP, hostname: '*.a.com' }, {}, { hostnames: ['x.a.com', 'b.org'] }, 'Accepted'],
    [
      'hosts that do not',
      { ...HTTP, hostname: '*.a.com' },
      {},
      { hostnames: ['a.com'] },
      'NoMatchingListenerHostname',
      'no hostnames matched parent hostname "*.a.com"',
    ],
    [
      'another namespace',
      HTTP,
      {},
      { namespace: 'other' },
      'NotAllowedByListeners',
      'hostnames matched parent hostname "", but namespace "other" is not allowed by the parent',
    ],
    ['another namespace that is let in', { ...HTTP, ...open }, {}, { namespace: 'other' }, 'Accepted'],
    ['one by its labels', { ...HTTP, ...selected }, {}, { namespace: 'other' }, 'Accepted'],
    [
      'a listener of other routes',
      { name: 't', port: 90, protocol: 'TCP' },
      {},
      {},
      'NotAllowedByListeners',
      `kind ${GROUP}/v1/HTTPRoute is not allowed`,
    ],
    [
      'a listener that leaves the kind out',
      { ...HTTP, allowedRoutes: { kinds: [{ kind: 'GRPCRoute' }] } },
      {},
      {},
      'NotAllowedByListeners',
    ],
  ])('%s', (_, listener, parent, { namespace = 'default', ...spec }, reason, message) => {
    const parentRefs = [{ name: 'gw', namespace: 'default', ...parent }]
    const route = { ...object('HTTPRoute', 'r', { parentRefs, rules: [], ...spec }, { namespace }) }
    const view = viewOf([
      [GATEWAYS, gateway([listener])],
      [NAMESPACES, { ...object('Namespace', 'other', {}), metadata: { name: 'other', labels: { team: 'a' } } }],
    ])
    const [found] = routeFindings(route as never, view)
    expect(found?.conditions[0]).toMatchObject({ type: 'Accepted', reason, ...(message && { message }) })
  })

  it.each([
    ['nobody’s class', { ...gateway([HTTP]), spec: { gatewayClassName: 'nginx', listeners: [HTTP] } }],
    ['another cluster’s', { ...gateway([HTTP]), spec: { gatewayClassName: 'istio-remote', listeners: [HTTP] } }],
  ])('is nothing for a Gateway of %s', (_, foreign) => {
    const route = object('HTTPRoute', 'r', { parentRefs: [{ name: 'gw' }] })
    expect(routeFindings(route as never, viewOf([[GATEWAYS, foreign as never]]))).toEqual([])
  })

  it('tells of a backend of another namespace, until a grant allows it', () => {
    const rules = [{ backendRefs: [{ name: 'b', namespace: 'other', port: 80 }] }]
    const route = object('HTTPRoute', 'r', { parentRefs: [{ name: 'gw' }], rules })
    const world: [KnownType, Resource][] = [
      [GATEWAYS, gateway([HTTP])],
      [HTTP_ROUTES, route],
      [SERVICES, object('Service', 'b', { ports: [{ port: 80 }] }, { namespace: 'other' })],
    ]
    const resolved = () => routeFindings(route as never, viewOf(world))[0]?.conditions[1]
    expect(resolved()).toMatchObject({ type: 'ResolvedRefs', status: 'False', reason: 'RefNotPermitted' })
    const from = [{ group: GROUP, kind: 'HTTPRoute', namespace: 'default' }]
    const to = [{ group: '', kind: 'Service', name: 'b' }]
    world.push([REFERENCE_GRANTS, object('ReferenceGrant', 'g', { from, to }, { namespace: 'other' })])
    expect(resolved()).toMatchObject({ status: 'True' })
  })
})

describe('what becomes of a BackendTLSPolicy', () => {
  const policy = (name: string, more: { spec?: object; annotations?: object } = {}): Resource => {
    const targetRefs = [{ group: '', kind: 'Service', name: 'b' }]
    const validation = {
      hostname: 'b',
      caCertificateRefs: [{ group: '', kind: 'ConfigMap', name: 'ca' }],
      ...more.spec,
    }
    return object('BackendTLSPolicy', name, { targetRefs, validation }, { annotations: more.annotations })
  }
  const map = (name: string, text: string): [KnownType, Resource] => [
    CONFIG_MAPS,
    { ...object('ConfigMap', name, {}), data: { 'ca.crt': text } },
  ]
  const good = map('ca', '-----BEGIN CERTIFICATE-----')
  const refs = (...caCertificateRefs: readonly object[]) => ({ spec: { caCertificateRefs } })
  const ref = (name: string, kind = 'ConfigMap') => ({ group: '', kind, name })
  it.each<[string, Resource, readonly [KnownType, Resource][], readonly string[]]>([
    ['all is there', policy('p'), [good], ['Accepted=True Accepted', 'ResolvedRefs=True ResolvedRefs']],
    [
      'no such ConfigMap',
      policy('p'),
      [],
      ['Accepted=False NoValidCACertificate', 'ResolvedRefs=False InvalidCACertificateRef'],
    ],
    [
      'no certificate in it',
      policy('p'),
      [map('ca', 'x')],
      ['Accepted=False NoValidCACertificate', 'ResolvedRefs=False InvalidCACertificateRef'],
    ],
    [
      'a kind that is none',
      policy('p', refs(ref('ca', 'Pod'))),
      [good],
      ['Accepted=False NoValidCACertificate', 'ResolvedRefs=False InvalidKind'],
    ],
    [
      'one of two',
      policy('p', refs(ref('ca'), ref('gone'))),
      [good],
      ['Accepted=True Accepted', 'ResolvedRefs=False InvalidCACertificateRef'],
    ],
    ['the system’s roots', policy('p', refs()), [], ['Accepted=True Accepted', 'ResolvedRefs=True ResolvedRefs']],
    [
      'a rival by name',
      policy('p'),
      [good, [BACKEND_TLS_POLICIES, policy('a')]],
      ['Accepted=False Conflicted', 'ResolvedRefs=True ResolvedRefs'],
    ],
    [
      'a rival that is to be passed over',
      policy('p'),
      [good, [BACKEND_TLS_POLICIES, policy('a', { annotations: { 'istio.io/ignore-policy-attachment': 'true' } })]],
      ['Accepted=True Accepted', 'ResolvedRefs=True ResolvedRefs'],
    ],
    [
      'to be passed over',
      policy('p', { annotations: { 'istio.io/ignore-policy-attachment': 'true' } }),
      [good],
      ['Accepted=False IgnoredByIstio'],
    ],
  ])('%s', (_, own, world, expected) => {
    const view = viewOf([...world, [BACKEND_TLS_POLICIES, own]])
    const [found] = backendTlsFindings(own as never, view)
    expect(found?.ancestorRef).toEqual({ group: '', kind: 'Service', name: 'b' })
    expect(found?.conditions.map(({ type, status, reason }) => `${type}=${status} ${reason}`)).toEqual(expected)
  })

  it('is told for the Gateways that send to its targets', () => {
    const parentRefs = [{ name: 'gw' }]
    const route = object('HTTPRoute', 'r', { parentRefs, rules: [{ backendRefs: [{ name: 'b', port: 80 }] }] })
    const view = viewOf([good, [GATEWAYS, gateway([HTTP])], [HTTP_ROUTES, route]])
    expect(backendTlsFindings(policy('p') as never, view)).toMatchObject([
      {
        ancestorRef: { group: GROUP, kind: 'Gateway', namespace: 'default', name: 'gw' },
        controllerName: 'istio.io/gateway-controller',
      },
    ])
  })
})

describe('what a Gateway says of itself', () => {
  const serving =
    (...ports: readonly number[]): GatewayServices =>
    () => ({
      ports: ports.map((port) => ({ port, targetPort: port + 8000 })),
      externalAddresses: [],
      hasEndpoints: true,
    })
  const conditionsOf = (of: Gateway, services: GatewayServices) =>
    gatewayFindings(of, services, viewOf([[GATEWAYS, of]]))?.conditions.map(
      ({ type, status, reason }) => `${type}=${status} ${reason}`,
    )

  it.each<[string, Gateway, GatewayServices, string]>([
    ['served', gateway([HTTP]), serving(80), 'Programmed=True Programmed'],
    ['no service yet', gateway([HTTP]), () => undefined, 'Programmed=False AddressNotUsable'],
    [
      'nobody behind it',
      gateway([HTTP]),
      () => ({ ...serving(80)('')!, hasEndpoints: false }),
      'Programmed=False AddressNotUsable',
    ],
    [
      'a port that the service lacks',
      gateway([HTTP, { ...HTTP, name: 'b', port: 81 }]),
      serving(80),
      'Programmed=False AddressNotUsable',
    ],
    [
      'no listener that works',
      gateway([{ ...HTTP, protocol: 'UDP' }]),
      serving(80),
      'Accepted=False ListenersNotValid',
    ],
    [
      'one that works',
      gateway([HTTP, { name: 'u', port: 81, protocol: 'UDP' }]),
      serving(80, 81),
      'Accepted=True Accepted',
    ],
    [
      'addresses that nobody can give',
      gateway([HTTP], { addresses: [{ type: 'x', value: 'y' }] }),
      serving(80),
      'Accepted=False UnsupportedAddress',
    ],
    [
      'parameters that are not there',
      gateway([HTTP], { infrastructure: { parametersRef: { group: '', kind: 'ConfigMap', name: 'c' } } }),
      serving(80),
      'Accepted=False InvalidParameters',
    ],
    [
      'a client certificate that is not there',
      gateway([HTTP], { tls: { backend: { clientCertificateRef: { name: 's' } } } }),
      serving(80),
      'ResolvedRefs=False InvalidClientCertificateRef',
    ],
  ])('%s', (_, of, services, expected) => {
    expect(conditionsOf(of, services)).toContain(expected)
  })

  it('hints at the service port where the pods’ own was given', () => {
    const [, programmed] = gatewayFindings(gateway([{ ...HTTP, port: 8080 }]), serving(80), viewOf([]))!.conditions
    expect(programmed?.message).toContain('Did you mean one of these ports: [80]?')
  })

  it.each([
    [
      { name: 's', port: 443, protocol: 'HTTPS', tls: { certificateRefs: [{ name: 'gone' }] } },
      'InvalidCertificateRef',
    ],
    [
      { name: 's', port: 443, protocol: 'HTTPS', tls: { certificateRefs: [{ name: 'c', namespace: 'other' }] } },
      'RefNotPermitted',
    ],
    [
      { name: 's', port: 443, protocol: 'HTTPS', tls: { certificateRefs: [{ group: 'x', kind: 'Y', name: 'c' }] } },
      'InvalidCertificateRef',
    ],
    [{ ...HTTP, allowedRoutes: { kinds: [{ kind: 'TCPRoute' }] } }, 'InvalidRouteKinds'],
  ])('and of its listener %j: %s', (listener, reason) => {
    const found = gatewayFindings(gateway([listener]), serving(443, 80), viewOf([]))?.listeners?.[0]
    expect(found?.conditions).toContainEqual(expect.objectContaining({ type: 'ResolvedRefs', status: 'False', reason }))
  })
})
