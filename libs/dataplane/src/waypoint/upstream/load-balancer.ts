import type { Random } from '@ambient-lab/std'
import type { ClusterLoadBalancing } from '@ambient-lab/xds'
import type { UpstreamHost } from './host.ts'

/** One question to a balancer. */
export interface Draw {
  readonly random: Random
  /** Of the request, 32 bits; undefined for one that carries nothing to hash. */
  readonly hash: number | undefined
  /** Priority levels of these are left out, while another one has a healthy host. @default none */
  readonly avoidLevelsOf?: readonly UpstreamHost[]
}

/** A host and its share, with warm-up already in it. Shares are positive. */
export interface WeightedHost {
  readonly host: UpstreamHost
  readonly weight: number
}

/** Chooses among hosts that may all be used. Made anew when they or their weights change. */
export interface LoadBalancer {
  /** Never undefined unless there is no host. */
  pick(draw: Draw): UpstreamHost | undefined
}

/** A way of choosing; promises in `load-balancer.test.ts`, which runs over the whole catalogue. */
export interface LoadBalancerDefinition {
  /** Envoy's name. */
  readonly policy: Exclude<ClusterLoadBalancing['policy'], 'PASSTHROUGH'>
  /** One hash is one host, as long as that host stays. */
  readonly isConsistent: boolean
  create(hosts: readonly WeightedHost[], init: ClusterLoadBalancing): LoadBalancer
}

/** Identity, typed: what the catalogue expects of its files. */
export function defineLoadBalancer(definition: LoadBalancerDefinition): LoadBalancerDefinition {
  return definition
}
