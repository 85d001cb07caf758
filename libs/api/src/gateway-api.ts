import { parseDuration } from '@ambient-lab/std'
import type { Condition } from './condition.ts'
import type { JsonSchema } from './kind.ts'
import { array, integer, LABEL_SELECTOR, map, object, oneOf, PORT, string, withRules } from './schema.ts'

/**
 * What the kinds of the Gateway API share: names, references, listeners, durations. Bounds, patterns, defaults and rules
 * are those of its CustomResourceDefinitions (v1, with the experimental channel's fields).
 */

const LABEL = '[a-z0-9]([-a-z0-9]*[a-z0-9])?'
const SUBDOMAIN = `${LABEL}(\\.${LABEL})*`

export const GATEWAY_GROUP = 'gateway.networking.k8s.io'
export const GROUP_NAME = string({ maxLength: 253, pattern: `^$|^${SUBDOMAIN}$` })
export const KIND_NAME = string({ minLength: 1, maxLength: 63, pattern: '^[a-zA-Z]([-a-zA-Z0-9]*[a-zA-Z0-9])?$' })
export const OBJECT_NAME = string({ minLength: 1, maxLength: 253 })
export const NAMESPACE_NAME = string({ minLength: 1, maxLength: 63, pattern: `^${LABEL}$` })
export const SECTION_NAME = string({ minLength: 1, maxLength: 253, pattern: `^${SUBDOMAIN}$` })
/** May start with `*.`. */
export const HOSTNAME = string({ minLength: 1, maxLength: 253, pattern: `^(\\*\\.)?${SUBDOMAIN}$` })
export const PRECISE_HOSTNAME = string({ minLength: 1, maxLength: 253, pattern: `^${SUBDOMAIN}$` })
export const HEADER_NAME = string({ minLength: 1, maxLength: 256, pattern: "^[A-Za-z0-9!#$%&'*+\\-.^_\\x60|~]+$" })
export const HEADER_VALUE = string({ minLength: 1, maxLength: 4096, pattern: '^[!-~]+([\\t ]?[!-~]+)*$' })
const DURATION = '^([0-9]{1,5}(h|m|s|ms)){1,4}$'
/** GEP-2257: whole numbers of hours, minutes, seconds and milliseconds, each at most five digits. */
export const GATEWAY_DURATION = string({ pattern: DURATION })
/** Implementation-specific settings. */
export const OPTIONS: JsonSchema = { ...map(string({ maxLength: 4096 })), maxProperties: 16 }
export const CONTROLLER_NAME = string({
  minLength: 1,
  maxLength: 253,
  pattern: `^${SUBDOMAIN}\\/[A-Za-z0-9\\/\\-._~%!$&'()*+,;=:]+$`,
})
/** Whether Gateways that are marked as default take the route too. */
export const USE_DEFAULT_GATEWAYS = oneOf('All', 'None')

/** @returns milliseconds, or undefined when the text is no duration of the Gateway API (GEP-2257) */
export function parseGatewayDuration(text: string): number | undefined {
  return new RegExp(DURATION).test(text) ? parseDuration(text) : undefined
}

/** What a route attaches to: a Gateway, a ListenerSet, or, in a mesh, a Service (its parent then has group `''`). */
export interface ParentReference {
  /** @default 'gateway.networking.k8s.io' */
  readonly group?: string
  /** @default 'Gateway' */
  readonly kind?: string
  readonly name: string
  /** @default the route's own */
  readonly namespace?: string
  /** One listener; a service's port name. */
  readonly sectionName?: string
  readonly port?: number
}

/** Where a route sends to. */
export interface BackendObjectReference {
  /** @default '' */
  readonly group?: string
  /** @default 'Service' */
  readonly kind?: string
  readonly name: string
  /** @default the referrer's own; another needs a ReferenceGrant there */
  readonly namespace?: string
  /** Required for a Service. */
  readonly port?: number
}

export interface BackendRef extends BackendObjectReference {
  /** Share of this among its neighbours; 0 takes nothing. @default 1 */
  readonly weight?: number
}

/** A reference to a Secret, unless it says otherwise. */
export interface SecretObjectReference {
  /** @default '' */
  readonly group?: string
  /** @default 'Secret' */
  readonly kind?: string
  readonly name: string
  readonly namespace?: string
}

export interface NamespacedObjectReference {
  readonly group: string
  readonly kind: string
  readonly name: string
  readonly namespace?: string
}

export interface LocalObjectReference {
  readonly group: string
  readonly kind: string
  readonly name: string
}

export interface RouteStatus {
  readonly parents?: readonly {
    readonly parentRef: ParentReference
    readonly controllerName: string
    readonly conditions?: readonly Condition[]
  }[]
}

/** Holds for every item when no earlier one has the same identity. */
export function areUnique<T>(items: readonly T[], identityOf: (item: T) => unknown): boolean {
  return new Set(items.map((item) => JSON.stringify(identityOf(item)))).size === items.length
}

const parentOf = ({ group = GATEWAY_GROUP, kind = 'Gateway', name, namespace = '' }: ParentReference) => [
  ...[group, kind, name, namespace],
]

export const PARENT_REFS = withRules<readonly ParentReference[]>(
  array(
    object(
      {
        group: { ...GROUP_NAME, default: GATEWAY_GROUP },
        kind: { ...KIND_NAME, default: 'Gateway' },
        name: OBJECT_NAME,
        namespace: NAMESPACE_NAME,
        port: PORT,
        sectionName: SECTION_NAME,
      },
      { required: ['name'] },
    ),
    { maxItems: 32 },
  ),
  {
    'sectionName or port must be specified when parentRefs includes 2 or more references to the same parent': (refs) =>
      refs.every((one) =>
        refs.every(
          (other) =>
            parentOf(one).join('/') !== parentOf(other).join('/') ||
            (!one.sectionName === !other.sectionName && !one.port === !other.port),
        ),
      ),
    'sectionName or port must be unique when parentRefs includes 2 or more references to the same parent': (refs) =>
      areUnique(refs, (ref) => [...parentOf(ref), ref.sectionName ?? '', ref.port ?? 0]),
  },
)

const BACKEND_FIELDS = {
  group: { ...GROUP_NAME, default: '' },
  kind: { ...KIND_NAME, default: 'Service' },
  name: OBJECT_NAME,
  namespace: NAMESPACE_NAME,
  port: PORT,
}

const WEIGHT = integer({ minimum: 0, maximum: 1_000_000, default: 1 })

function withServicePort(schema: JsonSchema): JsonSchema {
  return withRules<BackendObjectReference>(schema, {
    'Must have port for Service reference': ({ group = '', kind = 'Service', port }) =>
      group !== '' || kind !== 'Service' || port !== undefined,
  })
}

export const BACKEND_OBJECT_REF = withServicePort(object(BACKEND_FIELDS, { required: ['name'] }))

/** Up to 16 weighted backends, each with the fields given besides. */
export function backendRefs(more: Readonly<Record<string, JsonSchema>> = {}, minItems = 0): JsonSchema {
  const backend = object({ ...BACKEND_FIELDS, weight: WEIGHT, ...more }, { required: ['name'] })
  return array(withServicePort(backend), { minItems, maxItems: 16 })
}

export const SECRET_REF = object(
  {
    group: { ...GROUP_NAME, default: '' },
    kind: { ...KIND_NAME, default: 'Secret' },
    name: OBJECT_NAME,
    namespace: NAMESPACE_NAME,
  },
  { required: ['name'] },
)

export const LOCAL_OBJECT_REF = object(
  { group: GROUP_NAME, kind: KIND_NAME, name: OBJECT_NAME },
  { required: ['group', 'kind', 'name'] },
)

export const OBJECT_REF = object(
  { group: GROUP_NAME, kind: KIND_NAME, name: OBJECT_NAME, namespace: NAMESPACE_NAME },
  { required: ['group', 'kind', 'name'] },
)

/** Which namespaces something is open to. */
export function fromNamespaces(from: readonly string[], standard: string): JsonSchema {
  return object(
    { from: { ...oneOf(...from), default: standard }, selector: LABEL_SELECTOR },
    { default: { from: standard } },
  )
}

export interface SessionPersistence {
  /** @default 'Cookie' */
  readonly type?: 'Cookie' | 'Header'
  readonly absoluteTimeout?: string
  readonly cookie?: {
    readonly name?: string
    /** @default 'Session' */
    readonly lifetimeType?: 'Permanent' | 'Session'
    /** @default '/' */
    readonly path?: string
  }
  readonly header?: { readonly name: string }
}

export const SESSION_PERSISTENCE = withRules<SessionPersistence>(
  object({
    absoluteTimeout: GATEWAY_DURATION,
    cookie: object({
      lifetimeType: { ...oneOf('Permanent', 'Session'), default: 'Session' },
      name: HEADER_NAME,
      path: string({ maxLength: 1024, default: '/' }),
    }),
    header: object({ name: HEADER_NAME }, { required: ['name'] }),
    type: { ...oneOf('Cookie', 'Header'), default: 'Cookie' },
  }),
  {
    'AbsoluteTimeout must be specified when cookie lifetimeType is Permanent': ({ cookie, absoluteTimeout }) =>
      cookie?.lifetimeType !== 'Permanent' || absoluteTimeout !== undefined,
    'cookie must be nil if type is not Cookie': ({ cookie, type = 'Cookie' }) => !cookie || type === 'Cookie',
    'cookie must be specified for Cookie type': ({ cookie, type = 'Cookie' }) =>
      type !== 'Cookie' || cookie !== undefined,
    'header must be nil if type is not Header': ({ header, type }) => !header || type === 'Header',
    'header must be specified for Header type': ({ header, type }) => type !== 'Header' || header !== undefined,
  },
)
