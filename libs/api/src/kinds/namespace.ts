import { defineKind } from '../kind.ts'
import type { Resource } from '../resource.ts'
import { ANY_OBJECT, object, oneOf } from '../schema.ts'

export interface NamespaceStatus {
  readonly phase?: 'Active' | 'Terminating'
}

export type Namespace = Resource<unknown, NamespaceStatus>

export default defineKind<Namespace>({
  group: '',
  version: 'v1',
  kind: 'Namespace',
  plural: 'namespaces',
  shortNames: ['ns'],
  scope: 'Cluster',
  schema: object({ spec: ANY_OBJECT, status: object({ phase: oneOf('Active', 'Terminating') }, { open: true }) }),
  columns: [
    {
      title: 'STATUS',
      value: ({ metadata, status }) => (metadata.deletionTimestamp ? 'Terminating' : (status?.phase ?? 'Active')),
    },
  ],
})
