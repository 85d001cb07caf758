import {
  areUnique,
  fromNamespaces,
  GATEWAY_GROUP,
  GROUP_NAME,
  HOSTNAME,
  KIND_NAME,
  OPTIONS,
  SECRET_REF,
  SECTION_NAME,
  type SecretObjectReference,
} from './gateway-api.ts'
import { array, object, oneOf, PORT, string, withRules } from './schema.ts'
import type { LabelSelector } from './selector.ts'

export interface GatewayListener {
  /** Unique within its Gateway; what `sectionName` of a route names. */
  readonly name: string
  readonly port: number
  /** `HTTP`, `HTTPS`, `TLS`, `TCP`, `UDP`; `HBONE` for a waypoint's. */
  readonly protocol: string
  /** May start with `*.`; absent: every host. */
  readonly hostname?: string
  readonly tls?: ListenerTls
  readonly allowedRoutes?: AllowedRoutes
}

export interface ListenerTls {
  /** @default 'Terminate' */
  readonly mode?: 'Terminate' | 'Passthrough'
  readonly certificateRefs?: readonly SecretObjectReference[]
  readonly options?: Readonly<Record<string, string>>
}

export interface AllowedRoutes {
  /** @default { from: 'Same' } */
  readonly namespaces?: {
    readonly from?: 'All' | 'Selector' | 'Same'
    readonly selector?: LabelSelector
  }
  /** Absent: what the protocol allows. */
  readonly kinds?: readonly { readonly group?: string; readonly kind: string }[]
}

const TLS = withRules<ListenerTls>(
  object({
    certificateRefs: array(SECRET_REF, { maxItems: 64 }),
    mode: { ...oneOf('Terminate', 'Passthrough'), default: 'Terminate' },
    options: OPTIONS,
  }),
  {
    'certificateRefs or options must be specified when mode is Terminate': (tls) =>
      (tls.mode ?? 'Terminate') !== 'Terminate' ||
      (tls.certificateRefs ?? []).length > 0 ||
      Object.keys(tls.options ?? {}).length > 0,
  },
)

const ALLOWED_ROUTES = object(
  {
    kinds: array(
      object({ group: { ...GROUP_NAME, default: GATEWAY_GROUP }, kind: KIND_NAME }, { required: ['kind'] }),
      { maxItems: 8 },
    ),
    namespaces: fromNamespaces(['All', 'Selector', 'Same'], 'Same'),
  },
  { default: { namespaces: { from: 'Same' } } },
)

/** Of a Gateway and of a ListenerSet. */
export const LISTENERS = withRules<readonly GatewayListener[]>(
  array(
    object(
      {
        allowedRoutes: ALLOWED_ROUTES,
        hostname: HOSTNAME,
        name: SECTION_NAME,
        port: PORT,
        protocol: string({
          minLength: 1,
          maxLength: 255,
          pattern:
            '^[a-zA-Z0-9]([-a-zA-Z0-9]*[a-zA-Z0-9])?$|[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*\\/[A-Za-z0-9]+$',
        }),
        tls: TLS,
      },
      { required: ['name', 'port', 'protocol'] },
    ),
    {
      minItems: 1,
      maxItems: 64,
      'x-kubernetes-list-type': 'map',
      'x-kubernetes-list-map-keys': ['name'],
    },
  ),
  {
    "tls must not be specified for protocols ['HTTP', 'TCP', 'UDP']": every(
      ({ protocol, tls }) => !['HTTP', 'TCP', 'UDP'].includes(protocol) || !tls,
    ),
    'tls mode must be Terminate for protocol HTTPS': every(
      ({ protocol, tls }) => protocol !== 'HTTPS' || !tls || (tls.mode ?? 'Terminate') === 'Terminate',
    ),
    'tls mode must be set for protocol TLS': every(({ protocol, tls }) => protocol !== 'TLS' || tls !== undefined),
    "hostname must not be specified for protocols ['TCP', 'UDP']": every(
      ({ protocol, hostname }) => !['TCP', 'UDP'].includes(protocol) || !hostname,
    ),
    'Combination of port, protocol and hostname must be unique for each listener': (listeners) =>
      areUnique(listeners, ({ port, protocol, hostname }) => [port, protocol, hostname]),
  },
)

function every(holds: (listener: GatewayListener) => boolean): (listeners: readonly GatewayListener[]) => boolean {
  return (listeners) => listeners.every(holds)
}
