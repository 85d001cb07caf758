import type { JsonSchema } from './kind.ts'
import type { ObjectMeta } from './resource.ts'
import { array, boolean, INT_OR_STRING, object, oneOf, PORT, STRING_MAP, STRINGS, string } from './schema.ts'

export interface ContainerPort {
  readonly name?: string
  readonly containerPort: number
  readonly protocol?: 'TCP' | 'UDP' | 'SCTP'
}

export interface EnvVar {
  readonly name: string
  readonly value?: string
  readonly valueFrom?: unknown
}

interface ProbePort {
  /** A number, or the name of one of the container's ports. */
  readonly port: number | string
}

/** The fields of a probe that the lab reads. One of the first four says how it asks. */
export interface Probe {
  readonly httpGet?: ProbePort & {
    readonly path?: string
    readonly scheme?: 'HTTP' | 'HTTPS'
    readonly httpHeaders?: readonly { readonly name: string; readonly value: string }[]
  }
  readonly tcpSocket?: ProbePort
  readonly grpc?: ProbePort
  readonly exec?: { readonly command: readonly string[] }
  readonly initialDelaySeconds?: number
  readonly periodSeconds?: number
  readonly timeoutSeconds?: number
  readonly successThreshold?: number
  readonly failureThreshold?: number
}

/** The fields of a container that the lab reads; others are kept as they came. */
export interface Container {
  readonly name: string
  readonly image?: string
  readonly command?: readonly string[]
  readonly args?: readonly string[]
  readonly env?: readonly EnvVar[]
  readonly ports?: readonly ContainerPort[]
  readonly volumeMounts?: readonly VolumeMount[]
  readonly readinessProbe?: Probe
  readonly livenessProbe?: Probe
  readonly startupProbe?: Probe
  readonly [field: string]: unknown
}

export interface VolumeMount {
  /** Of the volume. */
  readonly name: string
  readonly mountPath: string
  readonly subPath?: string
}

/** The fields of a volume that the lab reads. */
export interface Volume {
  readonly name: string
  readonly configMap?: ConfigMapSource
  readonly projected?: { readonly sources?: readonly { readonly configMap?: ConfigMapSource }[] }
  readonly [source: string]: unknown
}

export interface ConfigMapSource {
  readonly name: string
  /** Absent: every key, as a file of its name. */
  readonly items?: readonly { readonly key: string; readonly path: string }[]
  /** A pod may start without the ConfigMap, or without a key of `items`. @default false */
  readonly optional?: boolean
}

/** The fields of a pod's spec that the lab reads; others are kept as they came. */
export interface PodSpec {
  readonly containers: readonly Container[]
  readonly initContainers?: readonly Container[]
  readonly volumes?: readonly Volume[]
  readonly nodeName?: string
  readonly nodeSelector?: Readonly<Record<string, string>>
  readonly serviceAccountName?: string
  readonly restartPolicy?: 'Always' | 'OnFailure' | 'Never'
  readonly hostNetwork?: boolean
  readonly terminationGracePeriodSeconds?: number
  readonly [field: string]: unknown
}

export interface PodTemplate {
  readonly metadata?: Partial<ObjectMeta>
  readonly spec: PodSpec
}

const CONFIG_MAP_SOURCE: JsonSchema = object(
  {
    name: string(),
    items: array(object({ key: string(), path: string() }, { required: ['key', 'path'], open: true })),
    optional: boolean(),
  },
  { open: true },
)

const SECONDS: JsonSchema = { type: 'integer', minimum: 0 }
const COUNT: JsonSchema = { type: 'integer', minimum: 1 }

const PROBE: JsonSchema = object(
  {
    httpGet: object(
      {
        ...{ port: INT_OR_STRING, path: string(), scheme: oneOf('HTTP', 'HTTPS') },
        httpHeaders: array(object({ name: string(), value: string() }, { required: ['name', 'value'] })),
      },
      { required: ['port'], open: true },
    ),
    tcpSocket: object({ port: INT_OR_STRING }, { required: ['port'], open: true }),
    grpc: object({ port: { type: 'integer' } }, { required: ['port'], open: true }),
    exec: object({ command: array(string(), { minItems: 1 }) }, { required: ['command'] }),
    ...{ initialDelaySeconds: SECONDS, periodSeconds: COUNT, timeoutSeconds: COUNT },
    ...{ successThreshold: COUNT, failureThreshold: COUNT },
  },
  { open: true },
)

const VOLUME: JsonSchema = object(
  {
    name: string({ minLength: 1, maxLength: 63 }),
    configMap: CONFIG_MAP_SOURCE,
    projected: object({ sources: array(object({ configMap: CONFIG_MAP_SOURCE }, { open: true })) }, { open: true }),
  },
  { required: ['name'], open: true },
)

const CONTAINER: JsonSchema = object(
  {
    name: string({ minLength: 1, maxLength: 63, pattern: '^[a-z0-9]([-a-z0-9]*[a-z0-9])?$' }),
    image: string(),
    command: STRINGS,
    args: STRINGS,
    env: array(object({ name: string({ minLength: 1 }), value: string() }, { required: ['name'], open: true })),
    ports: array(
      object(
        {
          name: string({ maxLength: 15 }),
          containerPort: PORT,
          protocol: { ...oneOf('TCP', 'UDP', 'SCTP'), default: 'TCP' },
        },
        { required: ['containerPort'], open: true },
      ),
    ),
    volumeMounts: array(
      object(
        { name: string({ minLength: 1 }), mountPath: string({ minLength: 1 }), subPath: string() },
        { required: ['name', 'mountPath'], open: true },
      ),
    ),
    readinessProbe: PROBE,
    livenessProbe: PROBE,
    startupProbe: PROBE,
  },
  { required: ['name'], open: true },
)

export const POD_SPEC: JsonSchema = object(
  {
    containers: array(CONTAINER, { minItems: 1 }),
    initContainers: array(CONTAINER),
    volumes: array(VOLUME),
    nodeName: string(),
    nodeSelector: STRING_MAP,
    serviceAccountName: string(),
    restartPolicy: { ...oneOf('Always', 'OnFailure', 'Never'), default: 'Always' },
    hostNetwork: { type: 'boolean' },
    terminationGracePeriodSeconds: { type: 'integer', minimum: 0, default: 30 },
    dnsPolicy: string({ default: 'ClusterFirst' }),
  },
  { required: ['containers'], open: true },
)

const TEMPLATE_METADATA: JsonSchema = object({ labels: STRING_MAP, annotations: STRING_MAP }, { open: true })

export const POD_TEMPLATE: JsonSchema = object({ metadata: TEMPLATE_METADATA, spec: POD_SPEC }, { required: ['spec'] })

/** Of a kind that makes pods from a template, the columns that `-o wide` adds. */
export function containerCells(template: PodTemplate | undefined): { names: string; images: string } {
  const containers = template?.spec?.containers ?? []
  return {
    names: containers.map(({ name }) => name).join(','),
    images: containers.map(({ image }) => image ?? '').join(','),
  }
}
