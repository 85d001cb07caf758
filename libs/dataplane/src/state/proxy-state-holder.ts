import type { Authorization } from '@ambient-lab/policy'
import { assert, Emitter, errorMessage } from '@ambient-lab/std'
import {
  ADDRESS_TYPE,
  type Address,
  AUTHORIZATION_TYPE,
  NODE_TYPE,
  type Node,
  type TypeUrl,
  type Workload,
} from '@ambient-lab/xds'
import { ProxyState } from './proxy-state.ts'
import { ProxyStateDraft } from './proxy-state-draft.ts'
import { checkAddress, checkAuthorization, checkNode } from './resource-checks.ts'

export interface Upsert {
  readonly name: string
  readonly resource: unknown
}

/** Why one resource of a push was refused; the rest of the push applies. */
export interface ResourceError {
  readonly name: string
  readonly reason: string
}

const STATE_TYPES: readonly TypeUrl[] = [ADDRESS_TYPE, AUTHORIZATION_TYPE, NODE_TYPE]

/** Holds the current snapshot and swaps it whole. */
export class ProxyStateHolder {
  /** Which type changed; comes after the swap. */
  readonly onChange = new Emitter<TypeUrl>()
  #current: ProxyState

  /** @param initial where it starts; nobody is told about that one */
  constructor(initial: ProxyState = ProxyState.empty) {
    this.#current = initial
  }

  get current(): ProxyState {
    return this.#current
  }

  /** Whether a type is part of the snapshot; the others (assignments, faults, loads) are the agent's own. */
  static holds(typeUrl: TypeUrl): boolean {
    return STATE_TYPES.includes(typeUrl)
  }

  /**
   * Applies one push. What is in order takes effect at once and together; what is not is refused one by one, and keeps
   * its former version.
   * @returns the refusals, for the NACK
   */
  apply(typeUrl: TypeUrl, upserts: readonly Upsert[], removed: readonly string[]): readonly ResourceError[] {
    assert(ProxyStateHolder.holds(typeUrl), `${typeUrl} is no part of the proxy's state`)
    // A control plane that came back confirms what is held: no news, and nothing to ask policy about again.
    if (upserts.length === 0 && removed.length === 0) return []
    const errors: ResourceError[] = []
    const draft = new ProxyStateDraft(this.#current)
    const check = <T>(checkOne: (name: string, resource: unknown) => T): T[] =>
      upserts.flatMap(({ name, resource }) => {
        try {
          return [checkOne(name, resource)]
        } catch (error) {
          errors.push({ name, reason: errorMessage(error) })
          return []
        }
      })
    if (typeUrl === ADDRESS_TYPE) applyAddresses(draft, check(checkAddress), removed)
    else if (typeUrl === NODE_TYPE) applyNodes(draft, check(checkNode), removed)
    else applyPolicies(draft, check(checkAuthorization), removed, errors)
    this.#current = draft.finish()
    this.onChange.emit(typeUrl)
    return errors
  }

  /** Calls back once the workload is known, at once if it is. Returns the way to stop waiting. */
  whenKnown(uid: string, callback: (workload: Workload) => void): () => void {
    const known = this.#current.workload(uid)
    if (known) {
      callback(known)
      return () => {}
    }
    const stop = this.onChange.on(() => {
      const workload = this.#current.workload(uid)
      if (!workload) return
      stop()
      callback(workload)
    })
    return stop
  }
}

function applyAddresses(draft: ProxyStateDraft, addresses: readonly Address[], removed: readonly string[]): void {
  for (const name of removed) draft.removeAddress(name)
  for (const address of addresses) draft.upsertAddress(address)
}

function applyNodes(draft: ProxyStateDraft, nodes: readonly Node[], removed: readonly string[]): void {
  for (const name of removed) draft.removeNode(name)
  for (const node of nodes) draft.upsertNode(node)
}

function applyPolicies(
  draft: ProxyStateDraft,
  policies: readonly Authorization[],
  removed: readonly string[],
  errors: ResourceError[],
): void {
  draft.policies = draft.policies.with(policies, removed, (policy, error) => {
    errors.push({ name: `${policy.namespace}/${policy.name}`, reason: errorMessage(error) })
  })
}
