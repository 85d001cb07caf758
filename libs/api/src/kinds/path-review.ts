import { defineKind, type FieldError } from '../kind.ts'
import type { Resource } from '../resource.ts'
import { ANY_OBJECT, array, boolean, object, oneOf, PORT, STRING_MAP, string } from '../schema.ts'

/** Who would dial whom, and what it would ask for; or a connection or a request that was. */
export interface PathReviewSpec {
  /** A pod. */
  readonly source?: { readonly name: string; readonly namespace?: string }
  readonly target?: PathReviewTarget
  readonly request?: PathReviewRequest
  /** A connection that stands or ended lately, instead of source and target. */
  readonly connectionId?: string
  /** `x-request-id` of a request of late, instead of all others: the proxy that met it knows them. */
  readonly requestId?: string
}

/** By `kind` and `name`, or by `host` as a program would name it. */
export interface PathReviewTarget {
  readonly kind?: 'Service' | 'Pod'
  readonly name?: string
  readonly namespace?: string
  readonly host?: string
  /** @default the service's first port */
  readonly port?: number
}

export interface PathReviewRequest {
  /** @default GET */
  readonly method?: string
  /** @default / */
  readonly path?: string
  readonly headers?: Readonly<Record<string, string>>
}

export interface PathReviewStatus {
  readonly allowed: boolean
  /** One sentence: where it ends, and why. */
  readonly summary: string
  /** Of the checkpoint that refused. */
  readonly responseFlags?: string
  /** What an HTTP client would be answered. */
  readonly httpStatus?: number
  /** The smallest changes of policies that would turn the answer round, together. */
  readonly fix?: readonly string[]
  /** Other late decisions that the fix would turn round as well. */
  readonly also?: readonly string[]
  /** Of a request that was sent: what became of it. */
  readonly past?: PathReviewPast
  readonly checkpoints: readonly PathCheckpoint[]
}

/** How a request ended when it was sent; the rest of the status is about now. */
export interface PathReviewPast {
  /** ISO 8601. */
  readonly at: string
  /** `waypoint default/waypoint on n2`. */
  readonly by: string
  /** Pod or address of the client. */
  readonly source: string
  readonly method: string
  readonly host: string
  /** Without its query. */
  readonly path: string
  /** Absent while it is not answered. */
  readonly httpStatus?: number
  readonly responseFlags: string
  /** Envoy's `response_code_details`. */
  readonly details: string
  /** Of a refusal: what to look at. */
  readonly hint?: string
  /** It would end otherwise now: what decides has changed since. */
  readonly changed: boolean
  /** `namespace/name` of the waypoint that the way leads through by now: it was asked, without the request's headers. */
  readonly movedTo?: string
}

/** One decision on the way; the last one refused when it is `denied`. */
export interface PathCheckpoint {
  readonly point: string
  readonly at: string
  readonly verdict: 'ok' | 'skipped' | 'denied'
  readonly saw: string
  readonly reason: string
  readonly responseFlags?: string
  readonly httpStatus?: number
  readonly policies?: readonly PathPolicy[]
}

export interface PathPolicy {
  /** `namespace/name` */
  readonly policy: string
  readonly action: string
  readonly dryRun: boolean
  readonly matched: boolean
  readonly fields: readonly {
    readonly rule: number
    readonly field: string
    readonly wanted: readonly string[]
    readonly got: string
    readonly held: boolean
  }[]
}

/** Would it pass, who decides, and why: create-only, as a SubjectAccessReview is. Nothing is sent. */
export type PathReview = Resource<PathReviewSpec, PathReviewStatus>

export default defineKind<PathReview>({
  group: 'ambient.lab',
  version: 'v1',
  kind: 'PathReview',
  plural: 'pathreviews',
  categories: ['ambient-lab'],
  scope: 'Cluster',
  schema: object(
    {
      spec: object({
        source: object(
          { name: string({ minLength: 1 }), namespace: string({ default: 'default' }) },
          { required: ['name'] },
        ),
        target: object({
          kind: oneOf('Service', 'Pod'),
          name: string({ minLength: 1 }),
          namespace: string({ default: 'default' }),
          host: string({ minLength: 1 }),
          port: PORT,
        }),
        request: object({ method: string(), path: string(), headers: STRING_MAP }),
        connectionId: string({ minLength: 1 }),
        requestId: string({ minLength: 1 }),
      }),
      status: object(
        { allowed: boolean(), summary: string(), responseFlags: string(), checkpoints: array(ANY_OBJECT) },
        { open: true },
      ),
    },
    { required: ['spec'] },
  ),
  validate: ({ spec }) => (spec ? oneQuestion(spec) : []),
  columns: [
    { title: 'ALLOWED', value: ({ status }) => String(status?.allowed ?? '') },
    { title: 'SUMMARY', value: ({ status }) => status?.summary ?? '' },
  ],
})

function oneQuestion({ source, target, request, connectionId, requestId }: PathReviewSpec): FieldError[] {
  const forbid = (fields: object, message: string) =>
    Object.entries(fields).flatMap(([name, part]) => (part === undefined ? [] : [{ path: `spec.${name}`, message }]))
  if (requestId !== undefined) {
    return forbid({ source, target, request, connectionId }, 'Forbidden: a requestId says all of it')
  }
  if (connectionId !== undefined) return forbid({ source, target }, 'Forbidden: a connectionId says it')
  const missing = Object.entries({ source, target }).filter(([, part]) => part === undefined)
  return missing.map(([name]) => ({ path: `spec.${name}`, message: 'Required value: or a connectionId or requestId' }))
}
