import type { Revocations } from '@ambient-lab/pki'
import type { Counter, MetricsRegistry } from '@ambient-lab/telemetry'
import type { TypeUrl } from '@ambient-lab/xds'
import type { HostedWorkload } from './hosting/hosted-workload.ts'
import { VERSION } from './version.ts'

/** ztunnel's metrics about itself; those about traffic belong to the data path. */
export class AgentMetrics {
  readonly started: Counter
  readonly #registry: MetricsRegistry
  readonly stopped: Counter
  readonly #terminations: (reason: 'ConnectionError' | 'Reconnect') => Counter
  readonly #messages: (typeUrl: TypeUrl) => Counter
  readonly #bytes: (typeUrl: TypeUrl) => Counter

  /** @param proxies the workloads of this node */
  constructor(metrics: MetricsRegistry, proxies: () => readonly Pick<HostedWorkload, 'capture'>[]) {
    metrics
      .gauge({ name: 'istio_build', help: 'Istio component build info', labels: ['component', 'tag'] })
      .labels({ component: 'ztunnel', tag: VERSION })
      .set(1)
    this.#registry = metrics
    const gauge = (name: string, help: string) => metrics.gauge({ name, help, labels: [] }).labels({})
    const active = gauge('istio_active_proxy_count_total', 'The total number current workloads with active proxies')
    const pending = gauge('istio_pending_proxy_count_total', 'The total number current workloads with pending proxies')
    metrics.onCollect(() => {
      const all = proxies()
      const activeCount = all.filter(({ capture }) => capture).length
      active.set(activeCount)
      pending.set(all.length - activeCount)
    })
    const counter = (name: string, help: string) => metrics.counter({ name, help, labels: [] }).labels({})
    this.started = counter('istio_proxies_started_total', 'The total number of workload proxies that were started')
    this.stopped = counter('istio_proxies_stopped_total', 'The total number of workload proxies that were stopped')
    const terminations = metrics.counter({
      name: 'istio_xds_connection_terminations_total',
      help: 'The total number of completed connections to the control plane',
      labels: ['reason'],
    })
    this.#terminations = (reason) => terminations.labels({ reason })
    const messages = metrics.counter({
      name: 'istio_xds_message_total',
      help: 'The total number of messages received from the control plane',
      labels: ['url'],
    })
    this.#messages = (url) => messages.labels({ url })
    const bytes = metrics.counter({
      name: 'istio_xds_message_bytes_total',
      help: 'The total number of bytes received from the control plane',
      labels: ['url'],
    })
    this.#bytes = (url) => bytes.labels({ url })
  }

  /** Every tunnel is known with its peer's certificate, so that none is ever left untracked. */
  countRevocations(revocations: Pick<Revocations, 'rejected'>): void {
    const counter = (name: string, help: string) => this.#registry.counter({ name, help, labels: [] }).labels({})
    const rejected = counter('istio_crl_policy_rejections_total', 'The total number of peers rejected by a CRL')
    counter('istio_crl_untracked_connections_total', 'The total number of connections that a CRL cannot close')
    this.#registry.onCollect(() => rejected.inc(revocations.rejected - rejected.value))
  }

  linkLost(wasConnected: boolean): void {
    this.#terminations(wasConnected ? 'Reconnect' : 'ConnectionError').inc()
  }

  /** @param bytes of the message */
  pushed(typeUrl: TypeUrl, bytes: number): void {
    this.#messages(typeUrl).inc()
    this.#bytes(typeUrl).inc(bytes)
  }
}
