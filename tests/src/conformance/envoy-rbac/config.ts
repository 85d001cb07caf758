/** Envoy's RBAC configuration as JSON, as far as istiod writes it. */
export interface RbacConfig {
  readonly rules?: RbacRules
  readonly shadowRules?: RbacRules
  readonly shadowRulesStatPrefix?: string
}

export interface RbacRules {
  /** @default 'ALLOW' */
  readonly action?: 'ALLOW' | 'DENY' | 'LOG'
  readonly policies?: Readonly<Record<string, RbacPolicy>>
}

export interface RbacPolicy {
  readonly permissions: readonly Permission[]
  readonly principals: readonly Principal[]
}

/** Exactly one field is there. */
export interface Permission {
  readonly any?: boolean
  readonly andRules?: { readonly rules: readonly Permission[] }
  readonly orRules?: { readonly rules: readonly Permission[] }
  readonly notRule?: Permission
  readonly header?: HeaderMatcher
  readonly urlPath?: { readonly path: StringMatcher }
  readonly uriTemplate?: { readonly typedConfig: { readonly pathTemplate: string } }
  readonly destinationPort?: number
  readonly destinationIp?: CidrRange
  readonly requestedServerName?: StringMatcher
  readonly metadata?: MetadataMatcher
}

/** Exactly one field is there. */
export interface Principal {
  readonly any?: boolean
  readonly andIds?: { readonly ids: readonly Principal[] }
  readonly orIds?: { readonly ids: readonly Principal[] }
  readonly notId?: Principal
  readonly authenticated?: { readonly principalName?: StringMatcher }
  readonly directRemoteIp?: CidrRange
  readonly remoteIp?: CidrRange
  readonly header?: HeaderMatcher
  readonly metadata?: MetadataMatcher
}

export interface StringMatcher {
  readonly exact?: string
  readonly prefix?: string
  readonly suffix?: string
  readonly safeRegex?: { readonly regex: string }
  readonly ignoreCase?: boolean
}

export interface HeaderMatcher {
  readonly name: string
  readonly stringMatch?: StringMatcher
  readonly presentMatch?: boolean
}

export interface CidrRange {
  readonly addressPrefix: string
  readonly prefixLen: number
}

export interface MetadataMatcher {
  readonly filter: string
  readonly path: readonly { readonly key: string }[]
  readonly value: ValueMatcher
}

export interface ValueMatcher {
  readonly stringMatch?: StringMatcher
  readonly listMatch?: { readonly oneOf: ValueMatcher }
  readonly orMatch?: { readonly valueMatchers: readonly ValueMatcher[] }
}

/** One filter of a chain. */
export interface FilterConfig {
  readonly name: string
  readonly typedConfig: RbacConfig & ExtAuthzConfig
}

export interface ExtAuthzConfig {
  /** The service is asked when this metadata is there. */
  readonly filterEnabledMetadata?: MetadataMatcher
}
