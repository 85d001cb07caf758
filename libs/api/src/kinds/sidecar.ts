import { isIP } from 'node:net'
import { areUnique } from '../gateway-api.ts'
import { NETWORKING_WORKLOAD_SELECTOR, type NetworkingWorkloadSelector, UINT32 } from '../istio-fields.ts'
import { isFqdn, isNamespaceName, isPort, isSocketAddress, isWildcardDomain } from '../istio-names.ts'
import { defineKind } from '../kind.ts'
import type { Resource } from '../resource.ts'
import { array, object, oneOf, STATUS, string, withRules } from '../schema.ts'
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
const PROTOCOLS = [
  ...['HTTP', 'HTTPS', 'HTTP2', 'HTTP_PROXY', 'GRPC', 'GRPC-WEB', 'MONGO', 'REDIS', 'MYSQL', 'TCP', 'TLS', 'UDP'],
]
const isProtocol = ({ protocol }: SidecarPort) => protocol === undefined || PROTOCOLS.includes(protocol.toUpperCase())
const isBoundToSocket = ({ bind = '' }: SidecarEgress) => bind.startsWith('unix://')

/** `namespace/host`; `~namespace/*` leaves one out. */
const EGRESS_HOST = withRules<string>(string(), {
  'must be NAMESPACE/HOST': (text) => {
    const [namespace = '', host, ...more] = text.split('/')
    if (host === undefined || more.length > 0 || !isWildcardDomain(host)) return false
    return ['*', '.', '~'].includes(namespace) || isNamespaceName(namespace.replace(/^~/, ''))
  },
})

const EGRESS_RULES: Readonly<Record<string, (egress: SidecarEgress) => boolean>> = {
  'a port needs a name, a number of 1 to 65535 and a known protocol': ({ port, ...egress }) =>
    !port || (!!port.name && isProtocol(port) && (isBoundToSocket(egress) ? !port.number : isPort(port.number ?? 0))),
  'bind must be an IP address or a unix socket': ({ bind }) =>
    bind === undefined || isIP(bind) !== 0 || isSocketAddress(bind),
  'a unix socket is not captured by iptables': ({ captureMode, ...egress }) =>
    !isBoundToSocket(egress) || captureMode !== 'IPTABLES',
}

const LOCAL_ENDPOINT = /^(127\.0\.0\.1|0\.0\.0\.0|\[::1\]|\[::\]):(\d{1,5})$/
const TLS_UNSUPPORTED = [
  'httpsRedirect',
  'subjectAltNames',
  'credentialName',
  'credentialNames',
  'tlsCertificates',
] as const

const INGRESS_RULES: Readonly<Record<string, (ingress: SidecarIngress) => boolean>> = {
  'a port needs a number of 1 to 65535 and a known protocol': ({ port }) =>
    isPort(port.number ?? 0) && isProtocol(port),
  'bind must be an IP address': ({ bind }) => bind === undefined || isIP(bind) !== 0,
  'defaultEndpoint must be 127.0.0.1, 0.0.0.0, [::1] or [::] with a port, or unix:///PATH': ({ defaultEndpoint }) => {
    if (defaultEndpoint === undefined || isSocketAddress(defaultEndpoint)) return true
    return isPort(Number(LOCAL_ENDPOINT.exec(defaultEndpoint)?.[2] ?? 0))
  },
  'tls is SIMPLE or MUTUAL, on an HTTPS or TLS port': ({ tls, port }) =>
    !tls || (['SIMPLE', 'MUTUAL'].includes(tls.mode ?? '') && /^(https|tls)$/i.test(port.protocol ?? '')),
  [`tls of a sidecar knows no ${TLS_UNSUPPORTED.join(', ')}`]: ({ tls }) =>
    !tls || TLS_UNSUPPORTED.every((field) => tls[field] === undefined),
}

/** One listener an address: no two of a kind may ask for the same. */
const addressOf = ({ bind = '', port }: Pick<SidecarEgress, 'bind' | 'port'>) => [bind, port?.number ?? 0]

const SPEC_RULES: Readonly<Record<string, (spec: SidecarSpec) => boolean>> = {
  'a sidecar must configure something': ({ workloadSelector: _, ...settings }) => Object.keys(settings).length > 0,
  'the one egress listener without a port must be the last': ({ egress = [] }) =>
    egress.every(({ port }, index) => port !== undefined || index === egress.length - 1),
  'egress ports must be unique': ({ egress = [] }) => areUnique(egress, addressOf),
  'ingress ports must be unique': ({ ingress = [] }) => areUnique(ingress, addressOf),
  'an egress proxy needs a host name and a port': ({ outboundTrafficPolicy }) => {
    const proxy = outboundTrafficPolicy?.egressProxy
    return !proxy || (isFqdn(proxy.host) && isPort(proxy.port?.number ?? 0))
  },
}

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
    spec: withRules<SidecarSpec>(
      object({
        egress: array(
          withRules<SidecarEgress>(
            object(
              { bind: string(), captureMode: CAPTURE_MODE, hosts: array(EGRESS_HOST, { minItems: 1 }), port: PORT },
              { required: ['hosts'] },
            ),
            EGRESS_RULES,
          ),
        ),
        inboundConnectionPool: CONNECTION_POOL,
        ingress: array(
          withRules<SidecarIngress>(
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
            INGRESS_RULES,
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
      SPEC_RULES,
    ),
    status: STATUS,
  }),
  columns: [],
})
