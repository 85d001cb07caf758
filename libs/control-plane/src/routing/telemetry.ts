import { type Gateway, objectKey, type Telemetry } from '@ambient-lab/api'
import type { AccessLogConfig, L7Proxy, TracingConfig } from '@ambient-lab/xds'
import type { ExtensionProvider } from '../extension-provider.ts'
import type { MeshConfig } from '../mesh-config.ts'
import { TELEMETRIES } from '../stored-kinds.ts'
import type { TranslationView } from '../translate/view.ts'
import { providerHost } from './ext-authz.ts'
import { targetsAt } from './security.ts'

type ProxyTelemetry = Pick<L7Proxy, 'accessLog' | 'tracing'>
type Tracing = NonNullable<NonNullable<Telemetry['spec']>['tracing']>[number]
type AccessLogging = NonNullable<NonNullable<Telemetry['spec']>['accessLogging']>[number]

/** Istio's own provider: the log that the mesh settings describe. */
const ENVOY_LOG = 'envoy'
const OTLP_PATH = '/v1/traces'

/**
 * What a proxy tells about its requests: the mesh settings, changed by Telemetry of the mesh, of the proxy's namespace,
 * of its class, and of itself, the closest counting most.
 */
export function proxyTelemetry(gateway: Gateway, view: TranslationView): ProxyTelemetry {
  const { namespace = '', name } = gateway.metadata
  const [replica] = view.routes.replicasOf(objectKey(gateway.metadata))
  const all = [
    ...view.targets.selecting<Telemetry>(TELEMETRIES, namespace, replica?.metadata.labels ?? {}),
    ...targetsAt({ namespace, name }, undefined, view).flatMap((id) =>
      view.targets.targeting<Telemetry>(TELEMETRIES, id),
    ),
  ]
  return telemetryOf(all, view)
}

/** The same of a sidecar: of the mesh, of its namespace, of its workload. One log and one trace for both of its sides. */
export function sidecarTelemetry(
  namespace: string,
  labels: Readonly<Record<string, string>>,
  view: TranslationView,
): ProxyTelemetry {
  return telemetryOf(view.targets.selecting<Telemetry>(TELEMETRIES, namespace, labels), view)
}

function telemetryOf(all: readonly Telemetry[], view: TranslationView): ProxyTelemetry {
  const logging = all.map(({ spec }) => spec?.accessLogging?.filter(isOfServer)).findLast((own) => own?.length)
  const tracing = mergedTracing(
    all.flatMap(({ spec }) => spec?.tracing?.filter(isOfServer) ?? []),
    view,
  )
  return { accessLog: logging ? loggingOf(logging, view.mesh) : meshLog(view.mesh), ...(tracing && { tracing }) }
}

/** A proxy in the middle reports as a server. */
function isOfServer({ match }: Tracing | AccessLogging): boolean {
  return match?.mode !== 'CLIENT'
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
