import type { KindDefinition } from '../../kind.ts'
import destinationRuleKind, { type DestinationRule } from '../../kinds/destination-rule.ts'
import grpcRouteKind from '../../kinds/grpc-route.ts'
import httpRouteKind from '../../kinds/http-route.ts'
import virtualServiceKind from '../../kinds/virtual-service.ts'
import xBackendTrafficPolicyKind from '../../kinds/x-backend-traffic-policy.ts'
import type { Resource } from '../../resource.ts'
import { waypointState } from '../ambient-mesh.ts'
import type { AnalysisWorld } from '../analysis-world.ts'
import { defineAnalyzer, finding } from '../analyzer.ts'
import { findHost } from '../hosts.ts'

/** Paths (`[]`: any element) → why nothing follows from what is there. */
type Reasons = Readonly<Record<string, string>>

const NO_FILES = 'it names files of a proxy’s pod, and proxies here have none; a credentialName names a Secret'
const NOBODY = 'Istio’s proxies do not read it either'
const NO_STICKY_SESSIONS = 'Istio has not built it; a DestinationRule with consistentHash sticks'

const OF_POLICIES: Reasons = {
  'loadBalancer.backendUtilization': `${NOBODY}, and hosts are chosen by LEAST_REQUEST`,
  'outlierDetection.consecutiveErrors': 'Istio has given it up for consecutive5xxErrors and consecutiveGatewayErrors',
  'tls.caCertificates': NO_FILES,
  'tls.caCrl': NO_FILES,
  'tls.clientCertificate': NO_FILES,
  'tls.privateKey': NO_FILES,
  tunnel: 'proxies here begin no CONNECT through another proxy, as Istio’s sidecars and gateways do',
}

/** What of a policy Istio gives to sidecars and gateways, and not to a waypoint. */
const NOT_AT_WAYPOINTS: Reasons = {
  'loadBalancer.zoneAwareLbSetting': 'a waypoint knows no replicas of its own; sidecars and gateways follow it',
  'outlierDetection.outlierDetectionHttpErrorCodes': 'waypoints do not follow it; sidecars and gateways do',
}

const POLICIES = ['spec.trafficPolicy', 'spec.subsets[].trafficPolicy'].flatMap((path) => [
  path,
  `${path}.portLevelSettings[]`,
])

const inPolicies = (reasons: Reasons): Reasons =>
  Object.fromEntries(
    POLICIES.flatMap((policy) => Object.entries(reasons).map(([path, why]) => [`${policy}.${path}`, why])),
  )

const OF_RULES: Reasons = {
  'spec.workloadSelector':
    'the clusters of a node are for all of its proxies, so that the whole rule is passed over; Istio’s waypoints do so too, its sidecars and gateways follow it',
  ...inPolicies(OF_POLICIES),
}

const OF_RULES_AT_WAYPOINTS = inPolicies(NOT_AT_WAYPOINTS)

const OF_KINDS: readonly (readonly [KindDefinition, Reasons])[] = [
  [
    virtualServiceKind,
    {
      'spec.http[].fault.abort.http2Error': NOBODY,
      'spec.http[].fault.delay.exponentialDelay': NOBODY,
      'spec.http[].match[].statPrefix': 'it names statistics of Envoy that proxies here do not have',
      'spec.tcp[].match[].sourceSubnet': NOBODY,
    },
  ],
  [httpRouteKind, { 'spec.rules[].sessionPersistence': NO_STICKY_SESSIONS }],
  [grpcRouteKind, { 'spec.rules[].sessionPersistence': NO_STICKY_SESSIONS }],
  [xBackendTrafficPolicyKind, { 'spec.sessionPersistence': NO_STICKY_SESSIONS }],
]

/** Fields of traffic rules that load, and that nothing follows from: here, or in Istio as well. */
export default defineAnalyzer({
  name: 'unfollowed-fields',
  codes: ['AM1002'],
  *find(world) {
    for (const rule of world.list(destinationRuleKind)) {
      yield* findFields(rule, OF_RULES)
      if (isForWaypoint(world, rule)) yield* findFields(rule, OF_RULES_AT_WAYPOINTS)
    }
    for (const [kind, reasons] of OF_KINDS) {
      for (const object of world.list(kind)) yield* findFields(object, reasons)
    }
  },
})

function* findFields(object: Resource, reasons: Reasons) {
  for (const [pattern, why] of Object.entries(reasons)) {
    for (const path of pathsOf(object, pattern.split('.'))) yield finding('AM1002', object, [path, why], path)
  }
}

/** Where something is at a path. */
function* pathsOf(value: unknown, [word, ...rest]: readonly string[], at = ''): Iterable<string> {
  if (word === undefined) {
    yield at
    return
  }
  const name = word.replace('[]', '')
  const child = (value as Readonly<Record<string, unknown>>)[name]
  const path = at === '' ? name : `${at}.${name}`
  if (child === undefined || child === null || child === '') return
  if (!word.endsWith('[]')) yield* pathsOf(child, rest, path)
  else
    for (const [index, item] of (child as readonly unknown[]).entries()) yield* pathsOf(item, rest, `${path}[${index}]`)
}

function isForWaypoint(world: AnalysisWorld, { metadata, spec }: DestinationRule): boolean {
  const known = spec?.host === undefined ? undefined : findHost(world, spec.host, metadata.namespace ?? '')?.object
  return known !== undefined && 'key' in waypointState(world, known)
}
