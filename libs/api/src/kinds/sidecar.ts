import { defineKind } from '../kind.ts'
import { ANY_OBJECT, object, STATUS } from '../schema.ts'

export default defineKind({
  group: 'networking.istio.io',
  version: 'v1',
  otherVersions: ['v1beta1', 'v1alpha3'],
  kind: 'Sidecar',
  plural: 'sidecars',
  categories: ['istio-io', 'networking-istio-io'],
  scope: 'Namespaced',
  schema: object({ spec: ANY_OBJECT, status: STATUS }),
  columns: [],
})
