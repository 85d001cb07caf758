import { listCell } from '../cells.ts'
import { defineKind } from '../kind.ts'
import { ANY_OBJECT, array, object, STATUS, STRINGS } from '../schema.ts'

export default defineKind({
  group: 'gateway.networking.k8s.io',
  version: 'v1',
  kind: 'GRPCRoute',
  plural: 'grpcroutes',
  shortNames: ['gr'],
  categories: ['gateway-api'],
  scope: 'Namespaced',
  schema: object({
    spec: object({ parentRefs: array(ANY_OBJECT), hostnames: STRINGS, rules: array(ANY_OBJECT) }, { open: true }),
    status: STATUS,
  }),
  columns: [{ title: 'HOSTNAMES', value: ({ spec }) => listCell(spec, 'hostnames') }],
})
