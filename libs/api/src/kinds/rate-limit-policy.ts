import { parseDuration } from '@ambient-lab/std'
import { invalidDuration } from '../field-errors.ts'
import { TARGET_REFS } from '../istio-fields.ts'
import { defineKind, type FieldError } from '../kind.ts'
import type { PolicyTargetReference } from '../reference.ts'
import type { Resource } from '../resource.ts'
import { array, boolean, DURATION, integer, object, PORT, STATUS, string } from '../schema.ts'

/** What requests are told apart by. */
export interface RateLimitKey {
  /** A header of the request; `:path`, `:method` and `:authority` too. */
  readonly header?: string
  /** The client's address. */
  readonly remoteAddress?: boolean
}

export interface LocalLimit {
  /** Of the key; absent: every other value, each by itself, or all requests where there is no key. */
  readonly value?: string
  readonly requests: number
  /** A duration. @default '1s' */
  readonly per?: string
  /** Requests that may come at once. @default requests */
  readonly burst?: number
}

export interface LocalRateLimitSpec {
  readonly by?: RateLimitKey
  readonly limits: readonly LocalLimit[]
  /** @default 429 */
  readonly statusCode?: number
  /** Whether responses say what is left: `x-ratelimit-limit` and so on. @default false */
  readonly responseHeaders?: boolean
}

export interface GlobalRateLimitSpec {
  /** As the service's own settings call it. */
  readonly domain: string
  /** Who is asked, by Envoy's rate limit protocol. */
  readonly service: { readonly name: string; readonly namespace?: string; readonly port: number }
  /** Each makes one descriptor, of one entry or several. */
  readonly descriptors: readonly {
    readonly entries: readonly (RateLimitKey & { readonly key?: string; readonly value?: string })[]
  }[]
  /** A duration. @default '20ms' */
  readonly timeout?: string
  /** Whether requests are refused when nobody answers. @default false */
  readonly failClosed?: boolean
  /** Whether answers say what is left: x-ratelimit-limit, -remaining, -reset. @default false */
  readonly responseHeaders?: boolean
}

export interface RateLimitPolicySpec {
  readonly targetRefs: readonly PolicyTargetReference[]
  /** Counted by each replica of the proxy alone. */
  readonly local?: LocalRateLimitSpec
  /** Counted by a service that all replicas ask. */
  readonly global?: GlobalRateLimitSpec
}

/**
 * Rate limits at a waypoint or gateway in a few lines: what Istio's users write as an EnvoyFilter. The lab's own.
 * Targets as those of an AuthorizationPolicy.
 */
export type RateLimitPolicy = Resource<RateLimitPolicySpec>

const KEY = { header: string({ minLength: 1 }), remoteAddress: boolean() }
const REQUESTS = integer({ minimum: 1, maximum: 4_294_967_295 })

export default defineKind<RateLimitPolicy>({
  group: 'ambient.lab',
  version: 'v1',
  kind: 'RateLimitPolicy',
  plural: 'ratelimitpolicies',
  shortNames: ['rlp'],
  categories: ['ambient-lab'],
  scope: 'Namespaced',
  schema: object(
    {
      spec: object(
        {
          targetRefs: TARGET_REFS,
          local: object(
            {
              by: object(KEY),
              limits: array(
                object(
                  { value: string(), requests: REQUESTS, per: DURATION, burst: REQUESTS },
                  { required: ['requests'] },
                ),
                { minItems: 1, maxItems: 64 },
              ),
              statusCode: integer({ minimum: 400, maximum: 599 }),
              responseHeaders: boolean(),
            },
            { required: ['limits'] },
          ),
          global: object(
            {
              domain: string({ minLength: 1 }),
              service: object(
                { name: string({ minLength: 1 }), namespace: string(), port: PORT },
                { required: ['name', 'port'] },
              ),
              descriptors: array(
                object(
                  { entries: array(object({ ...KEY, key: string(), value: string() }), { minItems: 1, maxItems: 16 }) },
                  { required: ['entries'] },
                ),
                { minItems: 1, maxItems: 16 },
              ),
              timeout: DURATION,
              failClosed: boolean(),
              responseHeaders: boolean(),
            },
            { required: ['domain', 'service', 'descriptors'] },
          ),
        },
        { required: ['targetRefs'] },
      ),
      status: STATUS,
    },
    { required: ['spec'] },
  ),
  columns: [
    { title: 'LOCAL', value: ({ spec }) => (spec?.local ? limitsText(spec.local) : '<none>') },
    { title: 'GLOBAL', value: ({ spec }) => spec?.global?.domain ?? '<none>' },
  ],
  validate: ({ spec }) => (spec ? findings(spec) : []),
})

function limitsText({ limits }: LocalRateLimitSpec): string {
  return limits.map(({ requests, per = '1s' }) => `${requests}/${per}`).join(', ')
}

function findings({ local, global }: RateLimitPolicySpec): FieldError[] {
  const durations = [
    ...(local?.limits ?? []).map(({ per }, index) => [`spec.local.limits[${index}].per`, per] as const),
    ['spec.global.timeout', global?.timeout] as const,
  ]
  const both = ({ header, remoteAddress }: RateLimitKey) => header !== undefined && remoteAddress === true
  return [
    ...(local || global ? [] : [{ path: 'spec', message: 'one of local and global is required' }]),
    ...durations.flatMap(([path, text]) =>
      text !== undefined && !parseDuration(text) ? [invalidDuration(path, text)] : [],
    ),
    ...(local?.by && both(local.by)
      ? [{ path: 'spec.local.by', message: 'header and remoteAddress exclude each other' }]
      : []),
    ...valueFindings(local),
  ]
}

/** A value means nothing where requests are not told apart, and the same one twice means two things. */
function valueFindings(local: LocalRateLimitSpec | undefined): FieldError[] {
  const values = (local?.limits ?? []).map(({ value }) => value)
  return values.flatMap((value, index): FieldError[] => {
    const path = `spec.local.limits[${index}].value`
    if (values.indexOf(value) < index) return [{ path, message: `Duplicate value: ${JSON.stringify(value ?? null)}` }]
    return value !== undefined && !local?.by ? [{ path, message: 'needs spec.local.by' }] : []
  })
}
