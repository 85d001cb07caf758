import { BlockList, isIPv6 } from 'node:net'
import type {
  CidrRange,
  FilterConfig,
  HeaderMatcher,
  MetadataMatcher,
  Permission,
  Principal,
  RbacRules,
  StringMatcher,
  ValueMatcher,
} from './config.ts'

/** A request as Envoy sees it. */
export interface EnvoyRequest {
  /** By lower-case name, pseudo headers too; empty for a TCP connection. */
  readonly headers: Readonly<Record<string, string>>
  /** URI SAN of the client's certificate; undefined for plaintext. */
  readonly uriSan: string | undefined
  readonly directRemoteIp: string
  readonly remoteIp: string
  readonly destinationIp: string
  readonly destinationPort: number
  readonly serverName: string
  readonly metadata: Readonly<Record<string, unknown>>
}

/** What a chain of RBAC and ext_authz filters did with a request. */
export interface EnvoyOutcome {
  /** Whether ext_authz was reached and would have asked. */
  readonly asked: boolean
  /** By an AUDIT policy. */
  readonly audited: boolean
  /** Id of the policy that denied, `none`; undefined when nothing did. */
  readonly deniedBy: string | undefined
  /** By the prefix of its statistics: the policy that matched, if any. */
  readonly shadows: Readonly<Record<string, string | undefined>>
}

/**
 * Envoy's RBAC evaluated by its documentation, for comparison and for nothing else: one by one, with regular
 * expressions, no index, nothing shared with the engine under test.
 * @see https://www.envoyproxy.io/docs/envoy/latest/api-v3/config/rbac/v3/rbac.proto
 */
export function runFilters(filters: readonly FilterConfig[], request: EnvoyRequest): EnvoyOutcome {
  let asked = false
  let audited = false
  const shadows: Record<string, string | undefined> = {}
  const done = (deniedBy: string | undefined): EnvoyOutcome => ({ asked, audited, deniedBy, shadows })
  for (const { name, typedConfig } of filters) {
    if (name.endsWith('.ext_authz')) {
      const dynamic = { 'envoy.filters.http.rbac': shadowMetadata(shadows) }
      const { filterEnabledMetadata } = typedConfig
      asked ||= !filterEnabledMetadata || matchesMetadata(filterEnabledMetadata, dynamic)
      continue
    }
    const { rules, shadowRules, shadowRulesStatPrefix = '' } = typedConfig
    // What has no prefix goes under a name that nobody reads.
    if (shadowRules && shadowRulesStatPrefix) shadows[shadowRulesStatPrefix] = matchingPolicy(shadowRules, request)
    if (!rules) continue
    const matched = matchingPolicy(rules, request)
    if (rules.action === 'LOG') audited ||= matched !== undefined
    else if (rules.action === 'DENY' && matched !== undefined) return done(matched)
    else if (rules.action !== 'DENY' && matched === undefined) return done('none')
  }
  return done(undefined)
}

function shadowMetadata(shadows: Readonly<Record<string, string | undefined>>): Readonly<Record<string, unknown>> {
  const ids = Object.entries(shadows).map(([prefix, id]) => [`${prefix}shadow_effective_policy_id`, id])
  return Object.fromEntries(ids)
}

/** Envoy keeps policies sorted by name: the first of them that matches. */
function matchingPolicy({ policies = {} }: RbacRules, request: EnvoyRequest): string | undefined {
  const sorted = Object.entries(policies).sort(([a], [b]) => (a < b ? -1 : 1))
  const matching = sorted.find(
    ([, policy]) =>
      policy.permissions.some((permission) => permits(permission, request)) &&
      policy.principals.some((principal) => identifies(principal, request)),
  )
  return matching?.[0]
}

function permits(permission: Permission, request: EnvoyRequest): boolean {
  if (permission.any !== undefined) return permission.any
  if (permission.andRules) return permission.andRules.rules.every((rule) => permits(rule, request))
  if (permission.orRules) return permission.orRules.rules.some((rule) => permits(rule, request))
  if (permission.notRule) return !permits(permission.notRule, request)
  if (permission.header) return matchesHeader(permission.header, request)
  if (permission.urlPath) return matchesPath(request, (path) => matchesString(permission.urlPath!.path, path))
  if (permission.uriTemplate) {
    const pattern = templatePattern(permission.uriTemplate.typedConfig.pathTemplate)
    return matchesPath(request, (path) => pattern.test(path))
  }
  if (permission.destinationPort !== undefined) return request.destinationPort === permission.destinationPort
  if (permission.destinationIp) return isWithin(permission.destinationIp, request.destinationIp)
  if (permission.requestedServerName) return matchesString(permission.requestedServerName, request.serverName)
  if (permission.metadata) return matchesMetadata(permission.metadata, request.metadata)
  throw new Error(`unknown permission ${JSON.stringify(permission)}`)
}

function identifies(principal: Principal, request: EnvoyRequest): boolean {
  if (principal.any !== undefined) return principal.any
  if (principal.andIds) return principal.andIds.ids.every((id) => identifies(id, request))
  if (principal.orIds) return principal.orIds.ids.some((id) => identifies(id, request))
  if (principal.notId) return !identifies(principal.notId, request)
  if (principal.authenticated) {
    const { principalName } = principal.authenticated
    return request.uriSan !== undefined && (!principalName || matchesString(principalName, request.uriSan))
  }
  if (principal.directRemoteIp) return isWithin(principal.directRemoteIp, request.directRemoteIp)
  if (principal.remoteIp) return isWithin(principal.remoteIp, request.remoteIp)
  if (principal.header) return matchesHeader(principal.header, request)
  if (principal.metadata) return matchesMetadata(principal.metadata, request.metadata)
  throw new Error(`unknown principal ${JSON.stringify(principal)}`)
}

function matchesString({ exact, prefix, suffix, safeRegex, ignoreCase }: StringMatcher, text: string): boolean {
  const fold = (value: string) => (ignoreCase ? value.toLowerCase() : value)
  if (exact !== undefined) return fold(text) === fold(exact)
  if (prefix !== undefined) return fold(text).startsWith(fold(prefix))
  if (suffix !== undefined) return fold(text).endsWith(fold(suffix))
  if (safeRegex) return new RegExp(`^(?:${safeRegex.regex})$`, 'u').test(text)
  throw new Error('a string matcher without a pattern')
}

function matchesHeader({ name, stringMatch, presentMatch }: HeaderMatcher, { headers }: EnvoyRequest): boolean {
  const value = headers[name.toLowerCase()]
  if (presentMatch !== undefined) return (value !== undefined) === presentMatch
  return value !== undefined && stringMatch !== undefined && matchesString(stringMatch, value)
}

function matchesPath({ headers }: EnvoyRequest, matches: (path: string) => boolean): boolean {
  const path = headers[':path']
  return path !== undefined && matches(path.replace(/[?#].*$/s, ''))
}

/** @see Envoy's uri_template_lib: `*` is a segment, `**` what is left of segments */
function templatePattern(template: string): RegExp {
  const character = "a-zA-Z0-9\\-._~%!$&'()+,;:@="
  const quoted = template.split(/(\*\*?)/).map((part) => {
    if (part === '*') return `[${character}]+`
    return part === '**' ? `[${character}/]*` : part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
  })
  return new RegExp(`^${quoted.join('')}$`)
}

function matchesMetadata({ filter, path, value }: MetadataMatcher, metadata: EnvoyRequest['metadata']): boolean {
  let found: unknown = metadata[filter]
  for (const { key } of path) {
    const isStruct = typeof found === 'object' && found !== null && !Array.isArray(found)
    found = isStruct ? (found as Readonly<Record<string, unknown>>)[key] : undefined
  }
  return matchesValue(value, found)
}

function matchesValue({ stringMatch, listMatch, orMatch }: ValueMatcher, value: unknown): boolean {
  if (stringMatch) return typeof value === 'string' && matchesString(stringMatch, value)
  if (listMatch) return Array.isArray(value) && value.some((element) => matchesValue(listMatch.oneOf, element))
  if (orMatch) return orMatch.valueMatchers.some((matcher) => matchesValue(matcher, value))
  throw new Error('a value matcher without a pattern')
}

function isWithin({ addressPrefix, prefixLen }: CidrRange, address: string): boolean {
  const family = (text: string) => (isIPv6(text) ? 'ipv6' : 'ipv4')
  const range = new BlockList()
  range.addSubnet(addressPrefix, prefixLen, family(addressPrefix))
  return range.check(address, family(address))
}
