import telemetryKind from '../../kinds/telemetry.ts'
import { defineAnalyzer, finding } from '../analyzer.ts'

/** Access logs that are switched on without anybody to write them. */
export default defineAnalyzer({
  name: 'telemetry-providers',
  codes: ['IST0157'],
  *find(world) {
    for (const telemetry of world.list(telemetryKind)) {
      const { name, namespace = '' } = telemetry.metadata
      const index = (telemetry.spec?.accessLogging ?? []).findIndex(
        ({ providers = [], disabled }) => providers.length === 0 && disabled !== true,
      )
      if (index >= 0) yield finding('IST0157', telemetry, [name, namespace], `spec.accessLogging[${index}]`)
    }
  },
})
