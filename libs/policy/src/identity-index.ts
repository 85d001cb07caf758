import type { AuthorizationClause, AuthorizationMatch, StringMatch } from './authorization.ts'
import type { CompiledPolicy } from './compiled-policy.ts'
import type { ConnectionFacts } from './connection-facts.ts'
import { IDENTITY_INDEX_ANSWERS_MAX, IDENTITY_INDEX_POLICIES_MIN } from './limits.ts'

/** What a policy wants of the caller's identity before it can match at all; any one of them will do. */
interface WantedIdentities {
  readonly principals: Set<string>
  /** `namespace/serviceAccount`. */
  readonly serviceAccounts: Set<string>
  readonly namespaces: Set<string>
}

/**
 * Policies by the identity without which they cannot match, so that a caller meets its own and not five hundred of
 * other callers. What it leaves out would have been false; what it keeps is still asked, in the same order.
 */
export class IdentityIndex {
  readonly #policies: readonly CompiledPolicy[]
  /** Of each policy: the identities it wants, or undefined when it may match anybody. */
  readonly #wanted: readonly (WantedIdentities | undefined)[]
  readonly #anybody: readonly CompiledPolicy[]
  /** Principals, accounts and namespaces that some policy wants; strangers to all of them need no answer of their own. */
  readonly #known: WantedIdentities = { principals: new Set(), serviceAccounts: new Set(), namespaces: new Set() }
  readonly #answers = new Map<string, readonly CompiledPolicy[]>()

  /** @param policies in the order in which they are asked */
  constructor(policies: readonly CompiledPolicy[]) {
    this.#policies = policies
    this.#wanted =
      policies.length < IDENTITY_INDEX_POLICIES_MIN
        ? policies.map(() => undefined)
        : policies.map((policy) => identitiesOf(policy))
    for (const wanted of this.#wanted) if (wanted) addAll(this.#known, wanted)
    this.#anybody = policies.filter((_policy, index) => !this.#wanted[index])
  }

  /** Those that may match this connection, in order: every policy that is not here is false for it. */
  candidates(facts: ConnectionFacts): readonly CompiledPolicy[] {
    const { identity, principal } = facts
    if (!identity || principal === undefined || this.#anybody.length === this.#policies.length) return this.#anybody
    const known = this.#answers.get(principal)
    if (known) return known
    const account = `${identity.namespace}/${identity.serviceAccount}`
    if (!wants(this.#known, principal, account, identity.namespace)) return this.#anybody
    const answer = this.#policies.filter((_policy, index) => {
      const wanted = this.#wanted[index]
      return !wanted || wants(wanted, principal, account, identity.namespace)
    })
    if (this.#answers.size >= IDENTITY_INDEX_ANSWERS_MAX) this.#answers.clear()
    this.#answers.set(principal, answer)
    return answer
  }
}

function wants(wanted: WantedIdentities, principal: string, account: string, namespace: string): boolean {
  return wanted.principals.has(principal) || wanted.serviceAccounts.has(account) || wanted.namespaces.has(namespace)
}

/** Rules are ORed, so every one of them must name identities. */
function identitiesOf(policy: CompiledPolicy): WantedIdentities | undefined {
  const all: WantedIdentities = { principals: new Set(), serviceAccounts: new Set(), namespaces: new Set() }
  for (const { clauses } of policy.source.rules) {
    // Clauses are ANDed: the first that names identities is a bound on the whole rule.
    const wanted = firstDefined(clauses, identitiesOfClause)
    if (!wanted) return undefined
    addAll(all, wanted)
  }
  return all
}

/** Matches are ORed, so every one of them must name identities; one without any field is false and adds nothing. */
function identitiesOfClause(clause: AuthorizationClause): WantedIdentities | undefined {
  if (clause.matches.length === 0) return undefined
  const all: WantedIdentities = { principals: new Set(), serviceAccounts: new Set(), namespaces: new Set() }
  for (const match of clause.matches) {
    if (Object.values(match).every((values) => values.length === 0)) continue
    if (!addMatch(all, match)) return undefined
  }
  return all
}

/** Fields are ANDed: any one that lists whole names is a bound on the match. */
function addMatch(all: WantedIdentities, match: AuthorizationMatch): boolean {
  return (
    addExact(all.principals, match.principals) ||
    addAccounts(all.serviceAccounts, match) ||
    addExact(all.namespaces, match.namespaces)
  )
}

function addExact(names: Set<string>, values: readonly StringMatch[] | undefined): boolean {
  if (!values || values.length === 0) return false
  if (!values.every((value) => 'exact' in value)) return false
  for (const value of values) names.add(value.exact)
  return true
}

function addAccounts(names: Set<string>, match: AuthorizationMatch): boolean {
  const accounts = match.serviceAccounts ?? []
  for (const { namespace, serviceAccount } of accounts) names.add(`${namespace}/${serviceAccount}`)
  return accounts.length > 0
}

function addAll(to: WantedIdentities, from: WantedIdentities): void {
  for (const principal of from.principals) to.principals.add(principal)
  for (const account of from.serviceAccounts) to.serviceAccounts.add(account)
  for (const namespace of from.namespaces) to.namespaces.add(namespace)
}

function firstDefined<T, R>(items: readonly T[], of: (item: T) => R | undefined): R | undefined {
  for (const item of items) {
    const found = of(item)
    if (found !== undefined) return found
  }
  return undefined
}
