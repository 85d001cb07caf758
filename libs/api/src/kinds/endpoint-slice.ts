import { defineKind } from '../kind.ts'
import type { Resource } from '../resource.ts'
import { array, boolean, object, oneOf, PORT, STRING_MAP, STRINGS, string } from '../schema.ts'
import type { ObjectReference } from './event.ts'

export interface Endpoint {
  readonly addresses: readonly string[]
  readonly conditions?: { readonly ready?: boolean; readonly serving?: boolean; readonly terminating?: boolean }
  readonly hostname?: string
  readonly nodeName?: string
  readonly zone?: string
  readonly targetRef?: ObjectReference
}

export interface EndpointSlice extends Resource {
  readonly addressType: 'IPv4' | 'IPv6' | 'FQDN'
  readonly endpoints: readonly Endpoint[]
  readonly ports?: readonly {
    readonly name?: string
    readonly port?: number
    readonly protocol?: 'TCP' | 'UDP' | 'SCTP'
    readonly appProtocol?: string
  }[]
}

/** Label: the Service whose endpoints a slice lists. */
export const SERVICE_NAME_LABEL = 'kubernetes.io/service-name'

const SHOWN_MAX = 3

export default defineKind<EndpointSlice>({
  group: 'discovery.k8s.io',
  version: 'v1',
  kind: 'EndpointSlice',
  plural: 'endpointslices',
  scope: 'Namespaced',
  /** Kubernetes takes a slice that lists none yet. */
  withDefaults: (slice) => (slice.endpoints ? slice : { ...slice, endpoints: [] }),
  statusSubresource: false,
  schema: object(
    {
      addressType: oneOf('IPv4', 'IPv6', 'FQDN'),
      endpoints: array(
        object(
          {
            addresses: STRINGS,
            conditions: object({ ready: boolean(), serving: boolean(), terminating: boolean() }),
            hostname: string(),
            nodeName: string(),
            zone: string(),
            deprecatedTopology: STRING_MAP,
          },
          { required: ['addresses'], open: true },
        ),
        { maxItems: 1000 },
      ),
      ports: array(
        object({
          name: string(),
          port: PORT,
          protocol: { ...oneOf('TCP', 'UDP', 'SCTP'), default: 'TCP' },
          appProtocol: string(),
        }),
      ),
    },
    { required: ['addressType'] },
  ),
  columns: [
    { title: 'ADDRESSTYPE', value: ({ addressType }) => addressType ?? '' },
    {
      title: 'PORTS',
      value: ({ ports }) =>
        shorten(
          (ports ?? []).map(({ port }) => String(port ?? '*')),
          '<unset>',
        ),
    },
    {
      title: 'ENDPOINTS',
      value: ({ endpoints }) =>
        shorten(
          (endpoints ?? []).flatMap(({ addresses }) => addresses),
          '<unset>',
        ),
    },
  ],
})

function shorten(values: readonly string[], none: string): string {
  if (values.length === 0) return none
  const hidden = values.length - SHOWN_MAX
  return `${values.slice(0, SHOWN_MAX).join(',')}${hidden > 0 ? ` + ${hidden} more...` : ''}`
}
