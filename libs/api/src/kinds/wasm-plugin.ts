import { defineKind } from '../kind.ts'
import { ANY_OBJECT, object, STATUS } from '../schema.ts'

export default defineKind({
  group: 'extensions.istio.io',
  version: 'v1alpha1',
  kind: 'WasmPlugin',
  plural: 'wasmplugins',
  categories: ['istio-io', 'extensions-istio-io'],
  scope: 'Namespaced',
  schema: object({ spec: ANY_OBJECT, status: STATUS }),
  columns: [],
})
