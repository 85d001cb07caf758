import type { AuthorizationClause, AuthorizationMatch, AuthorizationRule, StringMatch } from './authorization.ts'

/** Any text in place of each `*`; all of the value has to fit. */
export interface GlobMatch {
  readonly glob: string
}

/** A whole path: `{*}` is one segment, `{**}` any number of them, and it comes last. Both as Envoy's URI templates. */
export interface TemplateMatch {
  readonly template: string
}

/** The two claims that make a request's principal, matched apart; `presence` wants a text that is not empty. */
export interface RequestPrincipalMatch {
  readonly issuer: StringMatch
  readonly subject: StringMatch
}

/** A header by its lower-case name; `presence` is true of an empty value too. */
export interface HeaderMatch {
  readonly name: string
  readonly value: StringMatch
}

/** A claim by its path in the token's payload; of a list any element will do, what is no text never matches. */
export interface ClaimMatch {
  readonly path: readonly string[]
  readonly value: StringMatch
}

/** What another filter wrote down about the request, by that filter's name and the path in what it wrote. */
export interface MetadataMatch {
  readonly filter: string
  readonly path: readonly string[]
  readonly value: StringMatch
  /** The value is a list of which any element will do; else it is a text. */
  readonly list: boolean
}

/** What a waypoint can ask besides; the rules of `AuthorizationMatch` hold. Absent values match no positive field. */
export interface HttpAuthorizationMatch extends Omit<AuthorizationMatch, 'namespaces' | 'notNamespaces'> {
  /** A glob is laid over all that follows `/ns/` in the identity, slashes included, as Envoy's expression for it is. */
  readonly namespaces?: readonly (StringMatch | GlobMatch)[]
  readonly notNamespaces?: readonly (StringMatch | GlobMatch)[]
  readonly trustDomains?: readonly (StringMatch | GlobMatch)[]
  readonly notTrustDomains?: readonly (StringMatch | GlobMatch)[]
  /** CIDRs, of the client that `x-forwarded-for` or the PROXY protocol names. */
  readonly remoteIps?: readonly string[]
  readonly notRemoteIps?: readonly string[]
  readonly requestPrincipals?: readonly RequestPrincipalMatch[]
  readonly notRequestPrincipals?: readonly RequestPrincipalMatch[]
  /** The authority as the client sent it, port included; case is ignored. Presence is true of an empty one too. */
  readonly hosts?: readonly StringMatch[]
  readonly notHosts?: readonly StringMatch[]
  readonly methods?: readonly StringMatch[]
  readonly notMethods?: readonly StringMatch[]
  /** Without query and fragment. */
  readonly paths?: readonly (StringMatch | TemplateMatch)[]
  readonly notPaths?: readonly (StringMatch | TemplateMatch)[]
  readonly headers?: readonly HeaderMatch[]
  readonly notHeaders?: readonly HeaderMatch[]
  readonly claims?: readonly ClaimMatch[]
  readonly notClaims?: readonly ClaimMatch[]
  /** The SNI of the connection, empty where there is none. */
  readonly serverNames?: readonly StringMatch[]
  readonly notServerNames?: readonly StringMatch[]
  readonly metadata?: readonly MetadataMatch[]
  readonly notMetadata?: readonly MetadataMatch[]
}

export interface HttpAuthorizationClause extends AuthorizationClause<HttpAuthorizationMatch> {
  /** Which part of the rule as written it stands for; every key of `when` has a clause of its own. */
  readonly part: RulePart
}

export type RulePart = 'from' | 'to' | 'when'

export interface HttpAuthorizationRule extends AuthorizationRule<HttpAuthorizationMatch> {
  readonly clauses: readonly HttpAuthorizationClause[]
  /** Its place in the policy as written, from 0: rules that cannot be enforced here are left out. */
  readonly index: number
}

/** Who answers for a CUSTOM policy. */
export interface AuthorizationProvider {
  readonly name: string
  /** Undefined: it can be asked. Else why not, and what the policy matches is denied. */
  readonly problem?: string
}

/** An AuthorizationPolicy as a waypoint enforces it; its key is `namespace/name`. */
export interface HttpAuthorization {
  readonly name: string
  readonly namespace: string
  readonly action: 'ALLOW' | 'DENY' | 'AUDIT' | 'CUSTOM'
  /** With CUSTOM only. */
  readonly provider?: AuthorizationProvider
  /** ORed; a policy without rules matches nothing. */
  readonly rules: readonly HttpAuthorizationRule[]
  readonly dryRun: boolean
}
