/** Exactly one field is set. `presence` matches any value, and no value not at all. */
export type StringMatch =
  | { readonly exact: string }
  | { readonly prefix: string }
  | { readonly suffix: string }
  | { readonly presence: true }

export interface ServiceAccountMatch {
  readonly namespace: string
  readonly serviceAccount: string
}

/** Fields that are not empty are ANDed; the values of one field are ORed. A match with no field at all is false. */
export interface AuthorizationMatch {
  readonly namespaces?: readonly StringMatch[]
  readonly notNamespaces?: readonly StringMatch[]
  readonly principals?: readonly StringMatch[]
  readonly notPrincipals?: readonly StringMatch[]
  readonly serviceAccounts?: readonly ServiceAccountMatch[]
  readonly notServiceAccounts?: readonly ServiceAccountMatch[]
  /** CIDRs. */
  readonly sourceIps?: readonly string[]
  readonly notSourceIps?: readonly string[]
  readonly destinationIps?: readonly string[]
  readonly notDestinationIps?: readonly string[]
  readonly destinationPorts?: readonly number[]
  readonly notDestinationPorts?: readonly number[]
}

/** Matches are ORed; no match at all is true. */
export interface AuthorizationClause<M = AuthorizationMatch> {
  readonly matches: readonly M[]
}

/** Clauses are ANDed; no clause at all matches everything. */
export interface AuthorizationRule<M = AuthorizationMatch> {
  readonly clauses: readonly AuthorizationClause<M>[]
}

/** An L4 policy as ztunnel knows it; its resource name is `namespace/name`. */
export interface Authorization {
  readonly name: string
  readonly namespace: string
  readonly scope: 'GLOBAL' | 'NAMESPACE' | 'WORKLOAD_SELECTOR'
  readonly action: 'ALLOW' | 'DENY'
  /** ORed; a policy without rules matches nothing. */
  readonly rules: readonly AuthorizationRule[]
  readonly dryRun: boolean
}
