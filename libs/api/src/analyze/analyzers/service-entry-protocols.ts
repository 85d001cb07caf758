import serviceEntryKind, { type ServiceEntry } from '../../kinds/service-entry.ts'
import { objectKey } from '../../resource.ts'
import { defineAnalyzer, finding } from '../analyzer.ts'
import { shareViewers } from '../hosts.ts'

interface Claim {
  readonly entry: ServiceEntry
  readonly protocol: string
  readonly path: string
}

/** Entries that say different protocols of one host and port, where somebody sees both. */
export default defineAnalyzer({
  name: 'service-entry-protocols',
  codes: ['IST0177'],
  *find(world) {
    const claims = Map.groupBy(
      world.list(serviceEntryKind).flatMap((entry) =>
        (entry.spec?.hosts ?? []).flatMap((host) =>
          (entry.spec?.ports ?? []).map(({ number, protocol = '' }, index) => ({
            ...{ entry, host, number, protocol: protocol.toUpperCase(), path: `spec.ports[${index}].protocol` },
          })),
        ),
      ),
      ({ host, number }) => `${host}\0${number}`,
    )
    for (const same of claims.values()) {
      for (const claim of same) {
        const others = same.filter((other) => contradicts(claim, other))
        if (others.length === 0) continue
        const all = [claim, ...others]
        const names = all.map(({ entry }) => objectKey(entry.metadata)).sort()
        const protocols = [...new Set(all.map(({ protocol }) => protocol))].sort()
        yield finding(
          'IST0177',
          claim.entry,
          [names.join(', '), claim.host, claim.number, protocols.join(', ')],
          claim.path,
        )
      }
    }
  },
})

function contradicts(a: Claim, b: Claim): boolean {
  return a.entry !== b.entry && a.protocol !== b.protocol && shareViewers(a.entry, b.entry)
}
