import { parseDuration } from '@ambient-lab/std'
import { LINK_FAULT_TYPE, type LinkFault } from '@ambient-lab/xds'
import { stableSeed } from '../cluster.ts'
import { faultEndsAtMs } from '../fault-schedule.ts'
import { FAULTS } from '../stored-kinds.ts'
import { defineTranslation } from './translation.ts'

const TYPES: Readonly<Record<string, LinkFault['type']>> = { 'link.delay': 'delay', partition: 'partition' }

/** What agents do themselves: faults of links, while they are active. */
export default defineTranslation({
  name: 'fault',
  kind: FAULTS,
  typeUrl: LINK_FAULT_TYPE,
  translate(fault) {
    const { metadata, spec, status } = fault
    const type = spec && TYPES[spec.type]
    if (!type || status?.phase !== 'Active' || metadata.deletionTimestamp) return []
    const endsAtMs = faultEndsAtMs(fault)
    const resource = {
      name: metadata.name,
      type,
      from: spec.from ?? [],
      to: spec.to ?? [],
      oneway: spec.oneway ?? false,
      delayMs: parseDuration(spec.params?.delay ?? '') ?? 0,
      jitterMs: parseDuration(spec.params?.jitter ?? '') ?? 0,
      ...(endsAtMs !== undefined && { endsAtMs }),
      seed: stableSeed(metadata.uid ?? metadata.name),
    }
    return [{ name: metadata.name, resource }]
  },
})
