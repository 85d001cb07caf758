import { ISTIO_DURATION, type PolicyAttachment, policySpec, type WorkloadMode } from '../istio-fields.ts'
import { defineKind } from '../kind.ts'
import type { Resource } from '../resource.ts'
import { array, atMostOneOf, boolean, map, number, object, oneOf, STATUS, string, withRules } from '../schema.ts'

export interface ProviderRef {
  /** Of the mesh config's extension providers. */
  readonly name: string
}

export interface TracingConfig {
  readonly match?: { readonly mode?: WorkloadMode }
  readonly providers?: readonly ProviderRef[]
  readonly randomSamplingPercentage?: number
  readonly disableSpanReporting?: boolean
  readonly disableContextPropagation?: boolean
  readonly customTags?: Readonly<
    Record<
      string,
      {
        readonly literal?: { readonly value: string }
        readonly environment?: { readonly name: string; readonly defaultValue?: string }
        readonly header?: { readonly name: string; readonly defaultValue?: string }
        readonly formatter?: { readonly value: string }
      }
    >
  >
  readonly enableIstioTags?: boolean
  readonly useRequestIdForTraceSampling?: boolean
}

export interface TagOverride {
  /** @default 'UPSERT' */
  readonly operation?: 'UPSERT' | 'REMOVE'
  /** A CEL expression. */
  readonly value?: string
}

export interface MetricsOverride {
  readonly match?: { readonly metric?: string; readonly customMetric?: string; readonly mode?: WorkloadMode }
  readonly disabled?: boolean
  readonly tagOverrides?: Readonly<Record<string, TagOverride>>
}

export interface MetricsConfig {
  readonly providers?: readonly ProviderRef[]
  readonly overrides?: readonly MetricsOverride[]
  readonly reportingInterval?: string
}

export interface AccessLoggingConfig {
  readonly match?: { readonly mode?: WorkloadMode }
  readonly providers?: readonly ProviderRef[]
  readonly disabled?: boolean
  /** A CEL expression: only what it is true of is logged. */
  readonly filter?: { readonly expression?: string }
}

export interface TelemetrySpec extends PolicyAttachment {
  readonly tracing?: readonly TracingConfig[]
  readonly metrics?: readonly MetricsConfig[]
  readonly accessLogging?: readonly AccessLoggingConfig[]
}

export type Telemetry = Resource<TelemetrySpec>

const OPTIONAL_BOOLEAN = boolean({ nullable: true })
const MODE = oneOf('CLIENT_AND_SERVER', 'CLIENT', 'SERVER')
const WORD = string({ minLength: 1 })
const PROVIDERS = array(object({ name: WORD }, { required: ['name'] }))

const METRIC = oneOf(
  ...['ALL_METRICS', 'REQUEST_COUNT', 'REQUEST_DURATION', 'REQUEST_SIZE', 'RESPONSE_SIZE', 'TCP_OPENED_CONNECTIONS'],
  ...['TCP_CLOSED_CONNECTIONS', 'TCP_SENT_BYTES', 'TCP_RECEIVED_BYTES', 'GRPC_REQUEST_MESSAGES'],
  'GRPC_RESPONSE_MESSAGES',
)

const TAG_OVERRIDE = withRules<TagOverride>(object({ operation: oneOf('UPSERT', 'REMOVE'), value: string() }), {
  'value must be set when operation is UPSERT': ({ operation, value }) => operation !== 'UPSERT' || !!value,
  'value must not be set when operation is REMOVE': ({ operation, value }) =>
    operation !== 'REMOVE' || value === undefined,
})

const METRICS = object({
  overrides: array(
    object({
      disabled: OPTIONAL_BOOLEAN,
      match: atMostOneOf(object({ customMetric: WORD, metric: METRIC, mode: MODE }), 'metric', 'customMetric'),
      tagOverrides: map(TAG_OVERRIDE),
    }),
  ),
  providers: PROVIDERS,
  reportingInterval: ISTIO_DURATION,
})

const NAMED_VALUE = object({ defaultValue: string(), name: WORD }, { required: ['name'] })
const VALUE = object({ value: WORD }, { required: ['value'] })

const CUSTOM_TAG = atMostOneOf(
  object({ environment: NAMED_VALUE, formatter: VALUE, header: NAMED_VALUE, literal: VALUE }),
  'literal',
  'environment',
  'header',
  'formatter',
)

const TRACING = object({
  customTags: map(CUSTOM_TAG),
  disableContextPropagation: OPTIONAL_BOOLEAN,
  disableSpanReporting: OPTIONAL_BOOLEAN,
  enableIstioTags: OPTIONAL_BOOLEAN,
  match: object({ mode: MODE }),
  providers: PROVIDERS,
  randomSamplingPercentage: number({ minimum: 0, maximum: 100, nullable: true }),
  useRequestIdForTraceSampling: OPTIONAL_BOOLEAN,
})

const ACCESS_LOGGING = object({
  disabled: OPTIONAL_BOOLEAN,
  filter: object({ expression: string() }),
  match: object({ mode: MODE }),
  providers: PROVIDERS,
})

export default defineKind<Telemetry>({
  group: 'telemetry.istio.io',
  version: 'v1',
  otherVersions: ['v1alpha1'],
  kind: 'Telemetry',
  plural: 'telemetries',
  shortNames: ['telemetry'],
  categories: ['istio-io', 'telemetry-istio-io'],
  scope: 'Namespaced',
  schema: object({
    spec: policySpec({ accessLogging: array(ACCESS_LOGGING), metrics: array(METRICS), tracing: array(TRACING) }),
    status: STATUS,
  }),
  columns: [],
})
