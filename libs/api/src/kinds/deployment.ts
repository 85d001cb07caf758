import type { Condition } from '../condition.ts'
import { defineKind, type FieldError } from '../kind.ts'
import { containerCells, POD_TEMPLATE, type PodTemplate } from '../pod-template.ts'
import type { Resource } from '../resource.ts'
import { boolean, INT_OR_STRING, integer, LABEL_SELECTOR, object, oneOf, STATUS } from '../schema.ts'
import { formatLabelSelector, type LabelSelector, matchesLabels } from '../selector.ts'

export interface DeploymentSpec {
  readonly replicas?: number
  readonly selector: LabelSelector
  readonly template: PodTemplate
  readonly strategy?: {
    readonly type?: 'RollingUpdate' | 'Recreate'
    readonly rollingUpdate?: { readonly maxSurge?: number | string; readonly maxUnavailable?: number | string }
  }
  readonly minReadySeconds?: number
  readonly revisionHistoryLimit?: number
  readonly progressDeadlineSeconds?: number
  readonly paused?: boolean
}

export interface DeploymentStatus {
  readonly observedGeneration?: number
  readonly replicas?: number
  readonly updatedReplicas?: number
  readonly readyReplicas?: number
  readonly availableReplicas?: number
  readonly unavailableReplicas?: number
  readonly conditions?: readonly Condition[]
}

export type Deployment = Resource<DeploymentSpec, DeploymentStatus>

export default defineKind<Deployment>({
  group: 'apps',
  version: 'v1',
  kind: 'Deployment',
  plural: 'deployments',
  shortNames: ['deploy'],
  categories: ['all'],
  scope: 'Namespaced',
  schema: object(
    {
      spec: object(
        {
          replicas: integer({ minimum: 0, default: 1 }),
          selector: LABEL_SELECTOR,
          template: POD_TEMPLATE,
          strategy: object(
            {
              type: { ...oneOf('RollingUpdate', 'Recreate'), default: 'RollingUpdate' },
              rollingUpdate: object({ maxSurge: INT_OR_STRING, maxUnavailable: INT_OR_STRING }),
            },
            { default: {} },
          ),
          minReadySeconds: integer({ minimum: 0 }),
          revisionHistoryLimit: integer({ minimum: 0, default: 10 }),
          progressDeadlineSeconds: integer({ minimum: 1, default: 600 }),
          paused: boolean(),
        },
        { required: ['selector', 'template'] },
      ),
      status: STATUS,
    },
    { required: ['spec'] },
  ),
  columns: [
    { title: 'READY', value: ({ spec, status }) => `${status?.readyReplicas ?? 0}/${spec?.replicas ?? 1}` },
    { title: 'UP-TO-DATE', type: 'integer', value: ({ status }) => status?.updatedReplicas ?? 0 },
    { title: 'AVAILABLE', type: 'integer', value: ({ status }) => status?.availableReplicas ?? 0 },
    { title: 'CONTAINERS', wide: true, value: ({ spec }) => containerCells(spec?.template).names },
    { title: 'IMAGES', wide: true, value: ({ spec }) => containerCells(spec?.template).images },
    { title: 'SELECTOR', wide: true, value: ({ spec }) => formatLabelSelector(spec?.selector) },
  ],
  validate: ({ spec }) => (spec ? selectorFitsTemplate(spec) : []),
})

/** A selector that misses its own template would make pods for ever; one that is empty would own everybody's. */
export function selectorFitsTemplate(spec: Pick<DeploymentSpec, 'selector' | 'template'>): FieldError[] {
  const { matchLabels = {}, matchExpressions = [] } = spec.selector
  if (Object.keys(matchLabels).length + matchExpressions.length === 0) {
    return [{ path: 'spec.selector', message: 'Invalid value: empty selector is invalid' }]
  }
  const labels = spec.template.metadata?.labels
  if (matchesLabels(spec.selector, labels)) return []
  const shown = JSON.stringify(labels ?? {})
  const message = `Invalid value: ${shown}: \`selector\` does not match template \`labels\``
  return [{ path: 'spec.template.metadata.labels', message }]
}
