import { listCell, textCell } from '../cells.ts'
import { defineKind } from '../kind.ts'
import { object, STATUS, STRINGS, string } from '../schema.ts'

export default defineKind({
  group: 'networking.istio.io',
  version: 'v1',
  otherVersions: ['v1beta1', 'v1alpha3'],
  kind: 'ServiceEntry',
  plural: 'serviceentries',
  shortNames: ['se'],
  categories: ['istio-io', 'networking-istio-io'],
  scope: 'Namespaced',
  schema: object({
    spec: object({ hosts: STRINGS, location: string(), resolution: string() }, { open: true }),
    status: STATUS,
  }),
  columns: [
    { title: 'HOSTS', value: ({ spec }) => listCell(spec, 'hosts') },
    { title: 'LOCATION', value: ({ spec }) => textCell(spec, 'location') },
    { title: 'RESOLUTION', value: ({ spec }) => textCell(spec, 'resolution') },
  ],
})
