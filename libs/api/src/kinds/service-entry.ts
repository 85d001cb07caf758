import { isIP } from 'node:net'
import { listCell } from '../cells.ts'
import { areUnique } from '../gateway-api.ts'
import { NETWORKING_WORKLOAD_SELECTOR, type NetworkingWorkloadSelector, PORT_NUMBER } from '../istio-fields.ts'
import { isWildcardDomain } from '../istio-names.ts'
import { defineKind } from '../kind.ts'
import type { Resource } from '../resource.ts'
import { array, object, oneOf, STATUS, STRINGS, string, withRules } from '../schema.ts'
import { WORKLOAD_ENTRY, type WorkloadEntrySpec } from './workload-entry.ts'

export interface ServiceEntryPort {
  readonly number: number
  readonly name?: string
  readonly protocol?: string
  readonly targetPort?: number
}

export interface ServiceEntrySpec {
  readonly hosts?: readonly string[]
  readonly addresses?: readonly string[]
  readonly ports?: readonly ServiceEntryPort[]
  readonly location?: 'MESH_EXTERNAL' | 'MESH_INTERNAL'
  readonly resolution?: 'NONE' | 'STATIC' | 'DNS' | 'DNS_ROUND_ROBIN' | 'DYNAMIC_DNS'
  readonly endpoints?: readonly WorkloadEntrySpec[]
  readonly workloadSelector?: NetworkingWorkloadSelector
  readonly exportTo?: readonly string[]
  readonly subjectAltNames?: readonly string[]
}

export interface ServiceEntryStatus {
  /** Allocated per host from 240.240.0.0/16. */
  readonly addresses?: readonly { readonly host?: string; readonly value: string }[]
}

export type ServiceEntry = Resource<ServiceEntrySpec, ServiceEntryStatus>

const PORTS = withRules<readonly ServiceEntryPort[]>(
  array(
    object(
      {
        name: string({ maxLength: 256 }),
        number: PORT_NUMBER,
        protocol: string({ maxLength: 256 }),
        targetPort: PORT_NUMBER,
      },
      { required: ['name', 'number'] },
    ),
    { maxItems: 256, 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['name'] },
  ),
  { 'port number cannot be duplicated': (ports) => areUnique(ports, ({ number }) => number) },
)

const HOST = withRules<string>(string(), {
  'hostname cannot be wildcard': (host) => host !== '*',
  'must be a host name, which may begin with "*"': isWildcardDomain,
})

const SPEC = withRules<ServiceEntrySpec>(
  object(
    {
      addresses: array(string({ maxLength: 64 }), { maxItems: 256 }),
      endpoints: array(WORKLOAD_ENTRY, { maxItems: 4096 }),
      exportTo: STRINGS,
      hosts: array(HOST, { minItems: 1, maxItems: 256 }),
      location: oneOf('MESH_EXTERNAL', 'MESH_INTERNAL'),
      ports: PORTS,
      resolution: oneOf('NONE', 'STATIC', 'DNS', 'DNS_ROUND_ROBIN', 'DYNAMIC_DNS'),
      subjectAltNames: STRINGS,
      workloadSelector: NETWORKING_WORKLOAD_SELECTOR,
    },
    { required: ['hosts'] },
  ),
  {
    'only one of WorkloadSelector or Endpoints can be set': ({ workloadSelector, endpoints }) =>
      workloadSelector === undefined || endpoints === undefined,
    'CIDR addresses are allowed only for NONE/STATIC resolution types': ({ addresses = [], resolution = 'NONE' }) =>
      resolution === 'NONE' || resolution === 'STATIC' || addresses.every((address) => !address.includes('/')),
    'NONE mode cannot set endpoints': ({ resolution = 'NONE', endpoints }) =>
      resolution !== 'NONE' || endpoints === undefined,
    'DNS_ROUND_ROBIN mode cannot have multiple endpoints': ({ resolution, endpoints = [] }) =>
      resolution !== 'DNS_ROUND_ROBIN' || endpoints.length <= 1,
    'DYNAMIC_DNS mode cannot set endpoints': ({ resolution, endpoints }) =>
      resolution !== 'DYNAMIC_DNS' || endpoints === undefined,
    'DYNAMIC_DNS mode takes HTTP and TLS ports only': ({ resolution, ports = [] }) =>
      resolution !== 'DYNAMIC_DNS' ||
      ports.every(({ protocol = '' }) => /^(http|https|http2|grpc|tls)$/i.test(protocol)),
    'endpoint addresses must be IP addresses in STATIC mode': ({ resolution, endpoints = [] }) =>
      resolution !== 'STATIC' ||
      endpoints.every(({ address }) => address === undefined || isIP(address) !== 0 || address.startsWith('unix://')),
    'endpoint ports must be named as a port of the entry is': ({ endpoints = [], ports = [] }) =>
      endpoints.every((endpoint) =>
        Object.keys(endpoint.ports ?? {}).every((name) => ports.some((port) => port.name === name)),
      ),
    'an entry with a unix socket has exactly one port': ({ endpoints = [], ports = [] }) =>
      ports.length === 1 || endpoints.every(({ address = '' }) => !address.startsWith('unix://')),
  },
)

export default defineKind<ServiceEntry>({
  group: 'networking.istio.io',
  version: 'v1',
  otherVersions: ['v1beta1', 'v1alpha3'],
  kind: 'ServiceEntry',
  plural: 'serviceentries',
  shortNames: ['se'],
  categories: ['istio-io', 'networking-istio-io'],
  scope: 'Namespaced',
  schema: object({ spec: SPEC, status: STATUS }, { required: ['spec'] }),
  columns: [
    { title: 'HOSTS', value: ({ spec }) => listCell(spec, 'hosts') },
    { title: 'LOCATION', value: ({ spec }) => spec?.location ?? '' },
    { title: 'RESOLUTION', value: ({ spec }) => spec?.resolution ?? '' },
  ],
})
