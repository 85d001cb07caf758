import { conditionCell } from '../cells.ts'
import type { Condition } from '../condition.ts'
import { GATEWAY_GROUP, GROUP_NAME, KIND_NAME, NAMESPACE_NAME, OBJECT_NAME } from '../gateway-api.ts'
import { type GatewayListener, LISTENERS } from '../gateway-listeners.ts'
import { defineKind } from '../kind.ts'
import type { Resource } from '../resource.ts'
import { object, STATUS } from '../schema.ts'

/** More listeners for a Gateway that allows it. */
export interface ListenerSetSpec {
  readonly parentRef: {
    readonly group?: string
    readonly kind?: string
    readonly name: string
    readonly namespace?: string
  }
  readonly listeners: readonly GatewayListener[]
}

export type ListenerSet = Resource<ListenerSetSpec, { readonly conditions?: readonly Condition[] }>

const PARENT_REF = object(
  {
    group: { ...GROUP_NAME, default: GATEWAY_GROUP },
    kind: { ...KIND_NAME, default: 'Gateway' },
    name: OBJECT_NAME,
    namespace: NAMESPACE_NAME,
  },
  { required: ['name'] },
)

export default defineKind<ListenerSet>({
  group: 'gateway.networking.k8s.io',
  version: 'v1',
  kind: 'ListenerSet',
  plural: 'listenersets',
  shortNames: ['lset'],
  categories: ['gateway-api'],
  scope: 'Namespaced',
  schema: object(
    {
      spec: object({ listeners: LISTENERS, parentRef: PARENT_REF }, { required: ['listeners', 'parentRef'] }),
      status: STATUS,
    },
    { required: ['spec'] },
  ),
  columns: [
    { title: 'ACCEPTED', value: (set) => conditionCell(set, 'Accepted') },
    { title: 'PROGRAMMED', value: (set) => conditionCell(set, 'Programmed') },
  ],
})
