import { canonicalIp } from '@ambient-lab/policy'
import type { MetricsRegistry } from '@ambient-lab/telemetry'
import type { Workload } from '@ambient-lab/xds'
import { dataplaneError } from '../errors.ts'
import type { PlainNetwork } from '../plain-network.ts'
import { sourceLabels } from './traffic-series.ts'

const LABELS = [
  'source_workload',
  'source_canonical_service',
  'source_canonical_revision',
  'source_workload_namespace',
  'source_principal',
  'source_app',
  'source_version',
  'source_cluster',
  'hostname',
] as const

/** Resolves workloads that have a name instead of an address, when they are connected to. */
export class OnDemandDns {
  readonly #network: PlainNetwork
  readonly #requests

  constructor({ network, metrics }: { readonly network: PlainNetwork; readonly metrics: MetricsRegistry }) {
    this.#network = network
    this.#requests = metrics.counter({
      name: 'istio_on_demand_dns_total',
      help: 'Total number of requests that used on-demand DNS',
      labels: LABELS,
    })
  }

  /** @throws CodedError UNKNOWN_HOST */
  async resolve(source: Workload, { uid, hostname }: Workload): Promise<string> {
    this.#requests.labels({ ...sourceLabels(source), hostname }).inc()
    const found = await this.#network.lookup(hostname)
    const address = found === undefined ? undefined : canonicalIp(found)
    if (address !== undefined) return address
    throw dataplaneError('UNKNOWN_HOST', `no ip addresses were resolved for workload: ${uid}`, { origin: 'upstream' })
  }
}
