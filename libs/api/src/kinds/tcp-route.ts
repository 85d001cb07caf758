import type { RouteStatus } from '../gateway-api.ts'
import { defineKind } from '../kind.ts'
import { type L4RouteSpec, l4RouteSchema } from '../l4-route.ts'
import type { Resource } from '../resource.ts'

export type TcpRoute = Resource<L4RouteSpec, RouteStatus>

export default defineKind<TcpRoute>({
  group: 'gateway.networking.k8s.io',
  version: 'v1',
  otherVersions: ['v1alpha2'],
  kind: 'TCPRoute',
  plural: 'tcproutes',
  shortNames: ['tr'],
  categories: ['gateway-api'],
  scope: 'Namespaced',
  schema: l4RouteSchema(),
  columns: [],
})
