import type { Condition } from '../condition.ts'
import { defineKind } from '../kind.ts'
import { containerCells, POD_TEMPLATE, type PodTemplate } from '../pod-template.ts'
import type { Resource } from '../resource.ts'
import { integer, LABEL_SELECTOR, object, STATUS } from '../schema.ts'
import { formatLabelSelector, type LabelSelector } from '../selector.ts'
import { selectorFitsTemplate } from './deployment.ts'

export interface ReplicaSetSpec {
  readonly replicas?: number
  readonly selector: LabelSelector
  readonly template: PodTemplate
  readonly minReadySeconds?: number
}

export interface ReplicaSetStatus {
  readonly observedGeneration?: number
  readonly replicas?: number
  readonly fullyLabeledReplicas?: number
  readonly readyReplicas?: number
  readonly availableReplicas?: number
  readonly conditions?: readonly Condition[]
}

export type ReplicaSet = Resource<ReplicaSetSpec, ReplicaSetStatus>

export default defineKind<ReplicaSet>({
  group: 'apps',
  version: 'v1',
  kind: 'ReplicaSet',
  plural: 'replicasets',
  shortNames: ['rs'],
  categories: ['all'],
  scope: 'Namespaced',
  schema: object(
    {
      spec: object(
        {
          replicas: integer({ minimum: 0, default: 1 }),
          selector: LABEL_SELECTOR,
          template: POD_TEMPLATE,
          minReadySeconds: integer({ minimum: 0 }),
        },
        { required: ['selector', 'template'] },
      ),
      status: STATUS,
    },
    { required: ['spec'] },
  ),
  columns: [
    { title: 'DESIRED', type: 'integer', value: ({ spec }) => spec?.replicas ?? 1 },
    { title: 'CURRENT', type: 'integer', value: ({ status }) => status?.replicas ?? 0 },
    { title: 'READY', type: 'integer', value: ({ status }) => status?.readyReplicas ?? 0 },
    { title: 'CONTAINERS', wide: true, value: ({ spec }) => containerCells(spec?.template).names },
    { title: 'IMAGES', wide: true, value: ({ spec }) => containerCells(spec?.template).images },
    { title: 'SELECTOR', wide: true, value: ({ spec }) => formatLabelSelector(spec?.selector) },
  ],
  validate: ({ spec }) => (spec ? selectorFitsTemplate(spec) : []),
})
