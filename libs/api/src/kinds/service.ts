import { defineKind, type FieldError } from '../kind.ts'
import type { Resource } from '../resource.ts'
import {
  array,
  boolean,
  INT_OR_STRING,
  integer,
  object,
  oneOf,
  PORT,
  STATUS,
  STRING_MAP,
  STRINGS,
  string,
} from '../schema.ts'
import { formatLabelSelector } from '../selector.ts'

export interface ServicePort {
  readonly name?: string
  readonly port: number
  /** A number, or the name of a container's port. */
  readonly targetPort?: number | string
  readonly nodePort?: number
  readonly protocol?: 'TCP' | 'UDP' | 'SCTP'
  readonly appProtocol?: string
}

export interface ServiceSpec {
  readonly type?: 'ClusterIP' | 'NodePort' | 'LoadBalancer' | 'ExternalName'
  /** `None` for a headless service. */
  readonly clusterIP?: string
  readonly clusterIPs?: readonly string[]
  readonly selector?: Readonly<Record<string, string>>
  readonly ports?: readonly ServicePort[]
  readonly externalName?: string
  readonly publishNotReadyAddresses?: boolean
  readonly trafficDistribution?: string
  readonly internalTrafficPolicy?: 'Cluster' | 'Local'
  readonly [field: string]: unknown
}

export type Service = Resource<ServiceSpec>

export default defineKind<Service>({
  group: '',
  version: 'v1',
  kind: 'Service',
  plural: 'services',
  shortNames: ['svc'],
  categories: ['all'],
  scope: 'Namespaced',
  schema: object(
    {
      spec: object(
        {
          type: { ...oneOf('ClusterIP', 'NodePort', 'LoadBalancer', 'ExternalName'), default: 'ClusterIP' },
          clusterIP: string(),
          clusterIPs: STRINGS,
          selector: STRING_MAP,
          externalName: string(),
          publishNotReadyAddresses: boolean(),
          trafficDistribution: string(),
          sessionAffinity: string({ default: 'None' }),
          internalTrafficPolicy: { ...oneOf('Cluster', 'Local'), default: 'Cluster' },
          ports: array(
            object(
              {
                name: string({ maxLength: 63, pattern: '^[a-z0-9]([-a-z0-9]*[a-z0-9])?$' }),
                port: PORT,
                targetPort: INT_OR_STRING,
                nodePort: integer({ minimum: 0, maximum: 65_535 }),
                protocol: { ...oneOf('TCP', 'UDP', 'SCTP'), default: 'TCP' },
                appProtocol: string(),
              },
              { required: ['port'] },
            ),
          ),
        },
        { open: true },
      ),
      status: STATUS,
    },
    { required: ['spec'] },
  ),
  columns: [
    { title: 'TYPE', value: ({ spec }) => spec?.type ?? 'ClusterIP' },
    { title: 'CLUSTER-IP', value: ({ spec }) => spec?.clusterIP || '<none>' },
    { title: 'EXTERNAL-IP', value: ({ spec }) => spec?.externalName ?? '<none>' },
    { title: 'PORT(S)', value: portsText },
    { title: 'SELECTOR', wide: true, value: ({ spec }) => formatLabelSelector({ matchLabels: spec?.selector ?? {} }) },
  ],
  withDefaults(service) {
    const ports = service.spec?.ports
    if (!ports?.some(({ targetPort }) => targetPort === undefined)) return service
    const filled = ports.map((port) => ({ ...port, targetPort: port.targetPort ?? port.port }))
    return { ...service, spec: { ...service.spec, ports: filled } }
  },
  validate: ({ spec = {} }) => [...portNames(spec.ports ?? []), ...portNumbers(spec.ports ?? []), ...typeRules(spec)],
})

/** Several ports must be told apart by name. */
function portNames(ports: readonly ServicePort[]): FieldError[] {
  if (ports.length < 2) return []
  return ports.flatMap(({ name }, index) => {
    const path = `spec.ports[${index}].name`
    if (!name) return [{ path, message: 'Required value' }]
    const first = ports.findIndex((port) => port.name === name)
    return first < index ? [{ path, message: `Duplicate value: ${JSON.stringify(name)}` }] : []
  })
}

function portNumbers(ports: readonly ServicePort[]): FieldError[] {
  const keys = ports.map(({ port, protocol = 'TCP' }) => `${port}/${protocol}`)
  return keys.flatMap((key, index) =>
    keys.indexOf(key) < index ? [{ path: `spec.ports[${index}]`, message: `Duplicate value: "${key}"` }] : [],
  )
}

function typeRules(spec: ServiceSpec): FieldError[] {
  if (spec.type === 'ExternalName') {
    return spec.externalName ? [] : [{ path: 'spec.externalName', message: 'Required value' }]
  }
  const headless = spec.clusterIP === 'None'
  return headless || (spec.ports?.length ?? 0) > 0 ? [] : [{ path: 'spec.ports', message: 'Required value' }]
}

function portsText({ spec }: Service): string {
  const ports = (spec?.ports ?? []).map(
    ({ port, nodePort, protocol = 'TCP' }) => `${port}${nodePort ? `:${nodePort}` : ''}/${protocol}`,
  )
  return ports.length > 0 ? ports.join(',') : '<none>'
}
