import type { Authorization } from './authorization.ts'
import { type CompiledPolicy, compilePolicy } from './compiled-policy.ts'
import { PolicyTable } from './policy-table.ts'

/** The policies that apply to one workload. */
export interface ApplicablePolicies {
  readonly deny: PolicyTable<CompiledPolicy<Authorization>>
  readonly allow: PolicyTable<CompiledPolicy<Authorization>>
}

/** What decides which policies apply to a workload. */
export interface PolicySubject {
  readonly namespace: string
  /** Keys of the selector policies that name this workload. */
  readonly authorizationPolicies: readonly string[]
}

const NONE: ApplicablePolicies = { deny: new PolicyTable([]), allow: new PolicyTable([]) }

type L4Policy = CompiledPolicy<Authorization>

/**
 * Every policy a proxy knows, immutable. Indexed by where a policy applies, so that one that cannot match costs
 * nothing: a connection meets the global ones, its workload's namespace's, and those attached to the workload.
 */
export class PolicySet {
  static readonly empty = new PolicySet(new Map())

  readonly #byKey: ReadonlyMap<string, L4Policy>
  readonly #global: readonly L4Policy[]
  readonly #byNamespace = new Map<string, L4Policy[]>()
  /** Answers for workloads without attachments, by namespace. */
  readonly #plain = new Map<string, ApplicablePolicies>()
  /** Answers for workloads with attachments; their list is part of an immutable workload, so it can be the key. */
  readonly #attached = new WeakMap<readonly string[], ApplicablePolicies>()

  private constructor(byKey: ReadonlyMap<string, L4Policy>) {
    this.#byKey = byKey
    const global: L4Policy[] = []
    for (const policy of byKey.values()) {
      if (policy.source.scope === 'GLOBAL') global.push(policy)
      else if (policy.source.scope === 'NAMESPACE') this.#ofNamespace(policy.source.namespace).push(policy)
    }
    this.#global = global
  }

  get size(): number {
    return this.#byKey.size
  }

  get(key: string): L4Policy | undefined {
    return this.#byKey.get(key)
  }

  values(): Iterable<L4Policy> {
    return this.#byKey.values()
  }

  /**
   * A set with `upserts` compiled in and `removed` keys gone.
   * @param onError told about each policy that cannot be compiled; what the set held under its key stays
   */
  with(
    upserts: readonly Authorization[],
    removed: readonly string[],
    onError: (policy: Authorization, error: unknown) => void,
  ): PolicySet {
    const byKey = new Map(this.#byKey)
    for (const key of removed) byKey.delete(key)
    for (const source of upserts) {
      try {
        const policy = compilePolicy(source)
        byKey.set(policy.key, policy)
      } catch (error) {
        onError(source, error)
      }
    }
    return new PolicySet(byKey)
  }

  /** Policies of a workload: global, its namespace's, attached. An attachment that is not here yet is left out. */
  applicableTo(subject: PolicySubject): ApplicablePolicies {
    const { namespace, authorizationPolicies: attachments } = subject
    const cached = attachments.length > 0 ? this.#attached.get(attachments) : this.#plain.get(namespace)
    if (cached) return cached
    const attached = attachments.flatMap((key) => this.#byKey.get(key) ?? [])
    const applicable = sortByAction([...this.#global, ...(this.#byNamespace.get(namespace) ?? []), ...attached])
    if (attachments.length > 0) this.#attached.set(attachments, applicable)
    else this.#plain.set(namespace, applicable)
    return applicable
  }

  #ofNamespace(namespace: string): L4Policy[] {
    const policies = this.#byNamespace.get(namespace) ?? []
    this.#byNamespace.set(namespace, policies)
    return policies
  }
}

function sortByAction(policies: readonly L4Policy[]): ApplicablePolicies {
  if (policies.length === 0) return NONE
  return {
    deny: new PolicyTable(policies.filter((policy) => policy.source.action === 'DENY')),
    allow: new PolicyTable(policies.filter((policy) => policy.source.action === 'ALLOW')),
  }
}
