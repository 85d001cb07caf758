import envoyFilterKind, { type EnvoyConfigPatch, type EnvoyFilter } from '../../kinds/envoy-filter.ts'
import { defineAnalyzer, finding } from '../analyzer.ts'
import type { Finding } from '../finding.ts'

/** Where nothing can be added or removed. */
const WHOLE = ['ROUTE_CONFIGURATION', 'HTTP_ROUTE']
const REPLACEABLE = ['HTTP_FILTER', 'NETWORK_FILTER', 'VIRTUAL_HOST']

/** Patches that Envoy's configuration ignores, or whose place depends on luck. */
export default defineAnalyzer({
  name: 'envoy-filter-patches',
  codes: ['IST0151', 'IST0152', 'IST0153', 'IST0154', 'IST0155'],
  *find(world) {
    /** Names of filters that only some proxy versions get, of all EnvoyFilters so far. */
    const versioned = new Set<string>()
    for (const filter of world.list(envoyFilterKind)) {
      const found = new Set<string>()
      for (const [index, patch] of (filter.spec?.configPatches ?? []).entries()) {
        if (!patch.patch) break
        const one = findOf(filter, patch, `spec.configPatches[${index}]`, versioned)
        // Of one filter each thing is said once: the words are the same.
        if (one && found.size !== found.add(one.code).size) yield one
        if (patch.match?.proxy?.proxyVersion) versioned.add(nameOf(patch))
      }
    }
  },
})

function findOf(
  filter: EnvoyFilter,
  patch: EnvoyConfigPatch,
  path: string,
  versioned: ReadonlySet<string>,
): Finding | undefined {
  const { applyTo = '' } = patch
  const relative = (): Finding | undefined => {
    if (filter.spec?.priority) return undefined
    return finding(versioned.has(nameOf(patch)) ? 'IST0155' : 'IST0151', filter, [], path)
  }
  switch (patch.patch?.operation) {
    case 'ADD':
      return WHOLE.includes(applyTo) ? finding('IST0153', filter, [], path) : undefined
    case 'REMOVE':
      return WHOLE.includes(applyTo) ? finding('IST0154', filter, [], path) : relative()
    case 'REPLACE':
      return REPLACEABLE.includes(applyTo) ? relative() : finding('IST0152', filter, [], path)
    case 'INSERT_BEFORE':
    case 'INSERT_AFTER':
      return relative()
    default:
      return undefined
  }
}

/** Of what is put in, or else of the filter that it is put beside. */
function nameOf({ patch, match }: EnvoyConfigPatch): string {
  if (!patch?.value) return ''
  const { name } = patch.value
  return typeof name === 'string' ? name : (match?.listener?.filterChain?.filter?.name ?? '')
}
