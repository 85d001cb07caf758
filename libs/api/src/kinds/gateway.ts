import { isIP } from 'node:net'
import { conditionCell } from '../cells.ts'
import type { Condition } from '../condition.ts'
import {
  areUnique,
  fromNamespaces,
  LOCAL_OBJECT_REF,
  type LocalObjectReference,
  type NamespacedObjectReference,
  OBJECT_NAME,
  OBJECT_REF,
  SECRET_REF,
  type SecretObjectReference,
} from '../gateway-api.ts'
import { type GatewayListener, LISTENERS } from '../gateway-listeners.ts'
import { defineKind, type JsonSchema } from '../kind.ts'
import type { Resource } from '../resource.ts'
import { array, map, object, oneOf, PORT, STATUS, string, withRules } from '../schema.ts'
import type { LabelSelector } from '../selector.ts'

export interface GatewayAddress {
  /** @default 'IPAddress' */
  readonly type?: string
  readonly value?: string
}

/** How certificates of clients are checked. */
export interface FrontendTls {
  readonly validation?: {
    readonly caCertificateRefs: readonly NamespacedObjectReference[]
    /** @default 'AllowValidOnly' */
    readonly mode?: 'AllowValidOnly' | 'AllowInsecureFallback'
  }
}

export interface GatewaySpec {
  /** `istio-waypoint` for a waypoint. */
  readonly gatewayClassName: string
  readonly listeners: readonly GatewayListener[]
  readonly addresses?: readonly GatewayAddress[]
  readonly infrastructure?: {
    readonly labels?: Readonly<Record<string, string>>
    readonly annotations?: Readonly<Record<string, string>>
    readonly parametersRef?: LocalObjectReference
  }
  /** From where ListenerSets may add listeners. @default none */
  readonly allowedListeners?: {
    readonly namespaces?: { readonly from?: 'All' | 'Selector' | 'Same' | 'None'; readonly selector?: LabelSelector }
  }
  readonly defaultScope?: 'All' | 'None'
  readonly tls?: {
    readonly backend?: { readonly clientCertificateRef?: SecretObjectReference }
    readonly frontend?: {
      readonly default: FrontendTls
      readonly perPort?: readonly { readonly port: number; readonly tls: FrontendTls }[]
    }
  }
}

export interface GatewayStatus {
  /** ListenerSets of which listeners were taken. */
  readonly attachedListenerSets?: number
  readonly addresses?: readonly { readonly type?: string; readonly value: string }[]
  readonly conditions?: readonly Condition[]
  readonly listeners?: readonly {
    readonly name: string
    readonly attachedRoutes?: number
    readonly supportedKinds?: readonly { readonly group?: string; readonly kind: string }[]
    readonly conditions?: readonly Condition[]
  }[]
}

/** The Gateway API's Gateway; with the class `istio-waypoint`, a waypoint. */
export type Gateway = Resource<GatewaySpec, GatewayStatus>

const HOSTNAME = /^(\*\.)?[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/
const isOfType =
  (wanted: string) =>
  ({ type = 'IPAddress', value }: GatewayAddress) =>
    type === wanted && value !== undefined

const ADDRESSES = withRules<readonly GatewayAddress[]>(
  array(
    withRules<GatewayAddress>(
      object({
        type: string({ minLength: 1, maxLength: 253, default: 'IPAddress' }),
        value: string({ maxLength: 253 }),
      }),
      {
        'value must be an IPv4 or IPv6 address': ({ type = 'IPAddress', value }) =>
          type !== 'IPAddress' || value === undefined || isIP(value) !== 0,
        'Hostname value must be empty or contain only valid characters (matching ^(\\*\\.)?[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$)':
          ({ type, value }) => type !== 'Hostname' || value === undefined || HOSTNAME.test(value),
      },
    ),
    { maxItems: 16 },
  ),
  {
    'IPAddress values must be unique': (all) => areUnique(all.filter(isOfType('IPAddress')), ({ value }) => value),
    'Hostname values must be unique': (all) => areUnique(all.filter(isOfType('Hostname')), ({ value }) => value),
  },
)

const QUALIFIED_NAME =
  /^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*\/)?([A-Za-z0-9][-A-Za-z0-9_.]{0,61})?[A-Za-z0-9]$/
const PREFIX_LENGTH_MAX = 252

/** What the objects that a Gateway stands for get besides. */
function metadata(what: 'Label' | 'Annotation', values: JsonSchema, maxProperties: number): JsonSchema {
  return withRules<Readonly<Record<string, string>>>(
    { ...map(values), maxProperties },
    {
      [`${what} keys must be in the form of an optional DNS subdomain prefix followed by a required name segment of up to 63 characters.`]:
        (entries) => Object.keys(entries).every((key) => QUALIFIED_NAME.test(key)),
      [`If specified, the ${what.toLowerCase()} key's prefix must be a DNS subdomain not longer than 253 characters in total.`]:
        (entries) => Object.keys(entries).every((key) => key.split('/')[0]!.length <= PREFIX_LENGTH_MAX),
    },
  )
}

const INFRASTRUCTURE = object({
  annotations: metadata('Annotation', string({ maxLength: 4096 }), 16),
  labels: metadata('Label', string({ maxLength: 63, pattern: '^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$' }), 8),
  parametersRef: LOCAL_OBJECT_REF,
})

const FRONTEND_TLS = object({
  validation: object(
    {
      caCertificateRefs: array(OBJECT_REF, { minItems: 1, maxItems: 16 }),
      mode: { ...oneOf('AllowValidOnly', 'AllowInsecureFallback'), default: 'AllowValidOnly' },
    },
    { required: ['caCertificateRefs'] },
  ),
})

const TLS = object({
  backend: object({ clientCertificateRef: SECRET_REF }),
  frontend: object(
    {
      default: FRONTEND_TLS,
      perPort: array(object({ port: PORT, tls: FRONTEND_TLS }, { required: ['port', 'tls'] }), {
        maxItems: 64,
        'x-kubernetes-list-type': 'map',
        'x-kubernetes-list-map-keys': ['port'],
      }),
    },
    { required: ['default'] },
  ),
})

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
          addresses: ADDRESSES,
          allowedListeners: object({ namespaces: fromNamespaces(['All', 'Selector', 'Same', 'None'], 'None') }),
          defaultScope: oneOf('All', 'None'),
          gatewayClassName: OBJECT_NAME,
          infrastructure: INFRASTRUCTURE,
          listeners: LISTENERS,
          tls: TLS,
        },
        { required: ['gatewayClassName', 'listeners'] },
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
})
