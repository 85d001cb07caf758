import authorizationPolicyKind, { type AuthorizationPolicy } from '../../kinds/authorization-policy.ts'
import { objectKey } from '../../resource.ts'
import { servicesOf, targetRefsOf, waypointState } from '../ambient-mesh.ts'
import { defineAnalyzer, finding } from '../analyzer.ts'

/** Policies by selector that name callers, where the caller is always the waypoint. */
export default defineAnalyzer({
  name: 'selector-behind-waypoint',
  codes: ['AM0106'],
  *find(world) {
    for (const policy of world.list(authorizationPolicyKind)) {
      const labels = policy.spec?.selector?.matchLabels
      if (!labels || targetRefsOf(policy).length > 0 || !namesCallers(policy)) continue
      const services = world
        .workloadsWith(labels, policy.metadata.namespace ?? '')
        .flatMap((one) => servicesOf(world, one))
      for (const service of new Set(services)) {
        const waypoint = waypointState(world, service)
        if (waypoint.state !== 'ok' || lets(policy, waypoint.key)) continue
        yield finding('AM0106', policy, [waypoint.key, objectKey(service.metadata)], 'spec.selector')
        break
      }
    }
  },
})

function sourcesOf({ spec }: AuthorizationPolicy) {
  return (spec?.rules ?? []).flatMap(({ from = [] }) => from.map(({ source = {} }) => source))
}

function namesCallers(policy: AuthorizationPolicy): boolean {
  return sourcesOf(policy).some(
    ({ principals, notPrincipals, namespaces, notNamespaces, serviceAccounts, notServiceAccounts }) =>
      principals ?? notPrincipals ?? namespaces ?? notNamespaces ?? serviceAccounts ?? notServiceAccounts,
  )
}

/** Whether it speaks of the waypoint itself, as the recipe that makes a waypoint mandatory does. */
function lets(policy: AuthorizationPolicy, key: string): boolean {
  const [namespace, name] = key.split('/')
  return sourcesOf(policy).some(
    ({ principals = [], notPrincipals = [], serviceAccounts = [], notServiceAccounts = [] }) =>
      [...principals, ...notPrincipals, ...serviceAccounts, ...notServiceAccounts].some(
        (text) => text.endsWith(`/ns/${namespace}/sa/${name}`) || text === key || text === name,
      ),
  )
}
