import type { Authorization } from './authorization.ts'
import { type CompiledPolicy, compilePolicy } from './compiled-policy.ts'
import { IdentityIndex } from './identity-index.ts'

/** The policies that apply to one workload, in the order in which they are asked. */
export interface ApplicablePolicies {
  readonly deny: readonly CompiledPolicy[]
  readonly allow: readonly CompiledPolicy[]
  readonly denyIndex: IdentityIndex
  readonly allowIndex: IdentityIndex
  /** Some ALLOW policy is enforced, so one of them has to match. */
  readonly allowRequired: boolean
}

/** What decides which policies apply to a workload. */
export interface PolicySubject {
  readonly namespace: string
  /** Keys of the selector policies that name this workload. */
  readonly authorizationPolicies: readonly string[]
}

const NONE = inOrder([], [])

/**
 * Every policy a proxy knows, immutable. Indexed by where a policy applies, so that one that cannot match costs
 * nothing: a connection meets the global ones, its workload's namespace's, and those attached to the workload.
 */
export class PolicySet {
  static readonly empty = new PolicySet(new Map())

  readonly #byKey: ReadonlyMap<string, CompiledPolicy>
  readonly #global: readonly CompiledPolicy[]
  readonly #byNamespace = new Map<string, CompiledPolicy[]>()
  /** Answers for workloads without attachments, by namespace. */
  readonly #plain = new Map<string, ApplicablePolicies>()
  /** Answers for workloads with attachments; their list is part of an immutable workload, so it can be the key. */
  readonly #attached = new WeakMap<readonly string[], ApplicablePolicies>()

  private constructor(byKey: ReadonlyMap<string, CompiledPolicy>) {
    this.#byKey = byKey
    const global: CompiledPolicy[] = []
    for (const policy of byKey.values()) {
      if (policy.source.scope === 'GLOBAL') global.push(policy)
      else if (policy.source.scope === 'NAMESPACE') this.#ofNamespace(policy.source.namespace).push(policy)
    }
    this.#global = global
  }

  get size(): number {
    return this.#byKey.size
  }

  get(key: string): CompiledPolicy | undefined {
    return this.#byKey.get(key)
  }

  values(): Iterable<CompiledPolicy> {
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

  #ofNamespace(namespace: string): CompiledPolicy[] {
    const policies = this.#byNamespace.get(namespace) ?? []
    this.#byNamespace.set(namespace, policies)
    return policies
  }
}

function sortByAction(policies: readonly CompiledPolicy[]): ApplicablePolicies {
  if (policies.length === 0) return NONE
  return inOrder(
    policies.filter((policy) => policy.source.action === 'DENY'),
    policies.filter((policy) => policy.source.action === 'ALLOW'),
  )
}

function inOrder(deny: readonly CompiledPolicy[], allow: readonly CompiledPolicy[]): ApplicablePolicies {
  return {
    deny,
    allow,
    denyIndex: new IdentityIndex(deny),
    allowIndex: new IdentityIndex(allow),
    allowRequired: allow.some((policy) => !policy.source.dryRun),
  }
}
