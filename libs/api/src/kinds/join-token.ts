import { defineKind } from '../kind.ts'
import type { Resource } from '../resource.ts'
import { integer, object, string } from '../schema.ts'

export interface JoinTokenSpec {
  /** The only node name that may join with it. */
  readonly node: string
  /** @default 3600 */
  readonly ttlSeconds?: number
}

export interface JoinTokenStatus {
  /** Only in the answer to the create; the store keeps its hash. */
  readonly token?: string
  /** RFC 3339. */
  readonly expiresAt?: string
  readonly usedAt?: string
}

/** Lets one node join, once. */
export type JoinToken = Resource<JoinTokenSpec, JoinTokenStatus>

export default defineKind<JoinToken>({
  group: 'ambient.lab',
  version: 'v1',
  kind: 'JoinToken',
  plural: 'jointokens',
  categories: ['ambient-lab'],
  scope: 'Cluster',
  schema: object(
    {
      spec: object(
        {
          node: string({ minLength: 1, maxLength: 63, pattern: '^[a-z0-9]([-a-z0-9]*[a-z0-9])?$' }),
          ttlSeconds: integer({ minimum: 1, maximum: 604_800, default: 3600 }),
        },
        { required: ['node'] },
      ),
      status: object({ token: string(), expiresAt: string(), usedAt: string() }, { open: true }),
    },
    { required: ['spec'] },
  ),
  columns: [
    { title: 'NODE', value: ({ spec }) => spec?.node ?? '' },
    { title: 'STATE', value: tokenState },
  ],
})

function tokenState({ status }: JoinToken, nowMs: number): string {
  if (status?.usedAt) return 'Used'
  return Date.parse(status?.expiresAt ?? '') <= nowMs ? 'Expired' : 'Valid'
}
