import { isDeepStrictEqual } from 'node:util'
import { type Gateway, objectKey, type Telemetry } from '@ambient-lab/api'
import {
  type AccessLogConfig,
  type L7Proxy,
  type ProxyTelemetry,
  STANDARD_METRICS,
  type StandardMetric,
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
/** Which side of a call a proxy tells of: that of the workload that is called, or of who calls. */
type Side = 'CLIENT' | 'SERVER'

/** Istio's own provider: the log that the mesh settings describe. */
const ENVOY_LOG = 'envoy'
/** The provider of metrics: who scrapes them. */
const PROMETHEUS = 'prometheus'
const OTLP_PATH = '/v1/traces'

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
  return telemetryOf(all, kind === 'waypoint' ? 'SERVER' : 'CLIENT', view)
}

/** The same of a sidecar: of the mesh, of its namespace, of its workload; for each of its sides. */
export function sidecarTelemetry(
  namespace: string,
  labels: Readonly<Record<string, string>>,
  view: TranslationView,
): Pick<L7Proxy, keyof ProxyTelemetry | 'outboundTelemetry'> {
  const all = view.targets.selecting<Telemetry>(TELEMETRIES, namespace, labels)
  const [server, client] = [telemetryOf(all, 'SERVER', view), telemetryOf(all, 'CLIENT', view)]
  return { ...server, ...(!isDeepStrictEqual(server, client) && { outboundTelemetry: client }) }
}

/** @param all the closest last */
export function telemetryOf(
  all: readonly Telemetry[],
  side: Side,
  view: Pick<TranslationView, 'mesh'>,
): ProxyTelemetry {
  const isOfSide = ({ match }: Tracing | AccessLogging) => isOf(side, match?.mode)
  const logging = all.map(({ spec }) => spec?.accessLogging?.filter(isOfSide)).findLast((own) => own?.length)
  const tracing = mergedTracing(
    all.flatMap(({ spec }) => spec?.tracing?.filter(isOfSide) ?? []),
    view,
  )
  const disabledMetrics = disabledOf(all, side)
  return {
    accessLog: logging ? loggingOf(logging, view.mesh) : meshLog(view.mesh),
    ...(tracing && { tracing }),
    ...(disabledMetrics.length > 0 && { disabledMetrics }),
  }
}

function isOf(side: Side, mode: 'CLIENT_AND_SERVER' | Side = 'CLIENT_AND_SERVER'): boolean {
  return mode === 'CLIENT_AND_SERVER' || mode === side
}

/**
 * Metrics that one side does not tell. The last word on a metric counts; that all are off lasts until somebody speaks of
 * one of them again, as in Istio. Providers are inherited from the entry before, and only Prometheus is there.
 */
function disabledOf(all: readonly Telemetry[], side: Side): StandardMetric[] {
  const disabled = new Set<StandardMetric>()
  let areAllOff = false
  let providers = [PROMETHEUS]
  for (const { providers: own = [], overrides = [] } of all.flatMap(({ spec }) => spec?.metrics ?? [])) {
    if (own.length > 0) providers = own.map(({ name }) => name)
    if (!providers.includes(PROMETHEUS)) continue
    for (const { match = {}, disabled: isOff } of overrides) {
      const { metric = 'ALL_METRICS', customMetric, mode } = match
      if (!isOf(side, mode)) continue
      const isAll = metric === 'ALL_METRICS' && customMetric === undefined
      areAllOff = isAll && isOff === true
      if (areAllOff || isOff === undefined || isOff === null || customMetric !== undefined) continue
      for (const one of STANDARD_METRICS) {
        if (!isAll && one !== metric) continue
        if (isOff) disabled.add(one)
        else disabled.delete(one)
      }
    }
  }
  return areAllOff ? [...STANDARD_METRICS] : [...disabled].sort()
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
  const own = mesh.extensionProviders.find(({ name }) => names.includes(name))?.envoyFileAccessLog?.logFormat
  const log = { ...meshLog(mesh), enabled: true }
  if (!own || names.includes(ENVOY_LOG)) return log
  if (own.labels) return { enabled: true, encoding: 'JSON', format: JSON.stringify(own.labels) }
  return { enabled: true, encoding: 'TEXT', ...(own.text && { format: own.text }) }
}

/** Field by field, the last that says something. Undefined: nobody is told spans. */
function mergedTracing(all: readonly Tracing[], view: Pick<TranslationView, 'mesh'>): TracingConfig | undefined {
  const merged: Tracing = Object.assign({}, ...all)
  if (merged.disableSpanReporting) return undefined
  const names = (merged.providers ?? []).map(({ name }) => name)
  const provider = view.mesh.extensionProviders.find(({ name, opentelemetry }) => names.includes(name) && opentelemetry)
  if (!provider?.opentelemetry) return undefined
  const literals = Object.entries(merged.customTags ?? {}).flatMap(([tag, { literal }]): [string, string][] =>
    literal ? [[tag, literal.value]] : [],
  )
  return {
    endpoint: otlpEndpoint(provider.opentelemetry, view),
    randomSamplingPercent: merged.randomSamplingPercentage ?? 1,
    customTags: Object.fromEntries(literals),
  }
}

function otlpEndpoint(
  { service, port, http }: NonNullable<ExtensionProvider['opentelemetry']>,
  view: Pick<TranslationView, 'mesh'>,
): string {
  return `http://${providerHost({ service }, view)}:${port}${http?.path ?? OTLP_PATH}`
}
