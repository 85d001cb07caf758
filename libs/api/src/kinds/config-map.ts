import { defineKind } from '../kind.ts'
import type { Resource } from '../resource.ts'
import { boolean, object, STRING_MAP } from '../schema.ts'

export interface ConfigMap extends Resource {
  readonly data?: Readonly<Record<string, string>>
  /** Base64. */
  readonly binaryData?: Readonly<Record<string, string>>
}

export default defineKind<ConfigMap>({
  group: '',
  version: 'v1',
  kind: 'ConfigMap',
  plural: 'configmaps',
  shortNames: ['cm'],
  scope: 'Namespaced',
  statusSubresource: false,
  schema: object({ data: STRING_MAP, binaryData: STRING_MAP, immutable: boolean() }),
  columns: [
    {
      title: 'DATA',
      type: 'integer',
      value: ({ data, binaryData }) => Object.keys(data ?? {}).length + Object.keys(binaryData ?? {}).length,
    },
  ],
})
