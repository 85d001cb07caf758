import { listCell } from '../cells.ts'
import { defineKind } from '../kind.ts'
import { ANY_OBJECT, array, object, STATUS, STRINGS } from '../schema.ts'

export default defineKind({
  group: 'gateway.networking.k8s.io',
  version: 'v1',
  otherVersions: ['v1beta1'],
  kind: 'HTTPRoute',
  plural: 'httproutes',
  shortNames: ['hr'],
  categories: ['gateway-api'],
  scope: 'Namespaced',
  schema: object(
    {
      spec: object({ parentRefs: array(ANY_OBJECT), hostnames: STRINGS, rules: array(ANY_OBJECT) }, { open: true }),
      status: STATUS,
    },
    { required: ['spec'] },
  ),
  columns: [{ title: 'HOSTNAMES', value: ({ spec }) => listCell(spec, 'hostnames') }],
})
