import type { RouteStatus } from '../gateway-api.ts'
import { defineKind } from '../kind.ts'
import { type L4RouteSpec, l4RouteSchema } from '../l4-route.ts'
import type { Resource } from '../resource.ts'

export type UdpRoute = Resource<L4RouteSpec, RouteStatus>

export default defineKind<UdpRoute>({
  group: 'gateway.networking.k8s.io',
  version: 'v1',
  otherVersions: ['v1alpha2'],
  kind: 'UDPRoute',
  plural: 'udproutes',
  categories: ['gateway-api'],
  scope: 'Namespaced',
  schema: l4RouteSchema(),
  columns: [],
})
