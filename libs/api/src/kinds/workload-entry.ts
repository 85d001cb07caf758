import { PORT_NUMBER, UINT32 } from '../istio-fields.ts'
import { defineKind, type JsonSchema } from '../kind.ts'
import type { Resource } from '../resource.ts'
import { map, object, STATUS, string, withRules } from '../schema.ts'

/** A workload outside the cluster; inline in a ServiceEntry's endpoints too. */
export interface WorkloadEntrySpec {
  /** An IP, a name to be resolved by DNS, or `unix://` and a path. */
  readonly address?: string
  /** Port name → number. */
  readonly ports?: Readonly<Record<string, number>>
  readonly labels?: Readonly<Record<string, string>>
  readonly network?: string
  /** `region/zone/subzone` */
  readonly locality?: string
  readonly weight?: number
  readonly serviceAccount?: string
}

export type WorkloadEntry = Resource<WorkloadEntrySpec>

const isSocketPath = (address: string) => address.startsWith('unix://')

const ADDRESS = withRules<string>(string({ maxLength: 256 }), {
  'UDS must be an absolute path or abstract socket': (address) =>
    !isSocketPath(address) || /^unix:\/\/[/@]/.test(address),
  'UDS may not be a dir': (address) => !isSocketPath(address) || !address.endsWith('/'),
})

const PORT_NAME = /^[a-zA-Z0-9](?:[-a-zA-Z0-9]*[a-zA-Z0-9])?$/
const PORT_NAME_LENGTH_MAX = 62

const PORTS = withRules<Readonly<Record<string, number>>>(
  { ...map(PORT_NUMBER), maxProperties: 128 },
  {
    'port name must be valid': (ports) =>
      Object.keys(ports).every((name) => name.length <= PORT_NAME_LENGTH_MAX && PORT_NAME.test(name)),
  },
)

/** A WorkloadGroup's template: its address comes later. */
export const WORKLOAD_TEMPLATE: JsonSchema = withRules<WorkloadEntrySpec>(
  object({
    address: ADDRESS,
    labels: { ...map(string()), maxProperties: 256 },
    locality: string({ maxLength: 2048 }),
    network: string({ maxLength: 2048 }),
    ports: PORTS,
    serviceAccount: string({ maxLength: 253 }),
    weight: UINT32,
  }),
  { 'UDS may not include ports': ({ address = '', ports }) => !isSocketPath(address) || ports === undefined },
)

export const WORKLOAD_ENTRY: JsonSchema = withRules<WorkloadEntrySpec>(WORKLOAD_TEMPLATE, {
  'Address is required': ({ address, network }) => address !== undefined || network !== undefined,
})

export default defineKind<WorkloadEntry>({
  group: 'networking.istio.io',
  version: 'v1',
  otherVersions: ['v1beta1', 'v1alpha3'],
  kind: 'WorkloadEntry',
  plural: 'workloadentries',
  shortNames: ['we'],
  categories: ['istio-io', 'networking-istio-io'],
  scope: 'Namespaced',
  schema: object({ spec: WORKLOAD_ENTRY, status: STATUS }, { required: ['spec'] }),
  columns: [{ title: 'ADDRESS', value: ({ spec }) => spec?.address ?? '' }],
})
