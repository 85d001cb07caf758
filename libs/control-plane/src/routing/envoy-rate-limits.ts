import type { EnvoyFilter } from '@ambient-lab/api'
import { parseDuration } from '@ambient-lab/std'
import type {
  HeaderMutation,
  LocalRateLimit,
  NamedMatcher,
  RateLimitAction,
  RateLimitActions,
  RateLimitService,
  StringMatcher,
  TokenBucket,
} from '@ambient-lab/xds'
import { outboundCluster } from './cluster-names.ts'
import type { ChainRateLimits } from './rate-limits.ts'

/** What EnvoyFilters say about rate limits: on all routes of a chain, and on routes by name. */
export interface EnvoyRateLimits {
  readonly chain: ChainRateLimits
  readonly routes: ReadonlyMap<string, ChainRateLimits>
}

type Json = Readonly<Record<string, unknown>>

const LOCAL_FILTER = 'envoy.filters.http.local_ratelimit'
const GLOBAL_FILTER = 'envoy.filters.http.ratelimit'
/** Patches of other contexts are not for these proxies. */
const CONTEXTS = {
  waypoint: new Set([undefined, 'ANY', 'SIDECAR_INBOUND', 'WAYPOINT']),
  gateway: new Set([undefined, 'ANY', 'GATEWAY']),
  /** What it takes for its workload. */
  sidecar: new Set([undefined, 'ANY', 'SIDECAR_INBOUND']),
} as const
const MILLION = 1_000_000
const DENOMINATORS: Readonly<Record<string, number>> = { HUNDRED: 100, TEN_THOUSAND: 10_000, MILLION }
const TIMEOUT_MS_DEFAULT = 20

/**
 * Reads the rate limits out of EnvoyFilters, as people write them for Istio; every other patch is passed over.
 * @param filters those that hold for the chain, later ones counting before earlier ones
 * @see https://istio.io/latest/docs/tasks/policy-enforcement/rate-limit/
 */
export function envoyRateLimits(filters: readonly EnvoyFilter[], proxy: keyof typeof CONTEXTS): EnvoyRateLimits {
  let chain: ChainRateLimits = {}
  const routes = new Map<string, ChainRateLimits>()
  const clusters = addedClusters(filters)
  for (const { spec } of filters) {
    for (const { applyTo, match, patch } of spec?.configPatches ?? []) {
      const contexts: ReadonlySet<string | undefined> = CONTEXTS[proxy]
      const value = patch?.value
      if (!contexts.has(match?.context) || !value || patch.operation === 'REMOVE') continue
      if (applyTo === 'HTTP_FILTER') chain = { ...chain, ...filterLimits(value, clusters) }
      if (applyTo === 'VIRTUAL_HOST') chain = { ...chain, ...routeLimits(value) }
      if (applyTo === 'HTTP_ROUTE') {
        const name = match?.routeConfiguration?.vhost?.route?.name ?? match?.waypoint?.route?.name
        const limits = routeLimits(value)
        if (name === undefined) chain = { ...chain, ...limits }
        else routes.set(name, { ...routes.get(name), ...limits })
      }
    }
  }
  return {
    chain: withActions(chain),
    routes: new Map([...routes].map(([name, limits]) => [name, withActions(limits)])),
  }
}

/** Local limits with descriptors are told apart by the same actions as global ones. */
function withActions(limits: ChainRateLimits): ChainRateLimits {
  const actions = limits.actions?.rateLimits[0]?.actions
  if (!limits.local || limits.local.actions.length > 0 || !actions || limits.local.descriptors.length === 0)
    return limits
  return { ...limits, local: { ...limits.local, actions } }
}

/**
 * Clusters that EnvoyFilters add beside those of the mesh, by name, as the lab's for the same service and port: Istio's
 * older documents write one for the rate limit service.
 */
function addedClusters(filters: readonly EnvoyFilter[]): ReadonlyMap<string, string> {
  const patches = filters.flatMap(({ spec }) => spec?.configPatches ?? [])
  return new Map(
    patches.flatMap(({ applyTo, patch }): [string, string][] => {
      const value = patch?.value
      if (applyTo !== 'CLUSTER' || patch?.operation !== 'ADD' || !value) return []
      const [locality] = list(field(object(field(value, 'load_assignment')), 'endpoints'))
      const [endpoint] = list(field(locality ?? {}, 'lb_endpoints'))
      const address = object(field(object(field(endpoint ?? {}, 'endpoint')), 'address'))
      const socket = object(field(address, 'socket_address'))
      const [host, port] = [text(field(socket, 'address')), number(field(socket, 'port_value'))]
      return host === '' || port === 0 ? [] : [[text(field(value, 'name')), outboundCluster(host, port)]]
    }),
  )
}

/** Of the filter itself. */
function filterLimits(value: Json, clusters: ReadonlyMap<string, string>): ChainRateLimits {
  const config = typedConfig(field(value, 'typed_config'))
  if (value.name === LOCAL_FILTER) {
    const local = localRateLimit(config)
    return local ? { local } : {}
  }
  const service = value.name === GLOBAL_FILTER ? rateLimitService(config, clusters) : undefined
  return service ? { service } : {}
}

/** Of a virtual host or a route: what it says for the filters, and its actions. */
function routeLimits(value: Json): ChainRateLimits {
  const perFilter = object(field(value, 'typed_per_filter_config'))
  const local = localRateLimit(typedConfig(perFilter[LOCAL_FILTER]))
  const own = list(field(value, 'rate_limits'))
  const rateLimits = own.length > 0 ? own : list(field(object(value.route), 'rate_limits'))
  const actions: RateLimitActions = {
    rateLimits: rateLimits.map((limit) => ({ actions: list(field(limit, 'actions')).flatMap(actionOf) })),
  }
  return { ...(local && { local }), ...(rateLimits.length > 0 && { actions }) }
}

/** Undefined without a bucket: the filter is there only for routes to say more. */
function localRateLimit(config: Json): LocalRateLimit | undefined {
  const bucket = tokenBucket(field(config, 'token_bucket'))
  if (!bucket) return undefined
  const headers = headerMutation(list(field(config, 'response_headers_to_add')))
  const rateLimits = list(field(config, 'rate_limits'))
  const status = number(field(object(field(config, 'status')), 'code'))
  return {
    statPrefix: text(field(config, 'stat_prefix')),
    bucket,
    enabledMillionths: fraction(field(config, 'filter_enabled')),
    enforcedMillionths: fraction(field(config, 'filter_enforced')),
    ...(headers && { responseHeaders: headers }),
    descriptors: list(field(config, 'descriptors')).flatMap((descriptor) => {
      const own = tokenBucket(field(descriptor, 'token_bucket'))
      const entries = list(field(descriptor, 'entries')).map(({ key, value }) => ({
        key: text(key),
        ...(typeof value === 'string' && value !== '' && { value }),
      }))
      return own ? [{ entries, bucket: own }] : []
    }),
    actions: rateLimits.slice(0, 1).flatMap((limit) => list(field(limit, 'actions')).flatMap(actionOf)),
    rateLimitHeaders: field(config, 'enable_x_ratelimit_headers') === 'DRAFT_VERSION_03',
    perDownstreamConnection: field(config, 'local_rate_limit_per_downstream_connection') === true,
    ...(status > 0 && { status }),
  }
}

function rateLimitService(config: Json, clusters: ReadonlyMap<string, string>): RateLimitService | undefined {
  const grpc = object(field(object(field(config, 'rate_limit_service')), 'grpc_service'))
  const envoy = object(field(grpc, 'envoy_grpc'))
  const cluster = text(field(envoy, 'cluster_name'))
  if (cluster === '') return undefined
  return {
    domain: text(config.domain),
    cluster: clusters.get(cluster) ?? cluster,
    authority: text(envoy.authority) || (cluster.split('|').at(-1) ?? cluster),
    timeoutMs: parseDuration(text(config.timeout)) || TIMEOUT_MS_DEFAULT,
    failureModeDeny: field(config, 'failure_mode_deny') === true,
    rateLimitHeaders: field(config, 'enable_x_ratelimit_headers') === 'DRAFT_VERSION_03',
  }
}

function tokenBucket(value: unknown): TokenBucket | undefined {
  const bucket = object(value)
  const maxTokens = number(field(bucket, 'max_tokens'))
  if (maxTokens === 0) return undefined
  return {
    maxTokens,
    tokensPerFill: number(field(bucket, 'tokens_per_fill')) || 1,
    fillIntervalMs: parseDuration(text(field(bucket, 'fill_interval'))) || 1000,
  }
}

/** A RuntimeFractionalPercent, of which the lab knows the default; absent: none at all. */
function fraction(value: unknown): number {
  const share = object(field(object(value), 'default_value'))
  const denominator = DENOMINATORS[text(share.denominator) || 'HUNDRED'] ?? 100
  return Math.round((number(share.numerator) / denominator) * MILLION)
}

function headerMutation(additions: readonly Json[]): HeaderMutation | undefined {
  const values = additions.map((addition) => {
    const { key, value } = object(addition.header)
    const action = text(field(addition, 'append_action'))
    const replaces = field(addition, 'append') === false || action === 'OVERWRITE_IF_EXISTS_OR_ADD'
    return { replaces, header: { name: text(key).toLowerCase(), value: text(value) } }
  })
  const set = values.filter(({ replaces }) => replaces).map(({ header }) => header)
  const add = values.filter(({ replaces }) => !replaces).map(({ header }) => header)
  return values.length === 0 ? undefined : { ...(set.length > 0 && { set }), ...(add.length > 0 && { add }) }
}

function actionOf(action: Json): RateLimitAction[] {
  const of = (name: string) => field(action, name)
  const headers = object(of('request_headers'))
  if (of('request_headers') !== undefined) {
    return [
      {
        kind: 'request-headers',
        headerName: text(field(headers, 'header_name')).toLowerCase(),
        descriptorKey: text(field(headers, 'descriptor_key')),
        skipIfAbsent: field(headers, 'skip_if_absent') === true,
      },
    ]
  }
  if (of('remote_address') !== undefined) return [{ kind: 'remote-address' }]
  if (of('destination_cluster') !== undefined) return [{ kind: 'destination-cluster' }]
  if (of('source_cluster') !== undefined) return [{ kind: 'source-cluster' }]
  const generic = of('generic_key')
  if (generic !== undefined) {
    const descriptorValue = text(field(object(generic), 'descriptor_value'))
    return [
      {
        kind: 'generic-key',
        descriptorKey: text(field(object(generic), 'descriptor_key')) || 'generic_key',
        descriptorValue,
      },
    ]
  }
  const match = of('header_value_match')
  return match === undefined ? [] : [headerValueMatch(object(match))]
}

function headerValueMatch(match: Json): RateLimitAction {
  return {
    kind: 'header-value-match',
    descriptorKey: text(field(match, 'descriptor_key')) || 'header_match',
    descriptorValue: text(field(match, 'descriptor_value')),
    expectMatch: field(match, 'expect_match') !== false,
    headers: list(match.headers).map(headerMatcher),
  }
}

function headerMatcher(header: Json): NamedMatcher {
  const value = stringMatcher(object(field(header, 'string_match')), header)
  return {
    name: text(header.name).toLowerCase(),
    ...(value && { value }),
    ...(field(header, 'invert_match') === true && { invert: true }),
  }
}

/** Envoy's newer `string_match`, or the older fields beside it. */
function stringMatcher(match: Json, header: Json): StringMatcher | undefined {
  const regex = object(field(match, 'safe_regex')).regex ?? object(field(header, 'safe_regex_match')).regex
  if (typeof regex === 'string') return { regex }
  const exact = match.exact ?? field(header, 'exact_match')
  if (typeof exact === 'string') return { exact }
  const prefix = match.prefix ?? field(header, 'prefix_match')
  if (typeof prefix === 'string') return { prefix }
  const suffix = match.suffix ?? field(header, 'suffix_match')
  if (typeof suffix === 'string') return { suffix }
  const contains = match.contains ?? field(header, 'contains_match')
  return typeof contains === 'string' ? { contains } : undefined
}

/** The settings themselves, also of a TypedStruct. */
function typedConfig(value: unknown): Json {
  const config = object(value)
  return text(config['@type']).endsWith('TypedStruct') ? object(config.value) : config
}

/** A field by its name in protobuf or in JSON: both are valid. */
function field(of: Json, snake: string): unknown {
  return of[snake] ?? of[snake.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase())]
}

function object(value: unknown): Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Json) : {}
}

function list(value: unknown): Json[] {
  return Array.isArray(value) ? value.map(object) : []
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : ''
}

function number(value: unknown): number {
  return typeof value === 'number' && Number.isFinite(value) ? value : 0
}
