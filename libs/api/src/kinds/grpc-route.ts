import { listCell } from '../cells.ts'
import {
  areUnique,
  type BackendRef,
  backendRefs,
  HEADER_NAME,
  HOSTNAME,
  PARENT_REFS,
  type ParentReference,
  type RouteStatus,
  SECTION_NAME,
  SESSION_PERSISTENCE,
  type SessionPersistence,
  USE_DEFAULT_GATEWAYS,
} from '../gateway-api.ts'
import { defineKind } from '../kind.ts'
import type { Resource } from '../resource.ts'
import { GRPC_FILTERS, type GrpcRouteFilter } from '../route-filters.ts'
import { array, object, oneOf, STATUS, string, withRules } from '../schema.ts'

export interface GrpcMethodMatch {
  /** @default 'Exact' */
  readonly type?: 'Exact' | 'RegularExpression'
  /** `package.Service`; at least one of the two is set. */
  readonly service?: string
  readonly method?: string
}

export interface GrpcHeaderMatch {
  /** @default 'Exact' */
  readonly type?: 'Exact' | 'RegularExpression'
  readonly name: string
  readonly value: string
}

export interface GrpcRouteMatch {
  readonly method?: GrpcMethodMatch
  readonly headers?: readonly GrpcHeaderMatch[]
}

export interface GrpcBackendRef extends BackendRef {
  readonly filters?: readonly GrpcRouteFilter[]
}

export interface GrpcRouteRule {
  readonly name?: string
  /** One of them must match; none: every call. */
  readonly matches?: readonly GrpcRouteMatch[]
  readonly filters?: readonly GrpcRouteFilter[]
  readonly backendRefs?: readonly GrpcBackendRef[]
  readonly sessionPersistence?: SessionPersistence
}

export interface GrpcRouteSpec {
  readonly parentRefs?: readonly ParentReference[]
  readonly useDefaultGateways?: 'All' | 'None'
  readonly hostnames?: readonly string[]
  readonly rules?: readonly GrpcRouteRule[]
}

export type GrpcRoute = Resource<GrpcRouteSpec, RouteStatus>

const MATCH_TYPE = { ...oneOf('Exact', 'RegularExpression'), default: 'Exact' }

const METHOD_MATCH = withRules<GrpcMethodMatch>(
  object({ method: string({ maxLength: 1024 }), service: string({ maxLength: 1024 }), type: MATCH_TYPE }),
  {
    "One or both of 'service' or 'method' must be specified": ({ service, method }) =>
      service !== undefined || method !== undefined,
    'service must only contain valid characters (matching ^(?i)\\.?[a-z_][a-z_0-9]*(\\.[a-z_][a-z_0-9]*)*$)': ({
      type = 'Exact',
      service,
    }) => type !== 'Exact' || service === undefined || /^\.?[a-z_][a-z_0-9]*(\.[a-z_][a-z_0-9]*)*$/i.test(service),
    'method must only contain valid characters (matching ^[A-Za-z_][A-Za-z_0-9]*$)': ({ type = 'Exact', method }) =>
      type !== 'Exact' || method === undefined || /^[A-Za-z_][A-Za-z_0-9]*$/.test(method),
  },
)

const HEADER_MATCHES = array(
  object(
    { name: HEADER_NAME, type: MATCH_TYPE, value: string({ minLength: 1, maxLength: 4096 }) },
    { required: ['name', 'value'] },
  ),
  { maxItems: 16, 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['name'] },
)

const MATCHES_MAX = 128

const RULES = withRules<readonly GrpcRouteRule[]>(
  array(
    object({
      backendRefs: backendRefs({ filters: GRPC_FILTERS }),
      filters: GRPC_FILTERS,
      matches: array(object({ headers: HEADER_MATCHES, method: METHOD_MATCH }), { maxItems: 64 }),
      name: SECTION_NAME,
      sessionPersistence: SESSION_PERSISTENCE,
    }),
    { maxItems: 16 },
  ),
  {
    'While 16 rules and 64 matches per rule are allowed, the total number of matches across all rules in a route must be less than 128':
      (rules) => rules.reduce((sum, { matches = [] }) => sum + matches.length, 0) <= MATCHES_MAX,
    'Rule name must be unique within the route': (rules) =>
      areUnique(
        rules.filter(({ name }) => name !== undefined),
        ({ name }) => name,
      ),
  },
)

export default defineKind<GrpcRoute>({
  group: 'gateway.networking.k8s.io',
  version: 'v1',
  kind: 'GRPCRoute',
  plural: 'grpcroutes',
  shortNames: ['gr'],
  categories: ['gateway-api'],
  scope: 'Namespaced',
  schema: object({
    spec: object({
      hostnames: array(HOSTNAME, { maxItems: 16 }),
      parentRefs: PARENT_REFS,
      rules: RULES,
      useDefaultGateways: USE_DEFAULT_GATEWAYS,
    }),
    status: STATUS,
  }),
  columns: [{ title: 'HOSTNAMES', value: ({ spec }) => listCell(spec, 'hostnames') }],
})
