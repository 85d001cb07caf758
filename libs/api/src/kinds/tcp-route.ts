import { defineKind } from '../kind.ts'
import { ANY_OBJECT, array, object, STATUS } from '../schema.ts'

export default defineKind({
  group: 'gateway.networking.k8s.io',
  version: 'v1',
  otherVersions: ['v1alpha2'],
  kind: 'TCPRoute',
  plural: 'tcproutes',
  shortNames: ['tr'],
  categories: ['gateway-api'],
  scope: 'Namespaced',
  schema: object(
    { spec: object({ parentRefs: array(ANY_OBJECT), rules: array(ANY_OBJECT) }, { open: true }), status: STATUS },
    { required: ['spec'] },
  ),
  columns: [],
})
