import {
  GATEWAY_DURATION,
  LOCAL_OBJECT_REF,
  type LocalObjectReference,
  parseGatewayDuration,
  SESSION_PERSISTENCE,
  type SessionPersistence,
} from '../gateway-api.ts'
import { defineKind } from '../kind.ts'
import type { Resource } from '../resource.ts'
import { array, integer, object, STATUS, withRules } from '../schema.ts'
import type { PolicyStatus } from './backend-tls-policy.ts'

export interface XBackendTrafficPolicySpec {
  readonly targetRefs: readonly LocalObjectReference[]
  readonly retryConstraint?: {
    /** Retries may be this share of the requests of the interval. */
    readonly budget?: { readonly percent?: number; readonly interval?: string }
    /** So many are always allowed. */
    readonly minRetryRate?: { readonly count?: number; readonly interval?: string }
  }
  readonly sessionPersistence?: SessionPersistence
}

export type XBackendTrafficPolicy = Resource<XBackendTrafficPolicySpec, PolicyStatus>

const SECOND_MS = 1000
const HOUR_MS = 3_600_000

function isBetween(least: number, value: number | undefined, most: number): boolean {
  return value !== undefined && value >= least && value <= most
}

const BUDGET_INTERVAL = withRules<string>(
  { ...GATEWAY_DURATION, default: '10s' },
  {
    'interval cannot be greater than one hour or less than one second': (text) =>
      isBetween(SECOND_MS, parseGatewayDuration(text), HOUR_MS),
  },
)

const RATE_INTERVAL = withRules<string>(GATEWAY_DURATION, {
  'interval cannot be greater than one hour': (text) => isBetween(1, parseGatewayDuration(text), HOUR_MS),
})

/** Experimental in the Gateway API: retry budgets and sticky sessions of a service. */
export default defineKind<XBackendTrafficPolicy>({
  group: 'gateway.networking.x-k8s.io',
  version: 'v1alpha1',
  kind: 'XBackendTrafficPolicy',
  plural: 'xbackendtrafficpolicies',
  shortNames: ['xbtrafficpolicy'],
  categories: ['gateway-api'],
  scope: 'Namespaced',
  schema: object(
    {
      spec: object(
        {
          retryConstraint: object({
            budget: object(
              { interval: BUDGET_INTERVAL, percent: integer({ minimum: 0, maximum: 100, default: 20 }) },
              { default: { interval: '10s', percent: 20 } },
            ),
            minRetryRate: object(
              { count: integer({ minimum: 1, maximum: 1_000_000 }), interval: RATE_INTERVAL },
              { default: { count: 10, interval: '1s' } },
            ),
          }),
          sessionPersistence: SESSION_PERSISTENCE,
          targetRefs: array(LOCAL_OBJECT_REF, {
            minItems: 1,
            maxItems: 16,
            'x-kubernetes-list-type': 'map',
            'x-kubernetes-list-map-keys': ['group', 'kind', 'name'],
          }),
        },
        { required: ['targetRefs'] },
      ),
      status: STATUS,
    },
    { required: ['spec'] },
  ),
  columns: [],
})
