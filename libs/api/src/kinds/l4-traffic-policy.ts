import { parseDuration } from '@ambient-lab/std'
import { conditionCell } from '../cells.ts'
import { invalidDuration } from '../field-errors.ts'
import { defineKind, type FieldError } from '../kind.ts'
import type { Resource } from '../resource.ts'
import { array, integer, object, oneOf, STATUS, string } from '../schema.ts'

export interface ConnectionRate {
  readonly connections: number
  /** Duration in which so many may begin. @default '1s' */
  readonly per?: string
}

export interface L4TrafficPolicySpec {
  /** Services of the policy's own namespace. */
  readonly targetRefs: readonly { readonly group?: string; readonly kind: 'Service'; readonly name: string }[]
  /** Connections that each node's ztunnel may hold open to the service. */
  readonly maxConnections?: number
  /** Duration, for one endpoint. */
  readonly connectTimeout?: string
  /** How often another endpoint is tried after one could not be connected to. */
  readonly connectRetries?: number
  readonly outlierDetection?: {
    /** Connects to one endpoint that fail in a row until it is left out. @default 5 */
    readonly consecutiveConnectFailures?: number
    /** Duration, which grows with each time. @default '30s' */
    readonly baseEjectionTime?: string
    /** Of the endpoints; one may always be left out. @default 50 */
    readonly maxEjectionPercent?: number
  }
  readonly rateLimit?: {
    /** For each node. */
    readonly local?: ConnectionRate
    /** For all nodes together, each of which has an equal share. */
    readonly global?: ConnectionRate
  }
  /** Duration without a byte in either direction after which a connection is closed. */
  readonly idleTimeout?: string
  /** Duration after which a connection is closed, whatever it does. */
  readonly maxConnectionDuration?: string
}

/** What an Envoy could do for TCP and Istio's ztunnel does not: ours alone. */
export type L4TrafficPolicy = Resource<L4TrafficPolicySpec>

const RATE = object(
  { connections: integer({ minimum: 1 }), per: string({ default: '1s' }) },
  { required: ['connections'] },
)

export default defineKind<L4TrafficPolicy>({
  group: 'ambient.lab',
  version: 'v1alpha1',
  kind: 'L4TrafficPolicy',
  plural: 'l4trafficpolicies',
  shortNames: ['l4tp'],
  categories: ['ambient-lab'],
  scope: 'Namespaced',
  schema: object(
    {
      spec: object(
        {
          targetRefs: array(
            object(
              { group: string(), kind: oneOf('Service'), name: string({ minLength: 1 }) },
              { required: ['kind', 'name'] },
            ),
            { minItems: 1, maxItems: 16 },
          ),
          maxConnections: integer({ minimum: 1 }),
          connectTimeout: string(),
          connectRetries: integer({ minimum: 0, maximum: 10 }),
          outlierDetection: object({
            consecutiveConnectFailures: integer({ minimum: 1, default: 5 }),
            baseEjectionTime: string({ default: '30s' }),
            maxEjectionPercent: integer({ minimum: 0, maximum: 100, default: 50 }),
          }),
          rateLimit: object({ local: RATE, global: RATE }),
          idleTimeout: string(),
          maxConnectionDuration: string(),
        },
        { required: ['targetRefs'] },
      ),
      status: STATUS,
    },
    { required: ['spec'] },
  ),
  columns: [
    { title: 'TARGETS', value: ({ spec }) => spec?.targetRefs.map(({ name }) => name).join(',') ?? '' },
    { title: 'ACCEPTED', value: (policy) => conditionCell(policy, 'Accepted') },
  ],
  validate: ({ spec }) => (spec ? durations(spec) : []),
})

function durations(spec: L4TrafficPolicySpec): FieldError[] {
  const { outlierDetection, rateLimit } = spec
  const texts: Readonly<Record<string, string | undefined>> = {
    'spec.connectTimeout': spec.connectTimeout,
    'spec.outlierDetection.baseEjectionTime': outlierDetection?.baseEjectionTime,
    'spec.rateLimit.local.per': rateLimit?.local?.per,
    'spec.rateLimit.global.per': rateLimit?.global?.per,
    'spec.idleTimeout': spec.idleTimeout,
    'spec.maxConnectionDuration': spec.maxConnectionDuration,
  }
  return Object.entries(texts).flatMap(([path, text]) =>
    text === undefined || (parseDuration(text) ?? 0) > 0 ? [] : [invalidDuration(path, text)],
  )
}
