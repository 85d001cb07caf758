import type { Assignment } from './assignment.ts'
import type { Authorization } from './authorization.ts'
import type { Cluster } from './cluster.ts'
import type { FilterChain } from './filter-chain.ts'
import type { L7Proxy } from './l7-proxy.ts'
import type { LinkFault } from './link-fault.ts'
import type { LoadRun } from './load-run.ts'
import type { Node } from './node.ts'
import type { Service } from './service.ts'
import type { Trust } from './trust.ts'
import type { Workload } from './workload.ts'

export type * from './assignment.ts'
export type * from './authorization.ts'
export * from './cluster.ts'
export type * from './ext-authz.ts'
export type * from './filter-chain.ts'
export type * from './l4-traffic.ts'
export * from './l7-proxy.ts'
export type * from './link-fault.ts'
export type * from './load-run.ts'
export type * from './node.ts'
export type * from './rate-limit.ts'
export type * from './route.ts'
export type * from './service.ts'
export type * from './string-matcher.ts'
export type * from './trust.ts'
export type * from './workload.ts'

/** A workload or a service, as in Istio's workload API. Resource name: the uid, or `namespace/hostname`. */
export type Address = { readonly workload: Workload } | { readonly service: Service }

/** Every type that the discovery protocol carries, by type URL. The first two are Istio's; the rest are the lab's. */
export interface ResourceTypes {
  'type.googleapis.com/istio.workload.Address': Address
  'type.googleapis.com/istio.security.Authorization': Authorization
  'type.googleapis.com/ambient.lab.Trust': Trust
  'type.googleapis.com/ambient.lab.Node': Node
  'type.googleapis.com/ambient.lab.Assignment': Assignment
  'type.googleapis.com/ambient.lab.LinkFault': LinkFault
  'type.googleapis.com/ambient.lab.LoadRun': LoadRun
  'type.googleapis.com/ambient.lab.Cluster': Cluster
  'type.googleapis.com/ambient.lab.FilterChain': FilterChain
  'type.googleapis.com/ambient.lab.L7Proxy': L7Proxy
}

export type TypeUrl = keyof ResourceTypes

export const ADDRESS_TYPE = 'type.googleapis.com/istio.workload.Address'
export const AUTHORIZATION_TYPE = 'type.googleapis.com/istio.security.Authorization'
export const TRUST_TYPE = 'type.googleapis.com/ambient.lab.Trust'
export const NODE_TYPE = 'type.googleapis.com/ambient.lab.Node'
export const ASSIGNMENT_TYPE = 'type.googleapis.com/ambient.lab.Assignment'
export const LINK_FAULT_TYPE = 'type.googleapis.com/ambient.lab.LinkFault'
export const LOAD_RUN_TYPE = 'type.googleapis.com/ambient.lab.LoadRun'
export const CLUSTER_TYPE = 'type.googleapis.com/ambient.lab.Cluster'
export const FILTER_CHAIN_TYPE = 'type.googleapis.com/ambient.lab.FilterChain'
export const L7_PROXY_TYPE = 'type.googleapis.com/ambient.lab.L7Proxy'

export const TYPE_URLS = [
  TRUST_TYPE,
  NODE_TYPE,
  AUTHORIZATION_TYPE,
  ADDRESS_TYPE,
  ASSIGNMENT_TYPE,
  LINK_FAULT_TYPE,
  LOAD_RUN_TYPE,
  CLUSTER_TYPE,
  FILTER_CHAIN_TYPE,
  L7_PROXY_TYPE,
] as const satisfies readonly TypeUrl[]
