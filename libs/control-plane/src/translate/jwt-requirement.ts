import type { JwtRule, RequestAuthentication } from '@ambient-lab/api'
import type { JwtProvider, JwtRequirement } from '@ambient-lab/policy'
import { parseDuration } from '@ambient-lab/std'

const KEYS_TIMEOUT_MS_DEFAULT = 5000

/**
 * The rules of all RequestAuthentications at one place as a waypoint enforces them; undefined without any rule.
 * @param policies those that apply, in the order of their rules
 */
export function translateJwtRequirement(policies: readonly RequestAuthentication[]): JwtRequirement | undefined {
  const rules = policies.flatMap(({ spec }) => spec?.jwtRules ?? [])
  return rules.length > 0 ? { providers: rules.map(providerOf) } : undefined
}

function providerOf(rule: JwtRule, index: number): JwtProvider {
  const { issuer = '', outputPayloadToHeader } = rule
  const uri = rule.jwksUri ?? rule.jwks_uri
  return {
    name: `origins-${index}`,
    issuer,
    audiences: rule.audiences ?? [],
    keys: rule.jwks ? { inline: rule.jwks } : uri ? { uri } : { discovery: issuer },
    keysTimeoutMs: (rule.timeout && parseDuration(rule.timeout)) || KEYS_TIMEOUT_MS_DEFAULT,
    from: {
      headers: (rule.fromHeaders ?? []).map(({ name, prefix = '' }) => ({ name, prefix })),
      params: rule.fromParams ?? [],
      cookies: rule.fromCookies ?? [],
    },
    forwardOriginalToken: rule.forwardOriginalToken ?? false,
    ...(outputPayloadToHeader && { outputPayloadToHeader }),
    outputClaimToHeaders: rule.outputClaimToHeaders ?? [],
    spaceDelimitedClaims: rule.spaceDelimitedClaims ?? [],
  }
}
