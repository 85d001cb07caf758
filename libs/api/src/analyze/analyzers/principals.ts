import authorizationPolicyKind from '../../kinds/authorization-policy.ts'
import namespaceKind from '../../kinds/namespace.ts'
import { defineAnalyzer, finding } from '../analyzer.ts'

/** Namespaces that authorization rules name. */
export default defineAnalyzer({
  name: 'principals',
  codes: ['IST0101'],
  *find(world) {
    // Files alone seldom hold the namespaces of the callers.
    if (world.list(namespaceKind).length === 0) return
    for (const policy of world.list(authorizationPolicyKind)) {
      for (const [rule, { from = [] }] of (policy.spec?.rules ?? []).entries()) {
        for (const [index, { source = {} }] of from.entries()) {
          for (const namespace of source.namespaces ?? []) {
            if (namespace.includes('*') || world.get(namespaceKind, undefined, namespace)) continue
            const path = `spec.rules[${rule}].from[${index}].source.namespaces`
            yield finding('IST0101', policy, ['namespace', namespace], path)
          }
        }
      }
    }
  },
})
