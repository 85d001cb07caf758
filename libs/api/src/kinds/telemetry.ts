import { defineKind } from '../kind.ts'
import { ANY_OBJECT, object, STATUS } from '../schema.ts'

export default defineKind({
  group: 'telemetry.istio.io',
  version: 'v1',
  otherVersions: ['v1alpha1'],
  kind: 'Telemetry',
  plural: 'telemetries',
  categories: ['istio-io', 'telemetry-istio-io'],
  scope: 'Namespaced',
  schema: object({ spec: ANY_OBJECT, status: STATUS }),
  columns: [],
})
