import { defineKind } from '../kind.ts'
import { ANY_OBJECT, array, object, STATUS } from '../schema.ts'

export default defineKind({
  group: 'gateway.networking.k8s.io',
  version: 'v1',
  otherVersions: ['v1beta1', 'v1alpha2'],
  kind: 'ReferenceGrant',
  plural: 'referencegrants',
  shortNames: ['refgrant'],
  categories: ['gateway-api'],
  scope: 'Namespaced',
  schema: object({
    spec: object({ from: array(ANY_OBJECT), to: array(ANY_OBJECT) }, { required: ['from', 'to'] }),
    status: STATUS,
  }),
  columns: [],
})
