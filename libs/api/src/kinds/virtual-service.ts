import { listCell } from '../cells.ts'
import { defineKind } from '../kind.ts'
import { object, STATUS, STRINGS } from '../schema.ts'

export default defineKind({
  group: 'networking.istio.io',
  version: 'v1',
  otherVersions: ['v1beta1', 'v1alpha3'],
  kind: 'VirtualService',
  plural: 'virtualservices',
  shortNames: ['vs'],
  categories: ['istio-io', 'networking-istio-io'],
  scope: 'Namespaced',
  schema: object({ spec: object({ gateways: STRINGS, hosts: STRINGS }, { open: true }), status: STATUS }),
  columns: [
    { title: 'GATEWAYS', value: ({ spec }) => listCell(spec, 'gateways') },
    { title: 'HOSTS', value: ({ spec }) => listCell(spec, 'hosts') },
  ],
})
