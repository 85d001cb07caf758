import { invalidPolicy } from './errors.ts'
import type { JwtProvider } from './jwt-requirement.ts'
import { isRecord, isTextList } from './values.ts'

const LOCATIONS = ['inline', 'uri', 'discovery']

/**
 * A provider as it came over the wire, if it has the documented shape.
 * @throws CodedError INVALID_POLICY
 */
export function checkJwtProvider(provider: unknown): JwtProvider {
  const fields = isRecord(provider) ? provider : {}
  const refuse = (field: string): never => {
    throw invalidPolicy(`of tokens of ${JSON.stringify(fields.issuer)}`, `${field} is not valid`)
  }
  const check = (field: string, isValid: boolean) => isValid || refuse(field)
  const { from, keys, outputClaimToHeaders, outputPayloadToHeader } = fields
  for (const field of ['name', 'issuer']) check(field, typeof fields[field] === 'string')
  for (const field of ['audiences', 'spaceDelimitedClaims']) check(field, isTextList(fields[field]))
  check('forwardOriginalToken', typeof fields.forwardOriginalToken === 'boolean')
  check('keysTimeoutMs', typeof fields.keysTimeoutMs === 'number' && fields.keysTimeoutMs > 0)
  check('keys', isRecord(keys) && LOCATIONS.filter((name) => typeof keys[name] === 'string').length === 1)
  check('from', isRecord(from) && isTextList(from.params) && isTextList(from.cookies))
  check('from.headers', isRecord(from) && isListOf(from.headers, ['name', 'prefix']))
  check('outputPayloadToHeader', outputPayloadToHeader === undefined || typeof outputPayloadToHeader === 'string')
  check('outputClaimToHeaders', isListOf(outputClaimToHeaders, ['header', 'claim']))
  return provider as JwtProvider
}

function isListOf(value: unknown, names: readonly string[]): boolean {
  if (!Array.isArray(value)) return false
  return value.every((one) => isRecord(one) && names.every((name) => typeof one[name] === 'string'))
}
