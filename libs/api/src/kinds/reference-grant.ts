import { GROUP_NAME, KIND_NAME, NAMESPACE_NAME, OBJECT_NAME } from '../gateway-api.ts'
import { defineKind } from '../kind.ts'
import type { Resource } from '../resource.ts'
import { array, object } from '../schema.ts'

/** Lets objects of other namespaces refer to objects of the grant's own. */
export interface ReferenceGrantSpec {
  readonly from: readonly { readonly group: string; readonly kind: string; readonly namespace: string }[]
  /** Without a name: every object of that kind. */
  readonly to: readonly { readonly group: string; readonly kind: string; readonly name?: string }[]
}

export type ReferenceGrant = Resource<ReferenceGrantSpec>

export default defineKind<ReferenceGrant>({
  group: 'gateway.networking.k8s.io',
  version: 'v1',
  otherVersions: ['v1beta1', 'v1alpha2'],
  kind: 'ReferenceGrant',
  plural: 'referencegrants',
  shortNames: ['refgrant'],
  categories: ['gateway-api'],
  scope: 'Namespaced',
  schema: object({
    spec: object(
      {
        from: array(
          object(
            { group: GROUP_NAME, kind: KIND_NAME, namespace: NAMESPACE_NAME },
            { required: ['group', 'kind', 'namespace'] },
          ),
          { minItems: 1, maxItems: 16 },
        ),
        to: array(object({ group: GROUP_NAME, kind: KIND_NAME, name: OBJECT_NAME }, { required: ['group', 'kind'] }), {
          minItems: 1,
          maxItems: 16,
        }),
      },
      { required: ['from', 'to'] },
    ),
  }),
  statusSubresource: false,
  columns: [],
})
