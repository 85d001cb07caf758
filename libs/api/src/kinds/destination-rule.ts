import { areUnique } from '../gateway-api.ts'
import { WORKLOAD_SELECTOR, type WorkloadSelector } from '../istio-fields.ts'
import { defineKind } from '../kind.ts'
import type { Resource } from '../resource.ts'
import { array, object, STATUS, STRING_MAP, STRINGS, string, withRules } from '../schema.ts'
import { TRAFFIC_POLICY, type TrafficPolicy } from '../traffic-policy.ts'

export interface DestinationRuleSubset {
  readonly name: string
  readonly labels?: Readonly<Record<string, string>>
  /** Overrides the rule's own, setting by setting. */
  readonly trafficPolicy?: TrafficPolicy
}

export interface DestinationRuleSpec {
  /** A service's name, relative to the rule's namespace; may start with `*.`. */
  readonly host: string
  readonly trafficPolicy?: TrafficPolicy
  readonly subsets?: readonly DestinationRuleSubset[]
  readonly exportTo?: readonly string[]
  readonly workloadSelector?: WorkloadSelector
}

export type DestinationRule = Resource<DestinationRuleSpec>

export default defineKind<DestinationRule>({
  group: 'networking.istio.io',
  version: 'v1',
  otherVersions: ['v1beta1', 'v1alpha3'],
  kind: 'DestinationRule',
  plural: 'destinationrules',
  shortNames: ['dr'],
  categories: ['istio-io', 'networking-istio-io'],
  scope: 'Namespaced',
  schema: object({
    spec: object(
      {
        exportTo: STRINGS,
        host: string(),
        subsets: withRules<readonly DestinationRuleSubset[]>(
          array(
            object(
              { labels: STRING_MAP, name: string({ minLength: 1 }), trafficPolicy: TRAFFIC_POLICY },
              { required: ['name'] },
            ),
          ),
          { 'duplicate subset names': (subsets) => areUnique(subsets, ({ name }) => name) },
        ),
        trafficPolicy: TRAFFIC_POLICY,
        workloadSelector: WORKLOAD_SELECTOR,
      },
      { required: ['host'] },
    ),
    status: STATUS,
  }),
  columns: [{ title: 'HOST', value: ({ spec }) => spec?.host ?? '' }],
})
