import serviceEntryKind from '../../kinds/service-entry.ts'
import { defineAnalyzer, finding } from '../analyzer.ts'

/** Entries for TCP that have no address to be told apart by. */
export default defineAnalyzer({
  name: 'service-entry-addresses',
  codes: ['IST0134'],
  *find(world) {
    if (world.settings.allocatesEntryAddresses) return
    for (const entry of world.list(serviceEntryKind)) {
      if ((entry.spec?.addresses ?? []).length > 0) continue
      for (const [index, { protocol = '' }] of (entry.spec?.ports ?? []).entries()) {
        if (/^(tcp)?$/i.test(protocol)) yield finding('IST0134', entry, [], `spec.ports[${index}].protocol`)
      }
    }
  },
})
