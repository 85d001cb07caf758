import { defineKind } from '../kind.ts'
import type { Resource } from '../resource.ts'
import { ANY_OBJECT, array, integer, object, string } from '../schema.ts'

export interface PolicyReplaySpec {
  /** As they would be applied, whole; those of the same name are replaced. */
  readonly objects?: readonly Resource[]
  /** Objects that would be deleted. */
  readonly remove?: readonly Pick<Resource, 'apiVersion' | 'kind' | 'metadata'>[]
  /** Decisions of the last so many seconds. @default 300 */
  readonly sinceSeconds?: number
}

export interface PolicyReplayStatus {
  /** How many decisions were taken again. */
  readonly decisions: number
  readonly flips: readonly ReplayFlip[]
  /** Resources that some node would refuse, and why. */
  readonly refused: readonly { readonly name: string; readonly reason: string }[]
  /** Nodes that did not answer: what they decided is not in here. */
  readonly silentNodes: readonly string[]
}

/** Decisions, alike in who asked for what, that would come out otherwise. */
export interface ReplayFlip {
  readonly at: string
  /** SPIFFE id; empty for plaintext. */
  readonly identity: string
  /** `name.namespace` of the workload, or of the service at a waypoint. */
  readonly destination: string
  readonly port: number
  /** At a waypoint: method and path. */
  readonly request?: string
  readonly count: number
  readonly lastAtMs: number
  readonly becomes: 'allowed' | 'denied'
  readonly reason: string
}

/**
 * What would have been decided lately if these objects had been applied: create-only. Every proxy answers with its own
 * decisions of the last minutes and the functions that made them; nothing takes effect.
 */
export type PolicyReplay = Resource<PolicyReplaySpec, PolicyReplayStatus>

export default defineKind<PolicyReplay>({
  group: 'ambient.lab',
  version: 'v1',
  kind: 'PolicyReplay',
  plural: 'policyreplays',
  categories: ['ambient-lab'],
  scope: 'Cluster',
  schema: object(
    {
      spec: object({
        objects: array(ANY_OBJECT, { maxItems: 1000 }),
        remove: array(ANY_OBJECT, { maxItems: 1000 }),
        sinceSeconds: integer({ minimum: 1, maximum: 3600, default: 300 }),
      }),
      status: object(
        { decisions: integer(), flips: array(ANY_OBJECT), refused: array(ANY_OBJECT), silentNodes: array(string()) },
        { open: true },
      ),
    },
    { required: ['spec'] },
  ),
  columns: [
    { title: 'DECISIONS', value: ({ status }) => String(status?.decisions ?? '') },
    { title: 'FLIPS', value: ({ status }) => String(status?.flips.reduce((sum, { count }) => sum + count, 0) ?? '') },
  ],
})
