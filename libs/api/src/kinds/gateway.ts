import { conditionCell } from '../cells.ts'
import type { Condition } from '../condition.ts'
import { defineKind, type FieldError } from '../kind.ts'
import type { Resource } from '../resource.ts'
import { ANY_OBJECT, array, object, PORT, STATUS, string } from '../schema.ts'

export interface GatewayListener {
  readonly name: string
  readonly port: number
  /** `HBONE` for a waypoint's. */
  readonly protocol: string
  readonly hostname?: string
  readonly [field: string]: unknown
}

export interface GatewaySpec {
  /** `istio-waypoint` for a waypoint. */
  readonly gatewayClassName: string
  readonly listeners?: readonly GatewayListener[]
  readonly [field: string]: unknown
}

export interface GatewayStatus {
  readonly addresses?: readonly { readonly type?: string; readonly value: string }[]
  readonly conditions?: readonly Condition[]
}

/** The Gateway API's Gateway; with the class `istio-waypoint`, a waypoint. */
export type Gateway = Resource<GatewaySpec, GatewayStatus>

export default defineKind<Gateway>({
  group: 'gateway.networking.k8s.io',
  version: 'v1',
  otherVersions: ['v1beta1'],
  kind: 'Gateway',
  plural: 'gateways',
  shortNames: ['gtw', 'wp', 'waypoint', 'waypoints'],
  categories: ['gateway-api'],
  scope: 'Namespaced',
  schema: object(
    {
      spec: object(
        {
          gatewayClassName: string({ minLength: 1, maxLength: 253 }),
          listeners: array(
            object(
              { name: string({ minLength: 1 }), port: PORT, protocol: string({ minLength: 1 }), tls: ANY_OBJECT },
              { required: ['name', 'port', 'protocol'], open: true },
            ),
            { maxItems: 64 },
          ),
        },
        { required: ['gatewayClassName'], open: true },
      ),
      status: STATUS,
    },
    { required: ['spec'] },
  ),
  columns: [
    { title: 'CLASS', value: ({ spec }) => spec?.gatewayClassName ?? '' },
    { title: 'ADDRESS', value: ({ status }) => status?.addresses?.[0]?.value ?? '' },
    { title: 'PROGRAMMED', value: (gateway) => conditionCell(gateway, 'Programmed') },
  ],
  validate: ({ spec }) => duplicateNames(spec?.listeners ?? []),
})

function duplicateNames(listeners: readonly GatewayListener[]): FieldError[] {
  const names = listeners.map(({ name }) => name)
  return names.flatMap((name, index) =>
    names.indexOf(name) < index
      ? [{ path: `spec.listeners[${index}].name`, message: `Duplicate value: ${JSON.stringify(name)}` }]
      : [],
  )
}
