import { defineKind } from '../kind.ts'
import type { Resource } from '../resource.ts'
import { ANY_OBJECT, array, boolean, object, oneOf, PORT, STRING_MAP, string } from '../schema.ts'

/** Who would dial whom, and what it would ask for. */
export interface PathReviewSpec {
  /** A pod. */
  readonly source: { readonly name: string; readonly namespace?: string }
  readonly target: PathReviewTarget
  readonly request?: PathReviewRequest
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
  readonly checkpoints: readonly PathCheckpoint[]
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
      spec: object(
        {
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
        },
        { required: ['source', 'target'] },
      ),
      status: object(
        { allowed: boolean(), summary: string(), responseFlags: string(), checkpoints: array(ANY_OBJECT) },
        { open: true },
      ),
    },
    { required: ['spec'] },
  ),
  columns: [
    { title: 'ALLOWED', value: ({ status }) => String(status?.allowed ?? '') },
    { title: 'SUMMARY', value: ({ status }) => status?.summary ?? '' },
  ],
})
