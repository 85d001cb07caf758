import { parseRatePerSecond } from '@ambient-lab/api'
import { parseBytes, parseDuration } from '@ambient-lab/std'
import { LOAD_RUN_TYPE } from '@ambient-lab/xds'
import { loadSource } from '../load-source.ts'
import { LOADS } from '../stored-kinds.ts'
import { defineTranslation } from './translation.ts'

const IN_FLIGHT_MAX_DEFAULT = 256
const TCP_BYTES_DEFAULT = 1024

/** A run for the node of the pod that was chosen to send. */
export default defineTranslation({
  name: 'load',
  kind: LOADS,
  typeUrl: LOAD_RUN_TYPE,
  translate(load) {
    const { metadata, spec, status } = load
    const source = loadSource(load)
    if (!spec || !source || !status?.node || metadata.deletionTimestamp) return []
    if (status.phase === 'Finished' || status.phase === 'Failed') return []
    const durationMs = parseDuration(spec.duration ?? '')
    const resource = {
      name: metadata.name,
      namespace: metadata.namespace ?? '',
      source,
      url: spec.url,
      method: spec.method ?? 'GET',
      headers: spec.headers ?? {},
      body: spec.body ?? '',
      ratePerSecond: parseRatePerSecond(spec.rate) ?? 0,
      ...(durationMs !== undefined && { durationMs }),
      warmupMs: parseDuration(spec.warmup ?? '') ?? 0,
      bytes: parseBytes(spec.bytes ?? '') ?? TCP_BYTES_DEFAULT,
      inFlightMax: spec.maxInFlight ?? IN_FLIGHT_MAX_DEFAULT,
    }
    return [{ name: `${metadata.namespace}/${metadata.name}`, resource, nodes: [status.node] }]
  },
})
