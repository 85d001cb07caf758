import type { Finding } from '../analyze/finding.ts'
import { defineKind } from '../kind.ts'
import type { Resource } from '../resource.ts'
import { ANY_OBJECT, array, boolean, object } from '../schema.ts'

export interface AnalysisSpec {
  /** As they would be applied, whole; they stand before those of the same name in the lab. */
  readonly objects?: readonly Resource[]
  /** Whether what the lab holds counts too. @default true */
  readonly useLab?: boolean
}

export interface AnalysisStatus {
  /** The most serious first. */
  readonly findings: readonly Finding[]
}

/** What is wrong with the configuration: create-only, as a SubjectAccessReview is. Nothing is stored and nothing changes. */
export type Analysis = Resource<AnalysisSpec, AnalysisStatus>

export default defineKind<Analysis>({
  group: 'ambient.lab',
  version: 'v1',
  kind: 'Analysis',
  plural: 'analyses',
  categories: ['ambient-lab'],
  scope: 'Cluster',
  schema: object(
    {
      spec: object({
        objects: array(ANY_OBJECT, { maxItems: 1000 }),
        useLab: boolean({ default: true }),
      }),
      status: object({ findings: array(ANY_OBJECT) }, { open: true }),
    },
    { required: ['spec'] },
  ),
  columns: [
    { title: 'FINDINGS', type: 'integer', value: ({ status }) => status?.findings.length ?? '' },
    { title: 'WORST', value: ({ status }) => status?.findings[0]?.level ?? '-' },
  ],
})
