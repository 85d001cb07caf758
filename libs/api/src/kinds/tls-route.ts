import { defineKind } from '../kind.ts'
import { ANY_OBJECT, array, object, STATUS, STRINGS } from '../schema.ts'

export default defineKind({
  group: 'gateway.networking.k8s.io',
  version: 'v1',
  otherVersions: ['v1alpha3', 'v1alpha2'],
  kind: 'TLSRoute',
  plural: 'tlsroutes',
  categories: ['gateway-api'],
  scope: 'Namespaced',
  schema: object(
    {
      spec: object({ parentRefs: array(ANY_OBJECT), hostnames: STRINGS, rules: array(ANY_OBJECT) }, { open: true }),
      status: STATUS,
    },
    { required: ['spec'] },
  ),
  columns: [],
})
