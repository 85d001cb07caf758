import { defineKind } from '../kind.ts'
import type { Resource } from '../resource.ts'
import { ANY_OBJECT, array, boolean, object } from '../schema.ts'

export interface ServiceAccount extends Resource {
  readonly secrets?: readonly { readonly name?: string }[]
}

export default defineKind<ServiceAccount>({
  group: '',
  version: 'v1',
  kind: 'ServiceAccount',
  plural: 'serviceaccounts',
  shortNames: ['sa'],
  scope: 'Namespaced',
  statusSubresource: false,
  schema: object({
    secrets: array(ANY_OBJECT),
    imagePullSecrets: array(ANY_OBJECT),
    automountServiceAccountToken: boolean(),
  }),
  columns: [{ title: 'SECRETS', type: 'integer', value: ({ secrets }) => secrets?.length ?? 0 }],
})
