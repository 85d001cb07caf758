import { NETWORKING_WORKLOAD_SELECTOR, type NetworkingWorkloadSelector, UINT32 } from '../istio-fields.ts'
import { defineKind } from '../kind.ts'
import type { Resource } from '../resource.ts'
import { array, object, oneOf, STATUS, STRINGS, string } from '../schema.ts'
import { SERVER_TLS, type ServerTlsSettings } from '../server-tls.ts'
import { CONNECTION_POOL, type ConnectionPoolSettings } from '../traffic-policy.ts'
import type { VirtualServiceDestination } from './virtual-service.ts'

export interface SidecarPort {
  readonly number?: number
  readonly name?: string
  readonly protocol?: string
  readonly targetPort?: number
}

export type CaptureMode = 'DEFAULT' | 'IPTABLES' | 'NONE'

export interface SidecarIngress {
  readonly port: SidecarPort
  readonly bind?: string
  readonly captureMode?: CaptureMode
  /** `127.0.0.1:PORT`, `0.0.0.0:PORT`, `unix:///path` */
  readonly defaultEndpoint?: string
  readonly tls?: ServerTlsSettings
  readonly connectionPool?: ConnectionPoolSettings
}

export interface SidecarEgress {
  readonly port?: SidecarPort
  readonly bind?: string
  readonly captureMode?: CaptureMode
  /** `namespace/host`; the namespace may be `*`, `.` or `~`. */
  readonly hosts: readonly string[]
}

export interface SidecarSpec {
  readonly workloadSelector?: NetworkingWorkloadSelector
  readonly ingress?: readonly SidecarIngress[]
  readonly egress?: readonly SidecarEgress[]
  readonly inboundConnectionPool?: ConnectionPoolSettings
  readonly outboundTrafficPolicy?: {
    readonly mode?: 'REGISTRY_ONLY' | 'ALLOW_ANY'
    readonly egressProxy?: VirtualServiceDestination
  }
}

export type Sidecar = Resource<SidecarSpec>

const PORT = object({ name: string(), number: UINT32, protocol: string(), targetPort: UINT32 })
const CAPTURE_MODE = oneOf('DEFAULT', 'IPTABLES', 'NONE')

export default defineKind<Sidecar>({
  group: 'networking.istio.io',
  version: 'v1',
  otherVersions: ['v1beta1', 'v1alpha3'],
  kind: 'Sidecar',
  plural: 'sidecars',
  categories: ['istio-io', 'networking-istio-io'],
  scope: 'Namespaced',
  schema: object({
    spec: object({
      egress: array(
        object({ bind: string(), captureMode: CAPTURE_MODE, hosts: STRINGS, port: PORT }, { required: ['hosts'] }),
      ),
      inboundConnectionPool: CONNECTION_POOL,
      ingress: array(
        object(
          {
            bind: string(),
            captureMode: CAPTURE_MODE,
            connectionPool: CONNECTION_POOL,
            defaultEndpoint: string(),
            port: PORT,
            tls: SERVER_TLS,
          },
          { required: ['port'] },
        ),
      ),
      outboundTrafficPolicy: object({
        egressProxy: object(
          { host: string(), port: object({ number: UINT32 }), subset: string() },
          { required: ['host'] },
        ),
        mode: oneOf('REGISTRY_ONLY', 'ALLOW_ANY'),
      }),
      workloadSelector: NETWORKING_WORKLOAD_SELECTOR,
    }),
    status: STATUS,
  }),
  columns: [],
})
