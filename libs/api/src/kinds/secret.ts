import { defineKind } from '../kind.ts'
import type { Resource } from '../resource.ts'
import { boolean, map, object, STRING_MAP, string } from '../schema.ts'

export interface Secret extends Resource {
  readonly type?: string
  /** Base64. */
  readonly data?: Readonly<Record<string, string>>
}

export default defineKind<Secret>({
  group: '',
  version: 'v1',
  kind: 'Secret',
  plural: 'secrets',
  scope: 'Namespaced',
  statusSubresource: false,
  schema: object({
    type: string({ default: 'Opaque' }),
    data: map(string({ format: 'byte' })),
    stringData: STRING_MAP,
    immutable: boolean(),
  }),
  columns: [
    { title: 'TYPE', value: ({ type }) => type ?? 'Opaque' },
    { title: 'DATA', type: 'integer', value: ({ data }) => Object.keys(data ?? {}).length },
  ],
  /** `stringData` is write-only: what it says moves into `data`, as the Kubernetes API server does. */
  withDefaults(secret) {
    const { stringData, ...rest } = secret as Secret & { stringData?: Record<string, string> }
    if (stringData === undefined) return secret
    const encoded = Object.entries(stringData).map(([key, text]) => [key, Buffer.from(text).toString('base64')])
    return { ...rest, data: { ...secret.data, ...Object.fromEntries(encoded) } }
  },
})
