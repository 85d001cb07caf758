import { INT32, type PolicyAttachment, policySpec } from '../istio-fields.ts'
import { defineKind } from '../kind.ts'
import type { Resource } from '../resource.ts'
import { object, oneOf, STATUS, string, withRules } from '../schema.ts'
import { TRAFFIC_SELECTORS, type TrafficSelector, WASM_MODULE, type WasmModule } from '../wasm.ts'

/** Wasm's successor: a module, or a few lines of Lua. */
export interface TrafficExtensionSpec extends PolicyAttachment {
  readonly match?: readonly TrafficSelector[]
  readonly phase?: 'UNSPECIFIED' | 'AUTHN' | 'AUTHZ' | 'STATS'
  /** Higher comes first within a phase. */
  readonly priority?: number
  readonly wasm?: WasmModule
  readonly lua?: { readonly inlineCode: string }
}

export type TrafficExtension = Resource<TrafficExtensionSpec>

export default defineKind<TrafficExtension>({
  group: 'extensions.istio.io',
  version: 'v1alpha1',
  kind: 'TrafficExtension',
  plural: 'trafficextensions',
  categories: ['istio-io', 'extensions-istio-io'],
  scope: 'Namespaced',
  schema: object(
    {
      spec: withRules<TrafficExtensionSpec>(
        policySpec({
          lua: object({ inlineCode: string({ minLength: 1, maxLength: 65_536 }) }, { required: ['inlineCode'] }),
          match: TRAFFIC_SELECTORS,
          phase: oneOf('UNSPECIFIED', 'AUTHN', 'AUTHZ', 'STATS'),
          priority: { ...INT32, nullable: true },
          wasm: object(WASM_MODULE, { required: ['url'] }),
        }),
        {
          'exactly one of wasm or lua must be set': ({ wasm, lua }) => (wasm === undefined) !== (lua === undefined),
        },
      ),
      status: STATUS,
    },
    { required: ['spec'] },
  ),
  columns: [],
})
