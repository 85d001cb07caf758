import {
  type EnvoyFilter,
  type Gateway,
  type LocalLimit,
  objectKey,
  type RateLimitKey,
  type RateLimitPolicy,
} from '@ambient-lab/api'
import { parseDuration } from '@ambient-lab/std'
import type {
  HttpConnectionManager,
  LocalRateLimit,
  RateLimitAction,
  RateLimitActions,
  RateLimitService,
  Route,
  TokenBucket,
} from '@ambient-lab/xds'
import { ENVOY_FILTERS, RATE_LIMIT_POLICIES } from '../stored-kinds.ts'
import { serviceHostname } from '../translate/service-info.ts'
import type { TargetId } from '../translate/target-index.ts'
import type { TranslationView } from '../translate/view.ts'
import { outboundCluster } from './cluster-names.ts'
import { type EnvoyRateLimits, envoyRateLimits } from './envoy-rate-limits.ts'
import { targetsAt } from './security.ts'
import type { WaypointRef } from './service-chain.ts'

/** What holds on the routes of a chain. */
export interface ChainRateLimits {
  readonly local?: LocalRateLimit
  readonly actions?: RateLimitActions
  readonly service?: RateLimitService
}

/** All that is said about one chain. */
export interface Limits {
  readonly envoy: EnvoyRateLimits
  readonly own: readonly ChainRateLimits[]
}

const EVERY = 1_000_000
const PER_MS_DEFAULT = 1000
const TIMEOUT_MS_DEFAULT = 20
/** A bucket that never is empty. */
const UNLIMITED: TokenBucket = { maxTokens: 4_294_967_295, tokensPerFill: 4_294_967_295, fillIntervalMs: 1000 }

/** The lab's own kind, in the terms of Envoy's filters. */
export function policyRateLimits(policy: RateLimitPolicy, { mesh }: Pick<TranslationView, 'mesh'>): ChainRateLimits {
  const { namespace = '', name } = policy.metadata
  const { local, global } = policy.spec ?? {}
  const host = global && serviceHostname(global.service.name, global.service.namespace ?? namespace, mesh.clusterDomain)
  return {
    ...(local && { local: { ...localRateLimit(local), statPrefix: `${namespace}.${name}` } }),
    ...(global && {
      actions: {
        rateLimits: global.descriptors.map(({ entries }) => ({
          actions: entries.flatMap((entry) => globalAction(entry)),
        })),
      },
      service: {
        domain: global.domain,
        cluster: outboundCluster(host ?? '', global.service.port),
        authority: host ?? '',
        timeoutMs: parseDuration(global.timeout ?? '') || TIMEOUT_MS_DEFAULT,
        failureModeDeny: global.failClosed ?? false,
        rateLimitHeaders: global.responseHeaders ?? false,
      },
    }),
  }
}

function localRateLimit({
  by,
  limits,
  statusCode,
  responseHeaders = false,
}: NonNullable<NonNullable<RateLimitPolicy['spec']>['local']>): Omit<LocalRateLimit, 'statPrefix'> {
  const key = by && keyOf(by)
  const others = limits.find(({ value }) => value === undefined)
  const named = key ? limits.filter(({ value }) => value !== undefined) : []
  return {
    bucket: others ? bucketOf(others) : UNLIMITED,
    enabledMillionths: EVERY,
    enforcedMillionths: EVERY,
    descriptors: [
      ...named.map((limit) => ({ entries: [{ key: key!.name, value: limit.value! }], bucket: bucketOf(limit) })),
      ...(key && others ? [{ entries: [{ key: key.name }], bucket: bucketOf(others) }] : []),
    ],
    actions: key ? [key.action] : [],
    rateLimitHeaders: responseHeaders,
    perDownstreamConnection: false,
    ...(statusCode !== undefined && { status: statusCode }),
  }
}

function bucketOf({ requests, per, burst = requests }: LocalLimit): TokenBucket {
  return { maxTokens: burst, tokensPerFill: requests, fillIntervalMs: parseDuration(per ?? '') || PER_MS_DEFAULT }
}

function keyOf({ header, remoteAddress }: RateLimitKey): { name: string; action: RateLimitAction } | undefined {
  if (remoteAddress) return { name: 'remote_address', action: { kind: 'remote-address' } }
  return header === undefined ? undefined : { name: 'header', action: headerAction(header, 'header') }
}

function headerAction(header: string, descriptorKey: string): RateLimitAction {
  return { kind: 'request-headers', headerName: header.toLowerCase(), descriptorKey, skipIfAbsent: false }
}

function globalAction({
  header,
  remoteAddress,
  key,
  value,
}: RateLimitKey & { readonly key?: string; readonly value?: string }): RateLimitAction[] {
  if (remoteAddress) return [{ kind: 'remote-address' }]
  if (header !== undefined) return [headerAction(header, key ?? header)]
  return [{ kind: 'generic-key', descriptorKey: key ?? 'generic_key', descriptorValue: value ?? '' }]
}

/** What EnvoyFilters and our own policies say about traffic at a waypoint, the widest target first. */
export function waypointRateLimits(waypoint: WaypointRef, target: TargetId | undefined, view: TranslationView): Limits {
  const ids = targetsAt(waypoint, target, view)
  const filters = ids.flatMap((id) => view.targets.targeting<EnvoyFilter>(ENVOY_FILTERS, id))
  return { envoy: envoyRateLimits(byPriority(filters), 'waypoint'), own: ownLimits(ids, view) }
}

/** At an ingress gateway also of EnvoyFilters that select its pods, or stand in its namespace. */
export function gatewayRateLimits(gateway: Gateway, view: TranslationView): Limits {
  const { namespace = '', name } = gateway.metadata
  const ids = targetsAt({ namespace, name }, undefined, view)
  const [replica] = view.routes.replicasOf(objectKey(gateway.metadata))
  const filters = [
    ...view.targets.selecting<EnvoyFilter>(ENVOY_FILTERS, namespace, replica?.metadata.labels ?? {}),
    ...ids.flatMap((id) => view.targets.targeting<EnvoyFilter>(ENVOY_FILTERS, id)),
  ]
  return { envoy: envoyRateLimits(byPriority(filters), 'gateway'), own: ownLimits(ids, view) }
}

/** At a sidecar of EnvoyFilters that select its pod, or stand in its namespace. */
export function sidecarRateLimits(
  namespace: string,
  labels: Readonly<Record<string, string>>,
  view: TranslationView,
): Limits {
  const filters = view.targets.selecting<EnvoyFilter>(ENVOY_FILTERS, namespace, labels)
  return { envoy: envoyRateLimits(byPriority(filters), 'sidecar'), own: [] }
}

function ownLimits(ids: readonly TargetId[], view: TranslationView): ChainRateLimits[] {
  return ids
    .flatMap((id) => view.targets.targeting<RateLimitPolicy>(RATE_LIMIT_POLICIES, id))
    .map((policy) => policyRateLimits(policy, view))
}

function byPriority(filters: readonly EnvoyFilter[]): EnvoyFilter[] {
  return filters.toSorted((a, b) => (a.spec?.priority ?? 0) - (b.spec?.priority ?? 0))
}

/** Host names of the services that count for all replicas. */
export function rateLimitHosts(view: Pick<TranslationView, 'list' | 'mesh'>): Set<string> {
  const own = view
    .list(RATE_LIMIT_POLICIES)
    .flatMap((policy) => policyRateLimits(policy, view).service?.authority ?? [])
  const envoy = view.list(ENVOY_FILTERS).flatMap((filter) => {
    return (['waypoint', 'gateway', 'sidecar'] as const).flatMap((proxy) => {
      const cluster = envoyRateLimits([filter], proxy).chain.service?.cluster
      return cluster?.startsWith('outbound|') ? cluster.split('|').at(-1)! : []
    })
  })
  return new Set([...own, ...envoy])
}

/** A connection manager with the limits on all of its routes; where several say something, the last. */
export function withRateLimits(manager: HttpConnectionManager, { envoy, own }: Limits): HttpConnectionManager {
  const merged: ChainRateLimits = Object.assign({}, envoy.chain, ...own)
  const isEmpty = Object.keys(merged).length === 0 && envoy.routes.size === 0
  if (isEmpty) return manager
  return {
    ...manager,
    ...(merged.service && { rateLimit: merged.service }),
    virtualHosts: manager.virtualHosts.map((host) => ({
      ...host,
      routes: host.routes.map((route) => limited(route, { ...merged, ...envoy.routes.get(route.name) })),
    })),
  }
}

function limited(route: Route, { local, actions }: ChainRateLimits): Route {
  if (!local && !actions) return route
  const filters = {
    ...route.filters,
    ...(local && { 'local-rate-limit': local }),
    ...(actions && { 'rate-limit': actions }),
  }
  return { ...route, filters }
}
