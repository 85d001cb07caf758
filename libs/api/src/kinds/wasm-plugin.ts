import { INT32, type PolicyAttachment, policySpec } from '../istio-fields.ts'
import { defineKind } from '../kind.ts'
import type { Resource } from '../resource.ts'
import { object, oneOf, STATUS } from '../schema.ts'
import { TRAFFIC_SELECTORS, type TrafficSelector, WASM_MODULE, type WasmModule } from '../wasm.ts'

export interface WasmPluginSpec extends PolicyAttachment, WasmModule {
  readonly match?: readonly TrafficSelector[]
  readonly phase?: 'UNSPECIFIED_PHASE' | 'AUTHN' | 'AUTHZ' | 'STATS'
  /** Higher comes first within a phase. */
  readonly priority?: number
}

export type WasmPlugin = Resource<WasmPluginSpec>

export default defineKind<WasmPlugin>({
  group: 'extensions.istio.io',
  version: 'v1alpha1',
  kind: 'WasmPlugin',
  plural: 'wasmplugins',
  categories: ['istio-io', 'extensions-istio-io'],
  scope: 'Namespaced',
  schema: object(
    {
      spec: policySpec(
        {
          ...WASM_MODULE,
          match: TRAFFIC_SELECTORS,
          phase: oneOf('UNSPECIFIED_PHASE', 'AUTHN', 'AUTHZ', 'STATS'),
          priority: { ...INT32, nullable: true },
        },
        ['url'],
      ),
      status: STATUS,
    },
    { required: ['spec'] },
  ),
  columns: [],
})
