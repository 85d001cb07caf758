import { isDeepStrictEqual } from 'node:util'
import { type Gateway, objectKey, type Pod, type Telemetry } from '@ambient-lab/api'
import {
  type AccessLogConfig,
  type L7Proxy,
  type ProxyTelemetry,
  STANDARD_METRICS,
  type StandardMetric,
  type TagOverrides,
  type TracingConfig,
} from '@ambient-lab/xds'
import type { ExtensionProvider } from '../extension-provider.ts'
import type { MeshConfig } from '../mesh-config.ts'
import { TELEMETRIES } from '../stored-kinds.ts'
import type { TranslationView } from '../translate/view.ts'
import { providerHost } from './ext-authz.ts'
import { targetsAt } from './security.ts'

type Tracing = NonNullable<NonNullable<Telemetry['spec']>['tracing']>[number]
type AccessLogging = NonNullable<NonNullable<Telemetry['spec']>['accessLogging']>[number]
type MetricsOverride = NonNullable<NonNullable<NonNullable<Telemetry['spec']>['metrics']>[number]['overrides']>[number]
/** Of the container that a proxy is. */
type Environment = Readonly<Record<string, string>>
/** Which side of a call a proxy tells of: that of the workload that is called, or of who calls. */
type Side = 'CLIENT' | 'SERVER'

/** Istio's own provider: the log that the mesh settings describe. */
const ENVOY_LOG = 'envoy'
/** The provider of metrics: who scrapes them. */
const PROMETHEUS = 'prometheus'
const OTLP_PATH = '/v1/traces'
const PROXY_CONTAINER = 'istio-proxy'

/**
 * What a proxy tells about its requests: the mesh settings, changed by Telemetry of the mesh, of the proxy's namespace,
 * of its class, and of itself, the closest counting most. A gateway reports as the client of what it calls, a waypoint as
 * the server, as Istio's listeners do (pilot/pkg/model/telemetry.go, workloadMode).
 */
export function proxyTelemetry(gateway: Gateway, kind: L7Proxy['kind'], view: TranslationView): ProxyTelemetry {
  const { namespace = '', name } = gateway.metadata
  const [replica] = view.routes.replicasOf(objectKey(gateway.metadata))
  const all = [
    ...view.targets.selecting<Telemetry>(TELEMETRIES, namespace, replica?.metadata.labels ?? {}),
    ...targetsAt({ namespace, name }, undefined, view).flatMap((id) =>
      view.targets.targeting<Telemetry>(TELEMETRIES, id),
    ),
  ]
  return telemetryOf(all, kind === 'waypoint' ? 'SERVER' : 'CLIENT', view, environmentOf(replica))
}

/** The same of a pod's sidecar: of the mesh, of its namespace, of its workload; for each of its sides. */
export function sidecarTelemetry(
  pod: Pod,
  view: TranslationView,
): Pick<L7Proxy, keyof ProxyTelemetry | 'outboundTelemetry'> {
  const { namespace = '', labels = {} } = pod.metadata
  const all = view.targets.selecting<Telemetry>(TELEMETRIES, namespace, labels)
  const environment = environmentOf(pod)
  const [server, client] = (['SERVER', 'CLIENT'] as const).map((side) => telemetryOf(all, side, view, environment))
  return { ...server!, ...(!isDeepStrictEqual(server, client) && { outboundTelemetry: client }) }
}

function environmentOf(pod: Pod | undefined): Environment {
  const variables = pod?.spec?.containers.find(({ name }) => name === PROXY_CONTAINER)?.env ?? []
  return Object.fromEntries(variables.flatMap(({ name, value }) => (value === undefined ? [] : [[name, value]])))
}

/**
 * @param all the closest last
 * @param environment what the proxy's own variables are
 */
export function telemetryOf(
  all: readonly Telemetry[],
  side: Side,
  view: Pick<TranslationView, 'mesh'>,
  environment: Environment = {},
): ProxyTelemetry {
  const isOfSide = ({ match }: Tracing | AccessLogging) => isOf(side, match?.mode)
  const logging = all.map(({ spec }) => spec?.accessLogging?.filter(isOfSide)).findLast((own) => own?.length)
  const tracing = mergedTracing(
    all.flatMap(({ spec }) => spec?.tracing?.filter(isOfSide) ?? []),
    view,
    environment,
  )
  const overrides = overridesOf(all, side)
  const disabledMetrics = disabledOf(overrides)
  const tagOverrides = tagOverridesOf(overrides)
  return {
    accessLog: logging ? loggingOf(logging, view.mesh) : meshLog(view.mesh),
    ...(tracing && { tracing }),
    ...(disabledMetrics.length > 0 && { disabledMetrics }),
    ...(Object.keys(tagOverrides).length > 0 && { tagOverrides }),
  }
}

function isOf(side: Side, mode: 'CLIENT_AND_SERVER' | Side = 'CLIENT_AND_SERVER'): boolean {
  return mode === 'CLIENT_AND_SERVER' || mode === side
}

/** An override, and which of the standard metrics it is about. */
interface MetricOverride extends Pick<MetricsOverride, 'disabled' | 'tagOverrides'> {
  readonly metrics: readonly StandardMetric[]
  /** All of them, in one. */
  readonly isAll: boolean
}

/**
 * What one side is told of its metrics, the closest last. Providers are inherited from the entry before, and only Prometheus
 * is there; of metrics of one's own, which no proxy has, nothing becomes.
 */
function overridesOf(all: readonly Telemetry[], side: Side): readonly MetricOverride[] {
  const found: MetricOverride[] = []
  let providers = [PROMETHEUS]
  for (const { providers: own = [], overrides = [] } of all.flatMap(({ spec }) => spec?.metrics ?? [])) {
    if (own.length > 0) providers = own.map(({ name }) => name)
    if (!providers.includes(PROMETHEUS)) continue
    for (const { match = {}, disabled, tagOverrides } of overrides) {
      const { metric = 'ALL_METRICS', customMetric, mode } = match
      if (!isOf(side, mode)) continue
      const isAll = metric === 'ALL_METRICS' && customMetric === undefined
      const metrics = STANDARD_METRICS.filter((one) => isAll || (one === metric && customMetric === undefined))
      found.push({ metrics, isAll, ...(disabled !== undefined && { disabled }), ...(tagOverrides && { tagOverrides }) })
    }
  }
  return found
}

/** The last word on a metric counts; that all are off lasts until somebody speaks of one of them again, as in Istio. */
function disabledOf(overrides: readonly MetricOverride[]): StandardMetric[] {
  const disabled = new Set<StandardMetric>()
  let areAllOff = false
  for (const { metrics, isAll, disabled: isOff } of overrides) {
    areAllOff = isAll && isOff === true
    if (areAllOff || isOff === undefined || isOff === null) continue
    for (const metric of metrics) {
      if (isOff) disabled.add(metric)
      else disabled.delete(metric)
    }
  }
  return areAllOff ? [...STANDARD_METRICS] : [...disabled].sort()
}

/** Tag by tag the last word counts. What is said along with "all are off" is not heard, as in Istio. */
function tagOverridesOf(overrides: readonly MetricOverride[]): TagOverrides {
  const tags: Partial<Record<StandardMetric, Readonly<Record<string, string | null>>>> = {}
  for (const { metrics, isAll, disabled, tagOverrides = {} } of overrides) {
    if (isAll && disabled === true) continue
    const said = Object.entries(tagOverrides).map(
      ([tag, { operation, value = '' }]) => [tag, operation === 'REMOVE' ? null : value] as const,
    )
    if (said.length === 0) continue
    for (const metric of metrics) tags[metric] = { ...tags[metric], ...Object.fromEntries(said) }
  }
  return tags
}

function meshLog({ accessLogFile, accessLogEncoding, accessLogFormat }: MeshConfig): AccessLogConfig {
  return {
    enabled: accessLogFile !== '',
    encoding: accessLogEncoding,
    ...(accessLogFormat !== '' && { format: accessLogFormat }),
  }
}

function loggingOf(logging: readonly AccessLogging[], mesh: MeshConfig): AccessLogConfig {
  const enabled = logging.filter(({ disabled }) => !disabled)
  if (enabled.length === 0) return { ...meshLog(mesh), enabled: false }
  const names = enabled.flatMap(({ providers = [] }) => providers.map((provider) => provider.name))
  const own = mesh.extensionProviders.find(({ name, envoyFileAccessLog }) => names.includes(name) && envoyFileAccessLog)
  const provider = names.includes(ENVOY_LOG) ? ENVOY_LOG : own?.name
  // The last that names the provider, or names none.
  const filter = enabled.findLast(
    ({ providers = [] }) => providers.length === 0 || providers.some(({ name }) => name === provider),
  )?.filter?.expression
  const format = provider === ENVOY_LOG ? undefined : own?.envoyFileAccessLog?.logFormat
  return { ...logOf(format, mesh), ...(filter !== undefined && { filter }) }
}

type LogFormat = NonNullable<ExtensionProvider['envoyFileAccessLog']>['logFormat']

function logOf(format: LogFormat, mesh: MeshConfig): AccessLogConfig {
  if (!format) return { ...meshLog(mesh), enabled: true }
  if (format.labels) return { enabled: true, encoding: 'JSON', format: JSON.stringify(format.labels) }
  return { enabled: true, encoding: 'TEXT', ...(format.text && { format: format.text }) }
}

/** Field by field, the last that says something. Undefined: nobody is told spans. */
function mergedTracing(
  all: readonly Tracing[],
  view: Pick<TranslationView, 'mesh'>,
  environment: Environment,
): TracingConfig | undefined {
  const merged: Tracing = Object.assign({}, ...all.map(withoutNulls))
  if (merged.disableSpanReporting) return undefined
  const names = (merged.providers ?? []).map(({ name }) => name)
  const provider = view.mesh.extensionProviders.find(({ name, opentelemetry }) => names.includes(name) && opentelemetry)
  if (!provider?.opentelemetry) return undefined
  const tags = Object.entries(merged.customTags ?? {}).flatMap(([tag, source]) => {
    const value = spanTag(source, environment)
    return value === undefined ? [] : [[tag, value] as const]
  })
  return {
    endpoint: otlpEndpoint(provider.opentelemetry, view),
    randomSamplingPercent: merged.randomSamplingPercentage ?? 1,
    customTags: Object.fromEntries(tags),
  }
}

/** A field that is null says nothing. */
function withoutNulls(tracing: Tracing): Tracing {
  return Object.fromEntries(Object.entries(tracing).filter(([, value]) => value !== null))
}

/** Undefined: there is no such tag, as where a variable is not set. */
function spanTag(
  { literal, environment: variable, header }: NonNullable<Tracing['customTags']>[string],
  environment: Environment,
): TracingConfig['customTags'][string] | undefined {
  if (literal) return literal.value
  if (variable) return (environment[variable.name] ?? variable.defaultValue) || undefined
  if (!header) return undefined
  const { name, defaultValue } = header
  return { header: name.toLowerCase(), ...(defaultValue && { defaultValue }) }
}

function otlpEndpoint(
  { service, port, http }: NonNullable<ExtensionProvider['opentelemetry']>,
  view: Pick<TranslationView, 'mesh'>,
): string {
  return `http://${providerHost({ service }, view)}:${port}${http?.path ?? OTLP_PATH}`
}
