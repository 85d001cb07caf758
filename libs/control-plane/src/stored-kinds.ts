import type {
  AuthorizationPolicy,
  Deployment,
  EndpointSlice,
  Event,
  Fault,
  Gateway,
  GatewayClass,
  JoinToken,
  Lab,
  Load,
  Namespace,
  Node,
  PeerAuthentication,
  Pod,
  ReplicaSet,
  Resource,
  Service,
  ServiceEntry,
  WorkloadEntry,
} from '@ambient-lab/api'
import type { StoreType } from './store/store.ts'

/** The types that the control plane itself reads and writes, by the store's name for them. */
export interface StoredKinds {
  '/namespaces': Namespace
  '/nodes': Node
  '/pods': Pod
  '/services': Service
  '/serviceaccounts': Resource
  '/events': Event
  'apps/deployments': Deployment
  'apps/replicasets': ReplicaSet
  'discovery.k8s.io/endpointslices': EndpointSlice
  'security.istio.io/authorizationpolicies': AuthorizationPolicy
  'security.istio.io/peerauthentications': PeerAuthentication
  'gateway.networking.k8s.io/gateways': Gateway
  'gateway.networking.k8s.io/gatewayclasses': GatewayClass
  'networking.istio.io/serviceentries': ServiceEntry
  'networking.istio.io/workloadentries': WorkloadEntry
  'ambient.lab/faults': Fault
  'ambient.lab/loads': Load
  'ambient.lab/labs': Lab
  'ambient.lab/jointokens': JoinToken
}

export type KnownType = keyof StoredKinds & StoreType

export const NAMESPACES = '/namespaces'
export const NODES = '/nodes'
export const PODS = '/pods'
export const SERVICES = '/services'
export const SERVICE_ACCOUNTS = '/serviceaccounts'
export const EVENTS = '/events'
export const DEPLOYMENTS = 'apps/deployments'
export const REPLICA_SETS = 'apps/replicasets'
export const ENDPOINT_SLICES = 'discovery.k8s.io/endpointslices'
export const AUTHORIZATION_POLICIES = 'security.istio.io/authorizationpolicies'
export const PEER_AUTHENTICATIONS = 'security.istio.io/peerauthentications'
export const GATEWAYS = 'gateway.networking.k8s.io/gateways'
export const GATEWAY_CLASSES = 'gateway.networking.k8s.io/gatewayclasses'
export const SERVICE_ENTRIES = 'networking.istio.io/serviceentries'
export const WORKLOAD_ENTRIES = 'networking.istio.io/workloadentries'
export const FAULTS = 'ambient.lab/faults'
export const LOADS = 'ambient.lab/loads'
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
