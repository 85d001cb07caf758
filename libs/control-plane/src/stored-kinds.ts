import type {
  AuthorizationPolicy,
  BackendTlsPolicy,
  ConfigMap,
  Deployment,
  DestinationRule,
  EndpointSlice,
  EnvoyFilter,
  Event,
  Fault,
  Gateway,
  GatewayClass,
  GrpcRoute,
  HttpRoute,
  IstioGateway,
  JoinToken,
  L4TrafficPolicy,
  Lab,
  ListenerSet,
  Load,
  Namespace,
  Node,
  PeerAuthentication,
  Pod,
  RateLimitPolicy,
  ReferenceGrant,
  ReplicaSet,
  RequestAuthentication,
  Resource,
  Secret,
  Service,
  ServiceEntry,
  Sidecar,
  TcpRoute,
  Telemetry,
  TlsRoute,
  VirtualService,
  WorkloadEntry,
  XBackendTrafficPolicy,
} from '@ambient-lab/api'
import type { StoreType } from './store/store.ts'

/** The types that the control plane itself reads and writes, by the store's name for them. */
export interface StoredKinds {
  '/namespaces': Namespace
  '/nodes': Node
  '/pods': Pod
  '/services': Service
  '/serviceaccounts': Resource
  '/configmaps': ConfigMap
  '/secrets': Secret
  '/events': Event
  'apps/deployments': Deployment
  'apps/replicasets': ReplicaSet
  'discovery.k8s.io/endpointslices': EndpointSlice
  'security.istio.io/authorizationpolicies': AuthorizationPolicy
  'security.istio.io/peerauthentications': PeerAuthentication
  'security.istio.io/requestauthentications': RequestAuthentication
  'telemetry.istio.io/telemetries': Telemetry
  'gateway.networking.k8s.io/gateways': Gateway
  'gateway.networking.k8s.io/gatewayclasses': GatewayClass
  'gateway.networking.k8s.io/listenersets': ListenerSet
  'gateway.networking.k8s.io/httproutes': HttpRoute
  'gateway.networking.k8s.io/grpcroutes': GrpcRoute
  'gateway.networking.k8s.io/tcproutes': TcpRoute
  'gateway.networking.k8s.io/tlsroutes': TlsRoute
  'gateway.networking.k8s.io/referencegrants': ReferenceGrant
  'gateway.networking.k8s.io/backendtlspolicies': BackendTlsPolicy
  'gateway.networking.x-k8s.io/xbackendtrafficpolicies': XBackendTrafficPolicy
  'networking.istio.io/gateways': IstioGateway
  'networking.istio.io/virtualservices': VirtualService
  'networking.istio.io/destinationrules': DestinationRule
  'networking.istio.io/serviceentries': ServiceEntry
  'networking.istio.io/workloadentries': WorkloadEntry
  'networking.istio.io/envoyfilters': EnvoyFilter
  'networking.istio.io/sidecars': Sidecar
  'ambient.lab/ratelimitpolicies': RateLimitPolicy
  'ambient.lab/faults': Fault
  'ambient.lab/loads': Load
  'ambient.lab/l4trafficpolicies': L4TrafficPolicy
  'ambient.lab/labs': Lab
  'ambient.lab/jointokens': JoinToken
}

export type KnownType = keyof StoredKinds & StoreType

export const NAMESPACES = '/namespaces'
export const NODES = '/nodes'
export const PODS = '/pods'
export const SERVICES = '/services'
export const SERVICE_ACCOUNTS = '/serviceaccounts'
export const CONFIG_MAPS = '/configmaps'
export const SECRETS = '/secrets'
export const EVENTS = '/events'
export const DEPLOYMENTS = 'apps/deployments'
export const REPLICA_SETS = 'apps/replicasets'
export const ENDPOINT_SLICES = 'discovery.k8s.io/endpointslices'
export const AUTHORIZATION_POLICIES = 'security.istio.io/authorizationpolicies'
export const PEER_AUTHENTICATIONS = 'security.istio.io/peerauthentications'
export const REQUEST_AUTHENTICATIONS = 'security.istio.io/requestauthentications'
export const TELEMETRIES = 'telemetry.istio.io/telemetries'
export const GATEWAYS = 'gateway.networking.k8s.io/gateways'
export const GATEWAY_CLASSES = 'gateway.networking.k8s.io/gatewayclasses'
export const LISTENER_SETS = 'gateway.networking.k8s.io/listenersets'
export const HTTP_ROUTES = 'gateway.networking.k8s.io/httproutes'
export const GRPC_ROUTES = 'gateway.networking.k8s.io/grpcroutes'
export const TCP_ROUTES = 'gateway.networking.k8s.io/tcproutes'
export const TLS_ROUTES = 'gateway.networking.k8s.io/tlsroutes'
export const REFERENCE_GRANTS = 'gateway.networking.k8s.io/referencegrants'
export const BACKEND_TLS_POLICIES = 'gateway.networking.k8s.io/backendtlspolicies'
export const X_BACKEND_TRAFFIC_POLICIES = 'gateway.networking.x-k8s.io/xbackendtrafficpolicies'
export const ISTIO_GATEWAYS = 'networking.istio.io/gateways'
export const VIRTUAL_SERVICES = 'networking.istio.io/virtualservices'
export const DESTINATION_RULES = 'networking.istio.io/destinationrules'
export const SERVICE_ENTRIES = 'networking.istio.io/serviceentries'
export const WORKLOAD_ENTRIES = 'networking.istio.io/workloadentries'
export const ENVOY_FILTERS = 'networking.istio.io/envoyfilters'
export const SIDECARS = 'networking.istio.io/sidecars'
export const RATE_LIMIT_POLICIES = 'ambient.lab/ratelimitpolicies'
export const FAULTS = 'ambient.lab/faults'
export const LOADS = 'ambient.lab/loads'
export const L4_TRAFFIC_POLICIES = 'ambient.lab/l4trafficpolicies'
export const LABS = 'ambient.lab/labs'
export const JOIN_TOKENS = 'ambient.lab/jointokens'

export type {
  GatewayClass,
  ServiceEntry,
  ServiceEntryPort,
  ServiceEntrySpec,
  ServiceEntryStatus,
  WorkloadEntry,
  WorkloadEntrySpec,
} from '@ambient-lab/api'
