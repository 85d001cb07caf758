import { textCell } from '../cells.ts'
import { defineKind } from '../kind.ts'
import { object, STATUS, string } from '../schema.ts'

export default defineKind({
  group: 'networking.istio.io',
  version: 'v1',
  otherVersions: ['v1beta1', 'v1alpha3'],
  kind: 'WorkloadEntry',
  plural: 'workloadentries',
  shortNames: ['we'],
  categories: ['istio-io', 'networking-istio-io'],
  scope: 'Namespaced',
  schema: object({ spec: object({ address: string() }, { open: true }), status: STATUS }),
  columns: [{ title: 'ADDRESS', value: ({ spec }) => textCell(spec, 'address') }],
})
