import { COUNT, INT32, ISTIO_DURATION, PORT_NUMBER, UINT32 } from './istio-fields.ts'
import type { JsonSchema } from './kind.ts'
import {
  array,
  atMostOneOf,
  boolean,
  integer,
  map,
  number,
  object,
  oneOf,
  STRINGS,
  string,
  withRules,
} from './schema.ts'

/** DestinationRule's traffic policy: what a client's proxy does on the way to a host. */

export interface TcpPoolSettings {
  readonly maxConnections?: number
  readonly connectTimeout?: string
  readonly idleTimeout?: string
  readonly maxConnectionDuration?: string
  readonly tcpKeepalive?: { readonly probes?: number; readonly time?: string; readonly interval?: string }
}

export interface HttpPoolSettings {
  readonly http1MaxPendingRequests?: number
  readonly http2MaxRequests?: number
  readonly maxRequestsPerConnection?: number
  /** Retries in flight to all hosts of the cluster. */
  readonly maxRetries?: number
  readonly idleTimeout?: string
  readonly h2UpgradePolicy?: 'DEFAULT' | 'DO_NOT_UPGRADE' | 'UPGRADE'
  readonly useClientProtocol?: boolean
  readonly maxConcurrentStreams?: number
  readonly http2KeepAlive?: { readonly interval?: string; readonly timeout?: string }
}

export interface ConnectionPoolSettings {
  readonly tcp?: TcpPoolSettings
  readonly http?: HttpPoolSettings
}

export interface ConsistentHash {
  readonly httpHeaderName?: string
  readonly httpCookie?: {
    readonly name: string
    readonly path?: string
    /** `0s`: a session cookie; absent: none is made. */
    readonly ttl?: string
    readonly attributes?: readonly { readonly name: string; readonly value?: string }[]
  }
  readonly useSourceIp?: boolean
  readonly httpQueryParameterName?: string
  readonly ringHash?: { readonly minimumRingSize?: number }
  readonly maglev?: { readonly tableSize?: number }
  /** The older spelling of `ringHash.minimumRingSize`. */
  readonly minimumRingSize?: number
}

export interface LocalityFailover {
  readonly from?: string
  readonly to?: string
}

export interface LocalityLbSetting {
  readonly enabled?: boolean
  /** `region/zone/subzone`, `*` at the end → percentages that add up to 100. */
  readonly distribute?: readonly { readonly from?: string; readonly to?: Readonly<Record<string, number>> }[]
  readonly failover?: readonly LocalityFailover[]
  readonly failoverPriority?: readonly string[]
}

export interface LoadBalancerSettings {
  readonly simple?: 'UNSPECIFIED' | 'LEAST_CONN' | 'RANDOM' | 'PASSTHROUGH' | 'ROUND_ROBIN' | 'LEAST_REQUEST'
  readonly consistentHash?: ConsistentHash
  readonly backendUtilization?: {
    readonly errorUtilizationPenaltyPercent?: number
    readonly metricNamesForComputingUtilization?: readonly string[]
    readonly weightExpirationPeriod?: string
    readonly weightStabilizationPeriod?: string
    readonly weightUpdatePeriod?: string
  }
  readonly localityLbSetting?: LocalityLbSetting
  readonly zoneAwareLbSetting?: {
    readonly enabled?: boolean
    readonly minClusterSize?: number
    readonly failover?: readonly LocalityFailover[]
    readonly failoverPriority?: readonly string[]
  }
  readonly warmup?: { readonly duration: string; readonly minimumPercent?: number; readonly aggression?: number }
  readonly warmupDurationSecs?: string
}

export interface OutlierDetection {
  readonly consecutive5xxErrors?: number
  readonly consecutiveGatewayErrors?: number
  readonly consecutiveLocalOriginFailures?: number
  readonly consecutiveErrors?: number
  readonly splitExternalLocalOriginErrors?: boolean
  readonly outlierDetectionHttpErrorCodes?: readonly number[]
  /** Between sweeps. @default '10s' */
  readonly interval?: string
  /** @default '30s' */
  readonly baseEjectionTime?: string
  /** @default 10 */
  readonly maxEjectionPercent?: number
  /** Below this share of healthy hosts nobody is ejected. @default 0 */
  readonly minHealthPercent?: number
}

export interface ClientTlsSettings {
  readonly mode?: 'DISABLE' | 'SIMPLE' | 'MUTUAL' | 'ISTIO_MUTUAL'
  readonly clientCertificate?: string
  readonly privateKey?: string
  readonly caCertificates?: string
  readonly caCrl?: string
  readonly credentialName?: string
  readonly subjectAltNames?: readonly string[]
  readonly sni?: string
  readonly insecureSkipVerify?: boolean
}

export interface PortTrafficPolicy {
  readonly port?: { readonly number?: number }
  readonly connectionPool?: ConnectionPoolSettings
  readonly loadBalancer?: LoadBalancerSettings
  readonly outlierDetection?: OutlierDetection
  readonly tls?: ClientTlsSettings
}

export interface TrafficPolicy extends Omit<PortTrafficPolicy, 'port'> {
  /** Of the port alone: nothing is inherited from what stands beside. */
  readonly portLevelSettings?: readonly PortTrafficPolicy[]
  readonly tunnel?: { readonly protocol?: string; readonly targetHost: string; readonly targetPort: number }
  readonly proxyProtocol?: { readonly version?: 'V1' | 'V2' }
  readonly retryBudget?: {
    /** Of the requests in flight. @default 20 */
    readonly percent?: number
    readonly budgetInterval?: string
    /** @default 3 */
    readonly minRetryConcurrency?: number
  }
}

export const CONNECTION_POOL = object(
  {
    http: withRules<HttpPoolSettings>(
      object({
        h2UpgradePolicy: oneOf('DEFAULT', 'DO_NOT_UPGRADE', 'UPGRADE'),
        http1MaxPendingRequests: COUNT,
        http2KeepAlive: object(
          { interval: ISTIO_DURATION, timeout: ISTIO_DURATION },
          { required: ['interval', 'timeout'] },
        ),
        http2MaxRequests: COUNT,
        idleTimeout: ISTIO_DURATION,
        maxConcurrentStreams: COUNT,
        maxRequestsPerConnection: COUNT,
        maxRetries: COUNT,
        useClientProtocol: boolean(),
      }),
      {
        'cannot upgrade and use the client protocol': ({ h2UpgradePolicy, useClientProtocol }) =>
          h2UpgradePolicy !== 'UPGRADE' || !useClientProtocol,
      },
    ),
    tcp: object({
      connectTimeout: ISTIO_DURATION,
      idleTimeout: string(),
      maxConnectionDuration: ISTIO_DURATION,
      maxConnections: COUNT,
      tcpKeepalive: object({ interval: ISTIO_DURATION, probes: UINT32, time: ISTIO_DURATION }),
    }),
  },
  { minProperties: 1 },
)

/** 0 and 1 stand for the table size that Envoy chooses. */
function isPrime(number: number): boolean {
  for (let divisor = 2; divisor * divisor <= number; divisor++) if (number % divisor === 0) return false
  return true
}

const CONSISTENT_HASH = [
  ['httpHeaderName', 'httpCookie', 'useSourceIp', 'httpQueryParameterName'],
  ['ringHash', 'maglev'],
].reduce<JsonSchema>(
  (schema, fields) => atMostOneOf(schema, ...fields),
  object({
    httpCookie: object(
      {
        attributes: array(object({ name: string(), value: string() }, { required: ['name'] }), {
          'x-kubernetes-list-type': 'map',
          'x-kubernetes-list-map-keys': ['name'],
        }),
        name: string(),
        path: string(),
        ttl: string(),
      },
      { required: ['name'] },
    ),
    httpHeaderName: string(),
    httpQueryParameterName: string(),
    maglev: object({ tableSize: withRules<number>(integer({ minimum: 0 }), { 'must be a prime number': isPrime }) }),
    minimumRingSize: integer({ minimum: 0 }),
    ringHash: object({ minimumRingSize: integer({ minimum: 0 }) }),
    useSourceIp: boolean(),
  }),
)

const FAILOVER = array(object({ from: string(), to: string() }))
const OPTIONAL_BOOLEAN = boolean({ nullable: true })
const OPTIONAL_PERCENT = number({ minimum: 0, maximum: 100, nullable: true })

const BALANCER = atMostOneOf(
  object({
    backendUtilization: object({
      errorUtilizationPenaltyPercent: UINT32,
      metricNamesForComputingUtilization: STRINGS,
      weightExpirationPeriod: string(),
      weightStabilizationPeriod: string(),
      weightUpdatePeriod: string(),
    }),
    consistentHash: CONSISTENT_HASH,
    localityLbSetting: object({
      distribute: array(object({ from: string(), to: map(UINT32) })),
      enabled: OPTIONAL_BOOLEAN,
      failover: FAILOVER,
      failoverPriority: STRINGS,
    }),
    simple: oneOf('UNSPECIFIED', 'LEAST_CONN', 'RANDOM', 'PASSTHROUGH', 'ROUND_ROBIN', 'LEAST_REQUEST'),
    warmup: object(
      {
        aggression: number({ minimum: 0, nullable: true }),
        duration: ISTIO_DURATION,
        minimumPercent: OPTIONAL_PERCENT,
      },
      { required: ['duration'] },
    ),
    warmupDurationSecs: ISTIO_DURATION,
    zoneAwareLbSetting: object({
      enabled: OPTIONAL_BOOLEAN,
      failover: FAILOVER,
      failoverPriority: STRINGS,
      minClusterSize: integer({ minimum: 1, nullable: true }),
    }),
  }),
  'simple',
  'consistentHash',
  'backendUtilization',
)

const LOAD_BALANCER = atMostOneOf(BALANCER, 'localityLbSetting', 'zoneAwareLbSetting')

const WHOLE_PERCENT = integer({ minimum: 0, maximum: 100 })

const OUTLIER_DETECTION = withRules<OutlierDetection>(
  object({
    baseEjectionTime: ISTIO_DURATION,
    consecutive5xxErrors: { ...UINT32, nullable: true },
    consecutiveErrors: INT32,
    consecutiveGatewayErrors: { ...UINT32, nullable: true },
    consecutiveLocalOriginFailures: { ...UINT32, nullable: true },
    interval: ISTIO_DURATION,
    maxEjectionPercent: WHOLE_PERCENT,
    minHealthPercent: WHOLE_PERCENT,
    outlierDetectionHttpErrorCodes: array(integer({ minimum: 100, maximum: 599 })),
    splitExternalLocalOriginErrors: boolean(),
  }),
  {
    'consecutiveLocalOriginFailures needs splitExternalLocalOriginErrors': (detection) =>
      !detection.consecutiveLocalOriginFailures || detection.splitExternalLocalOriginErrors === true,
  },
)

const CLIENT_TLS = withRules<ClientTlsSettings>(
  object({
    caCertificates: string(),
    caCrl: string(),
    clientCertificate: string(),
    credentialName: string(),
    insecureSkipVerify: OPTIONAL_BOOLEAN,
    mode: oneOf('DISABLE', 'SIMPLE', 'MUTUAL', 'ISTIO_MUTUAL'),
    privateKey: string(),
    sni: string(),
    subjectAltNames: STRINGS,
  }),
  {
    'cannot specify CA certificates when insecureSkipVerify is set': ({ insecureSkipVerify, caCertificates }) =>
      !insecureSkipVerify || !caCertificates,
    'with a credentialName come no certificates and no key': (tls) =>
      !tls.credentialName || (!tls.clientCertificate && !tls.privateKey && !tls.caCertificates),
    'client certificate and private key are required for mutual TLS': (tls) =>
      tls.mode !== 'MUTUAL' || tls.credentialName !== undefined || (!!tls.clientCertificate && !!tls.privateKey),
  },
)

const SHARED = {
  connectionPool: CONNECTION_POOL,
  loadBalancer: LOAD_BALANCER,
  outlierDetection: OUTLIER_DETECTION,
  tls: CLIENT_TLS,
}

export const TRAFFIC_POLICY = object({
  ...SHARED,
  portLevelSettings: array(
    object({ ...SHARED, port: object({ number: PORT_NUMBER }, { required: ['number'] }) }, { required: ['port'] }),
    { maxItems: 4096 },
  ),
  proxyProtocol: object({ version: oneOf('V1', 'V2') }),
  retryBudget: object({ budgetInterval: string(), minRetryConcurrency: UINT32, percent: OPTIONAL_PERCENT }),
  tunnel: object(
    { protocol: string(), targetHost: string(), targetPort: UINT32 },
    { required: ['targetHost', 'targetPort'] },
  ),
})
