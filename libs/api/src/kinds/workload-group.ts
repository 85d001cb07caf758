import { PORT_NUMBER } from '../istio-fields.ts'
import { defineKind } from '../kind.ts'
import type { Resource } from '../resource.ts'
import { array, atMostOneOf, integer, map, object, STATUS, string, withRules } from '../schema.ts'
import { WORKLOAD_TEMPLATE, type WorkloadEntrySpec } from './workload-entry.ts'

export interface ReadinessProbe {
  readonly initialDelaySeconds?: number
  readonly timeoutSeconds?: number
  readonly periodSeconds?: number
  readonly successThreshold?: number
  readonly failureThreshold?: number
  readonly httpGet?: {
    readonly path?: string
    readonly port: number
    readonly host?: string
    readonly scheme?: string
    readonly httpHeaders?: readonly { readonly name?: string; readonly value?: string }[]
  }
  readonly tcpSocket?: { readonly host?: string; readonly port: number }
  readonly exec?: { readonly command: readonly string[] }
  readonly grpc?: { readonly port?: number; readonly service?: string }
}

/** What the WorkloadEntries of machines that register themselves are made from. */
export interface WorkloadGroupSpec {
  readonly metadata?: {
    readonly labels?: Readonly<Record<string, string>>
    readonly annotations?: Readonly<Record<string, string>>
  }
  readonly template: WorkloadEntrySpec
  readonly probe?: ReadinessProbe
}

export type WorkloadGroup = Resource<WorkloadGroupSpec>

const COUNT = integer({ minimum: 0 })
const METADATA = { ...map(string()), maxProperties: 256 }

const LABEL_KEY = /^([a-z0-9]([-a-z0-9.]*[a-z0-9])?\/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$/
const LABEL_VALUE = /^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$/

const LABELS = withRules<Readonly<Record<string, string>>>(METADATA, {
  'keys and values must be those of labels': (labels) =>
    Object.entries(labels).every(([key, value]) => LABEL_KEY.test(key) && LABEL_VALUE.test(value)),
})

const PROBE = withRules<ReadinessProbe>(
  atMostOneOf(
    object({
      exec: object({ command: array(string({ minLength: 1 })) }, { required: ['command'] }),
      failureThreshold: COUNT,
      grpc: object({ port: PORT_NUMBER, service: string() }),
      httpGet: object(
        {
          host: string(),
          httpHeaders: array(object({ name: string({ pattern: '^[-_A-Za-z0-9]+$' }), value: string() })),
          path: string(),
          port: PORT_NUMBER,
          scheme: withRules<string>(string(), {
            'scheme must be one of [HTTP, HTTPS]': (scheme) => ['', 'HTTP', 'HTTPS'].includes(scheme),
          }),
        },
        { required: ['port'] },
      ),
      initialDelaySeconds: COUNT,
      periodSeconds: COUNT,
      successThreshold: COUNT,
      tcpSocket: object({ host: string(), port: PORT_NUMBER }, { required: ['port'] }),
      timeoutSeconds: COUNT,
    }),
    'httpGet',
    'tcpSocket',
    'exec',
    'grpc',
  ),
  {
    'a probe needs a method': ({ httpGet, tcpSocket, exec, grpc }) =>
      (httpGet ?? tcpSocket ?? exec ?? grpc) !== undefined,
  },
)

export default defineKind<WorkloadGroup>({
  group: 'networking.istio.io',
  version: 'v1',
  otherVersions: ['v1beta1', 'v1alpha3'],
  kind: 'WorkloadGroup',
  plural: 'workloadgroups',
  shortNames: ['wg'],
  categories: ['istio-io', 'networking-istio-io'],
  scope: 'Namespaced',
  schema: object(
    {
      spec: object(
        {
          metadata: object({ annotations: METADATA, labels: LABELS }),
          probe: PROBE,
          template: WORKLOAD_TEMPLATE,
        },
        { required: ['template'] },
      ),
      status: STATUS,
    },
    { required: ['spec'] },
  ),
  columns: [],
})
