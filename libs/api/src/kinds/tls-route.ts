import { isIP } from 'node:net'
import { HOSTNAME, type RouteStatus } from '../gateway-api.ts'
import { defineKind } from '../kind.ts'
import { type L4RouteSpec, l4RouteSchema } from '../l4-route.ts'
import type { Resource } from '../resource.ts'
import { array, withRules } from '../schema.ts'

export interface TlsRouteSpec extends L4RouteSpec {
  /** Matched against the SNI of the client's hello. */
  readonly hostnames: readonly string[]
}

export type TlsRoute = Resource<TlsRouteSpec, RouteStatus>

const HOSTNAMES = withRules<readonly string[]>(array(HOSTNAME, { minItems: 1, maxItems: 1024 }), {
  'Hostnames cannot contain an IP': (hostnames) => hostnames.every((hostname) => isIP(hostname) === 0),
})

export default defineKind<TlsRoute>({
  group: 'gateway.networking.k8s.io',
  version: 'v1',
  otherVersions: ['v1alpha3', 'v1alpha2'],
  kind: 'TLSRoute',
  plural: 'tlsroutes',
  categories: ['gateway-api'],
  scope: 'Namespaced',
  schema: l4RouteSchema({ hostnames: HOSTNAMES }),
  columns: [],
})
