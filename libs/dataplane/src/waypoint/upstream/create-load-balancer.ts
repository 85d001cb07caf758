import { defineCatalog } from '@ambient-lab/std'
import type { ClusterLoadBalancing } from '@ambient-lab/xds'
import type { LoadBalancer, LoadBalancerDefinition, WeightedHost } from './load-balancer.ts'
import catalog from './load-balancers/_catalog.ts'

/** Every balancer of the catalogue, by its policy. */
export const LOAD_BALANCERS: ReadonlyMap<string, LoadBalancerDefinition> = defineCatalog<LoadBalancerDefinition>(
  catalog,
  ({ policy }) => policy,
)

/** PASSTHROUGH, whose one host is where the client was going, balances like the default. */
export function createLoadBalancer(hosts: readonly WeightedHost[], init: ClusterLoadBalancing): LoadBalancer {
  const policy = init.policy === 'PASSTHROUGH' ? 'LEAST_REQUEST' : init.policy
  return LOAD_BALANCERS.get(policy)!.create(hosts, init)
}
