import telemetryKind, { type Telemetry } from '../../kinds/telemetry.ts'
import { targetRefsOf } from '../ambient-mesh.ts'
import { defineAnalyzer } from '../analyzer.ts'
import { conflictingSelectors } from '../conflicting-selectors.ts'

/** Pods that have more than one Telemetry. */
export default defineAnalyzer({
  name: 'telemetries',
  codes: ['IST0159', 'IST0160'],
  find: (world) =>
    conflictingSelectors(world, {
      objects: world.list(telemetryKind).filter((telemetry) => targetRefsOf(telemetry).length === 0),
      selectorOf: (object) => (object as Telemetry).spec?.selector?.matchLabels,
      selectorPath: 'spec.selector',
      codes: ['IST0160', 'IST0159'],
    }),
})
