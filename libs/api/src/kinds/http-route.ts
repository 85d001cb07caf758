import { listCell } from '../cells.ts'
import {
  areUnique,
  type BackendRef,
  backendRefs,
  GATEWAY_DURATION,
  HEADER_NAME,
  HEADER_VALUE,
  HOSTNAME,
  PARENT_REFS,
  type ParentReference,
  parseGatewayDuration,
  type RouteStatus,
  SECTION_NAME,
  SESSION_PERSISTENCE,
  type SessionPersistence,
  USE_DEFAULT_GATEWAYS,
} from '../gateway-api.ts'
import { defineKind } from '../kind.ts'
import type { Resource } from '../resource.ts'
import { HTTP_FILTERS, HTTP_METHOD, type HttpRouteFilter, type PathModifier } from '../route-filters.ts'
import { array, integer, object, oneOf, STATUS, string, withRules } from '../schema.ts'

export interface HttpPathMatch {
  /** @default 'PathPrefix' */
  readonly type?: 'Exact' | 'PathPrefix' | 'RegularExpression'
  /** @default '/' */
  readonly value?: string
}

export interface HttpValueMatch {
  /** @default 'Exact' */
  readonly type?: 'Exact' | 'RegularExpression'
  readonly name: string
  readonly value: string
}

/** All that is set must match; absent fields match everything. */
export interface HttpRouteMatch {
  /** @default { type: 'PathPrefix', value: '/' } */
  readonly path?: HttpPathMatch
  readonly headers?: readonly HttpValueMatch[]
  readonly queryParams?: readonly HttpValueMatch[]
  readonly method?: string
}

export interface HttpBackendRef extends BackendRef {
  readonly filters?: readonly HttpRouteFilter[]
}

export interface HttpRouteTimeouts {
  /** Of the whole request, tries included. `0s`: none. */
  readonly request?: string
  /** Of one try. */
  readonly backendRequest?: string
}

export interface HttpRouteRetry {
  /** Response codes that are worth another try. */
  readonly codes?: readonly number[]
  readonly attempts?: number
  /** The least wait between tries. */
  readonly backoff?: string
}

export interface HttpRouteRule {
  readonly name?: string
  /** One of them must match. @default every path */
  readonly matches?: readonly HttpRouteMatch[]
  readonly filters?: readonly HttpRouteFilter[]
  readonly backendRefs?: readonly HttpBackendRef[]
  readonly timeouts?: HttpRouteTimeouts
  readonly retry?: HttpRouteRetry
  readonly sessionPersistence?: SessionPersistence
}

export interface HttpRouteSpec {
  readonly parentRefs?: readonly ParentReference[]
  readonly useDefaultGateways?: 'All' | 'None'
  readonly hostnames?: readonly string[]
  /** @default one rule that matches every path and has no backend */
  readonly rules?: readonly HttpRouteRule[]
}

export type HttpRoute = Resource<HttpRouteSpec, RouteStatus>

const EVERY_PATH = { type: 'PathPrefix', value: '/' } as const
const NEVER_IN_PATHS = ['//', '/./', '/../', '%2f', '%2F', '#']
const NEVER_AT_END = ['/..', '/.']
const PATH_CHARACTERS = "^(?:[-A-Za-z0-9/._~!$&'()*+,;=:@]|[%][0-9a-fA-F]{2})+$"

const literal =
  (holds: (path: string) => boolean) =>
  ({ type = 'PathPrefix', value = '/' }: HttpPathMatch) =>
    type === 'RegularExpression' || holds(value)

const PATH_MATCH = withRules<HttpPathMatch>(
  object(
    {
      type: { ...oneOf('Exact', 'PathPrefix', 'RegularExpression'), default: 'PathPrefix' },
      value: string({ maxLength: 1024, default: '/' }),
    },
    { default: EVERY_PATH },
  ),
  {
    "value must be an absolute path and start with '/' when type one of ['Exact', 'PathPrefix']": literal((path) =>
      path.startsWith('/'),
    ),
    ...Object.fromEntries(
      NEVER_IN_PATHS.map((part) => [
        `must not contain '${part}' when type one of ['Exact', 'PathPrefix']`,
        literal((path) => !path.includes(part)),
      ]),
    ),
    ...Object.fromEntries(
      NEVER_AT_END.map((end) => [
        `must not end with '${end}' when type one of ['Exact', 'PathPrefix']`,
        literal((path) => !path.endsWith(end)),
      ]),
    ),
    [`must only contain valid characters (matching ${PATH_CHARACTERS}) for types ['Exact', 'PathPrefix']`]: literal(
      (path) => new RegExp(PATH_CHARACTERS).test(path),
    ),
  },
)

const VALUE_MATCH_TYPE = { ...oneOf('Exact', 'RegularExpression'), default: 'Exact' }

/** Unique by name. */
const valueMatches = (value: typeof HEADER_VALUE) =>
  array(object({ name: HEADER_NAME, type: VALUE_MATCH_TYPE, value }, { required: ['name', 'value'] }), {
    maxItems: 16,
    'x-kubernetes-list-type': 'map',
    'x-kubernetes-list-map-keys': ['name'],
  })

const MATCHES = array(
  object({
    headers: valueMatches(HEADER_VALUE),
    method: HTTP_METHOD,
    path: PATH_MATCH,
    queryParams: valueMatches(string({ minLength: 1, maxLength: 1024 })),
  }),
  { maxItems: 64, default: [{ path: EVERY_PATH }] },
)

const TIMEOUTS = withRules<HttpRouteTimeouts>(object({ backendRequest: GATEWAY_DURATION, request: GATEWAY_DURATION }), {
  'backendRequest timeout cannot be longer than request timeout': ({ request = '0s', backendRequest = '0s' }) => {
    const requestMs = parseGatewayDuration(request) ?? 0
    return requestMs === 0 || (parseGatewayDuration(backendRequest) ?? 0) <= requestMs
  },
})

const RETRY = object({
  attempts: integer({ minimum: 1 }),
  backoff: GATEWAY_DURATION,
  codes: array(integer({ minimum: 400, maximum: 599 }), { 'x-kubernetes-list-type': 'set' }),
})

const RULE = withRules<HttpRouteRule>(
  object({
    backendRefs: backendRefs({ filters: HTTP_FILTERS }),
    filters: HTTP_FILTERS,
    matches: MATCHES,
    name: SECTION_NAME,
    retry: RETRY,
    sessionPersistence: SESSION_PERSISTENCE,
    timeouts: TIMEOUTS,
  }),
  {
    'RequestRedirect filter must not be used together with backendRefs': ({ backendRefs = [], filters = [] }) =>
      backendRefs.length === 0 || filters.every(({ requestRedirect }) => !requestRedirect),
    ...prefixRules('RequestRedirect', ({ requestRedirect }) => requestRedirect?.path),
    ...prefixRules('URLRewrite', ({ urlRewrite }) => urlRewrite?.path),
  },
)

/** What replaces a matched prefix needs one prefix match, or it would not know what was matched. */
function prefixRules(type: string, pathOf: (filter: HttpRouteFilter) => PathModifier | undefined) {
  const when = (upper: string, within = '') =>
    `${within}${upper}hen using ${type} filter with path.replacePrefixMatch, exactly one PathPrefix match must be specified`
  const replaces = (filters: readonly HttpRouteFilter[] = []) =>
    filters.filter((filter) => pathOf(filter)?.type === 'ReplacePrefixMatch').length === 1
  const matchesOnePrefix = ({ matches = [{}] }: HttpRouteRule) =>
    matches.length === 1 && (matches[0]?.path?.type ?? 'PathPrefix') === 'PathPrefix'
  return {
    [when('W')]: (rule: HttpRouteRule) => !replaces(rule.filters) || matchesOnePrefix(rule),
    [when(type === 'URLRewrite' ? 'W' : 'w', 'Within backendRefs, ')]: (rule: HttpRouteRule) =>
      (rule.backendRefs ?? []).filter(({ filters }) => replaces(filters)).length !== 1 || matchesOnePrefix(rule),
  }
}

const MATCHES_MAX = 128

const RULES = withRules<readonly HttpRouteRule[]>(
  array(RULE, { minItems: 1, maxItems: 16, default: [{ matches: [{ path: EVERY_PATH }] }] }),
  {
    'While 16 rules and 64 matches per rule are allowed, the total number of matches across all rules in a route must be less than 128':
      (rules) => rules.reduce((sum, { matches = [{}] }) => sum + matches.length, 0) <= MATCHES_MAX,
    'Rule name must be unique within the route': (rules) =>
      areUnique(
        rules.filter(({ name }) => name !== undefined),
        ({ name }) => name,
      ),
  },
)

export default defineKind<HttpRoute>({
  group: 'gateway.networking.k8s.io',
  version: 'v1',
  otherVersions: ['v1beta1'],
  kind: 'HTTPRoute',
  plural: 'httproutes',
  shortNames: ['hr'],
  categories: ['gateway-api'],
  scope: 'Namespaced',
  schema: object(
    {
      spec: object({
        hostnames: array(HOSTNAME, { maxItems: 16 }),
        parentRefs: PARENT_REFS,
        rules: RULES,
        useDefaultGateways: USE_DEFAULT_GATEWAYS,
      }),
      status: STATUS,
    },
    { required: ['spec'] },
  ),
  columns: [{ title: 'HOSTNAMES', value: ({ spec }) => listCell(spec, 'hostnames') }],
})
