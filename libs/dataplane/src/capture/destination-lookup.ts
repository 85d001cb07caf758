import { canonicalIp } from '@ambient-lab/policy'
import type { CancelTimer, Clock, Random } from '@ambient-lab/std'
import type { Workload } from '@ambient-lab/xds'
import type { SocketAddress } from '../address.ts'
import { type DataplaneErrorCode, dataplaneError } from '../errors.ts'
import { SOURCE_WORKLOAD_WAIT_MS } from '../limits.ts'
import type { PlainNetwork } from '../plain-network.ts'
import type { ProxyStateHolder } from '../state/proxy-state-holder.ts'
import type { CapturedConnection } from './redirect.ts'
import { resolveHost } from './resolver.ts'

export interface DestinationLookupComponents {
  readonly clock: Clock
  readonly random: Random
  readonly state: ProxyStateHolder
  readonly network: PlainNetwork
}

export interface DestinationLookupHandlers {
  onFound(captured: CapturedConnection, source: Workload, destination: SocketAddress): void
  /** Nobody knows who dials, or whom: SOURCE_UNKNOWN without a source, UNKNOWN_HOST with one. */
  onRefused(captured: CapturedConnection, source: Workload | undefined, error: ReturnType<typeof dataplaneError>): void
}

/** The first questions about a captured connection, whoever takes it from here: which workload, which address. */
export class DestinationLookup {
  readonly #components: DestinationLookupComponents
  readonly #handlers: DestinationLookupHandlers
  readonly #clusterDomain: string

  constructor(
    components: DestinationLookupComponents,
    handlers: DestinationLookupHandlers,
    init: { readonly clusterDomain: string },
  ) {
    this.#components = components
    this.#handlers = handlers
    this.#clusterDomain = init.clusterDomain
  }

  /** Asks; never throws. */
  find(captured: CapturedConnection): void {
    const source = this.#components.state.current.workload(captured.source.uid)
    if (source) this.#resolve(captured, source)
    else this.#waitForSource(captured)
  }

  /** A pod may dial before the control plane's news of it arrived. */
  #waitForSource(captured: CapturedConnection): void {
    const { uid, name, namespace, identity } = captured.source
    let cancelTimeout: CancelTimer = () => {}
    const stopWaiting = this.#components.state.whenKnown(uid, (source) => {
      cancelTimeout()
      this.#resolve(captured, source)
    })
    cancelTimeout = this.#components.clock.schedule(
      SOURCE_WORKLOAD_WAIT_MS,
      () => {
        stopWaiting()
        const who = `${identity.serviceAccount}.${namespace} (${name})`
        this.#refuse(captured, undefined, 'SOURCE_UNKNOWN', `failed to fetch information about local workload: ${who}`)
      },
      { background: true },
    )
  }

  #resolve(captured: CapturedConnection, source: Workload): void {
    const { host, port } = captured.destination
    const { random, state, network } = this.#components
    const ofClusterOnly = captured.source.bypassesDnsCapture ?? false
    const asked = { host, source, clusterDomain: this.#clusterDomain, random, ofClusterOnly }
    const resolution = resolveHost(state.current, asked)
    if (resolution.kind === 'address') {
      return this.#handlers.onFound(captured, source, { address: resolution.address, port })
    }
    if (resolution.kind === 'unknown') return this.#refuseName(captured, source)
    void network.lookup(resolution.name).then((found) => {
      const address = found === undefined ? undefined : canonicalIp(found)
      if (address === undefined) this.#refuseName(captured, source)
      else this.#handlers.onFound(captured, source, { address, port })
    })
  }

  #refuseName(captured: CapturedConnection, source: Workload): void {
    this.#refuse(captured, source, 'UNKNOWN_HOST', `no such host: ${captured.destination.host}`)
  }

  #refuse(captured: CapturedConnection, source: Workload | undefined, code: DataplaneErrorCode, text: string): void {
    this.#handlers.onRefused(captured, source, dataplaneError(code, text))
  }
}
