import { type SpiffeId, sameSpiffeId } from '@ambient-lab/pki'
import type { Workload } from '@ambient-lab/xds'
import type { ProxyStateHolder } from '../state/proxy-state-holder.ts'
import { factsOf } from './workload-facts.ts'

/**
 * The certificate proves who calls, not from where. A claimed address that belongs to another identity is refused;
 * gateways and waypoints, which speak for others, are excepted, and so is an address that nobody here knows yet.
 */
export class SourceCheck {
  readonly #state: ProxyStateHolder
  #gateways: { readonly version: number; readonly ids: readonly SpiffeId[] } = { version: -1, ids: [] }

  constructor({ state }: { readonly state: ProxyStateHolder }) {
    this.#state = state
  }

  /**
   * @param source the workload at the address that a peer claims
   * @param remote whom its certificate names
   * @returns undefined when the claim may be believed
   */
  refusalOf(source: Workload | undefined, address: string, remote: SpiffeId): string | undefined {
    if (!source || speaksForOthers(source) || sameSpiffeId(factsOf(source).id, remote)) return undefined
    return this.#isOfGateway(remote) ? undefined : sourceMismatch(address)
  }

  /** Gateways are few and their set changes seldom: found once per snapshot, and only when somebody claims to be one. */
  #isOfGateway(remote: SpiffeId): boolean {
    const state = this.#state.current
    if (this.#gateways.version !== state.version) {
      const gateways = [...state.indexes.workloads.values()].filter(speaksForOthers)
      this.#gateways = { version: state.version, ids: gateways.map((workload) => factsOf(workload).id) }
    }
    return this.#gateways.ids.some((id) => sameSpiffeId(id, remote))
  }
}

/** A waypoint or a gateway; a sidecar speaks for its own workload alone. */
export function speaksForOthers({ nativeTunnel, sidecar }: Workload): boolean {
  return nativeTunnel && sidecar === undefined
}

export function sourceMismatch(address: string): string {
  return `source ${address} does not belong to the identity of the peer`
}
