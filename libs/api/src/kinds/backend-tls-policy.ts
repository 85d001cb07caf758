import type { Condition } from '../condition.ts'
import {
  areUnique,
  GROUP_NAME,
  HOSTNAME,
  KIND_NAME,
  LOCAL_OBJECT_REF,
  type LocalObjectReference,
  OBJECT_NAME,
  OPTIONS,
  type ParentReference,
  PRECISE_HOSTNAME,
  SECTION_NAME,
} from '../gateway-api.ts'
import { defineKind } from '../kind.ts'
import type { Resource } from '../resource.ts'
import { array, object, oneOf, STATUS, string, withRules } from '../schema.ts'

export interface BackendTlsTarget extends LocalObjectReference {
  /** A port name of the service. */
  readonly sectionName?: string
}

export interface SubjectAltName {
  readonly type: 'Hostname' | 'URI'
  readonly hostname?: string
  readonly uri?: string
}

export interface BackendTlsValidation {
  /** ConfigMaps with `ca.crt`; this or `wellKnownCACertificates`. */
  readonly caCertificateRefs?: readonly LocalObjectReference[]
  /** `System`: the roots of the machine. */
  readonly wellKnownCACertificates?: string
  /** SNI, and the name that the certificate must carry unless `subjectAltNames` are given. */
  readonly hostname: string
  readonly subjectAltNames?: readonly SubjectAltName[]
}

export interface BackendTlsPolicySpec {
  readonly targetRefs: readonly BackendTlsTarget[]
  readonly validation: BackendTlsValidation
  readonly options?: Readonly<Record<string, string>>
}

export interface PolicyStatus {
  readonly ancestors?: readonly {
    readonly ancestorRef: ParentReference
    readonly controllerName: string
    readonly conditions?: readonly Condition[]
  }[]
}

export type BackendTlsPolicy = Resource<BackendTlsPolicySpec, PolicyStatus>

const TARGETS = withRules<readonly BackendTlsTarget[]>(
  array(
    object(
      { group: GROUP_NAME, kind: KIND_NAME, name: OBJECT_NAME, sectionName: SECTION_NAME },
      { required: ['group', 'kind', 'name'] },
    ),
    { minItems: 1, maxItems: 16 },
  ),
  {
    'sectionName must be specified when targetRefs includes 2 or more references to the same target': (refs) =>
      refs.every((one) =>
        refs.every(
          (other) =>
            one.group !== other.group ||
            one.kind !== other.kind ||
            one.name !== other.name ||
            !one.sectionName === !other.sectionName,
        ),
      ),
    'sectionName must be unique when targetRefs includes 2 or more references to the same target': (refs) =>
      areUnique(refs, ({ group, kind, name, sectionName = '' }) => [group, kind, name, sectionName]),
  },
)

const SUBJECT_ALT_NAME = withRules<SubjectAltName>(
  object(
    {
      hostname: HOSTNAME,
      type: oneOf('Hostname', 'URI'),
      uri: string({
        minLength: 1,
        maxLength: 253,
        pattern: '^(([^:/?#]+):)(//([^/?#]*))([^?#]*)(\\?([^#]*))?(#(.*))?',
      }),
    },
    { required: ['type'] },
  ),
  {
    'SubjectAltName element must contain Hostname, if Type is set to Hostname': ({ type, hostname }) =>
      type !== 'Hostname' || hostname !== undefined,
    'SubjectAltName element must not contain Hostname, if Type is not set to Hostname': ({ type, hostname }) =>
      type === 'Hostname' || hostname === undefined,
    'SubjectAltName element must contain URI, if Type is set to URI': ({ type, uri }) =>
      type !== 'URI' || uri !== undefined,
    'SubjectAltName element must not contain URI, if Type is not set to URI': ({ type, uri }) =>
      type === 'URI' || uri === undefined,
  },
)

const VALIDATION = withRules<BackendTlsValidation>(
  object(
    {
      caCertificateRefs: array(LOCAL_OBJECT_REF, { maxItems: 8 }),
      hostname: PRECISE_HOSTNAME,
      subjectAltNames: array(SUBJECT_ALT_NAME, { maxItems: 5 }),
      wellKnownCACertificates: string({
        minLength: 1,
        maxLength: 253,
        pattern:
          '^(System|([a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/([A-Za-z0-9][-A-Za-z0-9_.]{0,61})?[A-Za-z0-9]))$',
      }),
    },
    { required: ['hostname'] },
  ),
  {
    'must not contain both CACertificateRefs and WellKnownCACertificates': (validation) =>
      !validation.caCertificateRefs?.length || !validation.wellKnownCACertificates,
    'must specify either CACertificateRefs or WellKnownCACertificates': (validation) =>
      !!validation.caCertificateRefs?.length || !!validation.wellKnownCACertificates,
  },
)

/** How a gateway or waypoint speaks TLS to a service. */
export default defineKind<BackendTlsPolicy>({
  group: 'gateway.networking.k8s.io',
  version: 'v1',
  otherVersions: ['v1alpha3'],
  kind: 'BackendTLSPolicy',
  plural: 'backendtlspolicies',
  shortNames: ['btlspolicy'],
  categories: ['gateway-api'],
  scope: 'Namespaced',
  schema: object(
    {
      spec: object(
        { options: OPTIONS, targetRefs: TARGETS, validation: VALIDATION },
        { required: ['targetRefs', 'validation'] },
      ),
      status: STATUS,
    },
    { required: ['spec'] },
  ),
  columns: [],
})
