import type { Ztunnel } from '@ambient-lab/dataplane'
import type { SvidSource } from '@ambient-lab/pki'
import { type Clock, CodedError } from '@ambient-lab/std'
import type { Logging, MetricsRegistry } from '@ambient-lab/telemetry'
import type { AdminSource } from './admin.ts'
import type { AgentConfig } from './config.ts'
import { configDump, dumpCertificates } from './config-dump.ts'
import { Profiles } from './profiles.ts'
import type { Readiness } from './readiness.ts'
import { VERSION } from './version.ts'
import type { WorkloadHost } from './workload-host.ts'

interface Parts {
  readonly config: AgentConfig
  readonly ztunnel: Ztunnel
  readonly svids: SvidSource
  readonly host: WorkloadHost
  readonly metrics: MetricsRegistry
  readonly readiness: Readiness
  readonly logging: Logging
  readonly clock: Clock
  readonly quit: () => void
}

/** What the admin servers show of a running agent. */
export function createAdminSource(parts: Parts): AdminSource {
  const { config, ztunnel, svids, host, metrics, readiness, logging, clock, quit } = parts
  const connections = () => ztunnel.traffic({ edgesOnly: false })
  return {
    title: `ztunnel on node ${config.node}`,
    configDump: () =>
      configDump({
        version: VERSION,
        config,
        state: ztunnel.state.current,
        svids,
        hosted: host.workloads,
        connections: connections().connections,
      }),
    certificates: () => dumpCertificates(svids),
    connections,
    metrics: () => metrics.expose(),
    pending: () => readiness.pending(),
    logLevel: {
      current: () => logging.levels,
      set: (levels) => setLevels(logging, levels),
      reset: () => logging.reset(),
    },
    profiles: new Profiles({ clock }),
    quit,
  }
}

function setLevels(logging: Logging, levels: string): boolean {
  try {
    logging.setLevels(levels)
    return true
  } catch (error) {
    if (CodedError.is(error, 'LOG_LEVEL_INVALID')) return false
    throw error
  }
}
