import { WORKLOAD_SELECTOR, type WorkloadSelector } from '../istio-fields.ts'
import { defineKind } from '../kind.ts'
import type { Resource } from '../resource.ts'
import { integer, map, object, STATUS, string } from '../schema.ts'

export interface ProxyConfigSpec {
  readonly selector?: WorkloadSelector
  /** Worker threads; 0: as many as there are cores. */
  readonly concurrency?: number
  readonly environmentVariables?: Readonly<Record<string, string>>
  readonly image?: { readonly imageType?: string }
}

export type ProxyConfig = Resource<ProxyConfigSpec>

export default defineKind<ProxyConfig>({
  group: 'networking.istio.io',
  version: 'v1beta1',
  kind: 'ProxyConfig',
  plural: 'proxyconfigs',
  categories: ['istio-io', 'networking-istio-io'],
  scope: 'Namespaced',
  schema: object({
    spec: object({
      concurrency: integer({ minimum: 0, nullable: true }),
      environmentVariables: map(string({ maxLength: 2048 })),
      image: object({ imageType: string() }),
      selector: WORKLOAD_SELECTOR,
    }),
    status: STATUS,
  }),
  columns: [],
})
