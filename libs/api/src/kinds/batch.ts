import { defineKind } from '../kind.ts'
import type { Resource } from '../resource.ts'
import { ANY_OBJECT, array, object } from '../schema.ts'

export interface BatchSpec {
  /** As they would be applied one by one, in this order; each sees those before it. */
  readonly objects: readonly Resource[]
}

export type ApplyOutcome = 'created' | 'changed' | 'unchanged'

/** What became of one object of a batch. */
export type BatchResult =
  | {
      readonly outcome: ApplyOutcome
      /** As it is now; as it would be, of a dry run. */
      readonly object: Resource
      /** As it was; of what was changed. */
      readonly previous?: Resource
      readonly warnings?: readonly string[]
    }
  /** A metav1.Status: why all of the batch was left undone. */
  | { readonly outcome: 'refused'; readonly refusal: { readonly code: number; readonly [field: string]: unknown } }

export interface BatchStatus {
  /** One for each object, in the order of the objects; where one is refused, all that are, and nothing else. */
  readonly results: readonly (BatchResult & { readonly index: number })[]
}

/**
 * Objects that are applied together: all of them in one transaction, or, when one is refused, none. Create-only; the
 * request's own parameters (`fieldManager`, `dryRun`) hold for each object.
 */
export type Batch = Resource<BatchSpec, BatchStatus>

export default defineKind<Batch>({
  group: 'ambient.lab',
  version: 'v1',
  kind: 'Batch',
  plural: 'batches',
  categories: ['ambient-lab'],
  scope: 'Cluster',
  schema: object(
    {
      spec: object({ objects: array(ANY_OBJECT, { minItems: 1, maxItems: 1000 }) }, { required: ['objects'] }),
      status: object({ results: array(ANY_OBJECT) }, { open: true }),
    },
    { required: ['spec'] },
  ),
  columns: [{ title: 'OBJECTS', type: 'integer', value: ({ spec }) => spec?.objects?.length ?? '' }],
})
