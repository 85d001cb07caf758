import type { AuthorizationMatch, ServiceAccountMatch, StringMatch } from './authorization.ts'
import type { ConnectionFacts } from './connection-facts.ts'
import { type Cidr, cidrContains, formatCidr, type IpAddress, parseCidr } from './ip.ts'

/** Whether `value` fits; `presence` wants a value that is not empty. */
export function matchesString(match: StringMatch, value: string): boolean {
  if ('exact' in match) return value === match.exact
  if ('prefix' in match) return value.startsWith(match.prefix)
  if ('suffix' in match) return value.endsWith(match.suffix)
  return value !== ''
}

/** One field of a match, compiled. `values` and `actual` are for people. */
export interface Predicate {
  readonly field: keyof AuthorizationMatch
  readonly values: readonly string[]
  test(facts: ConnectionFacts): boolean
  actual(facts: ConnectionFacts): string
}

/** One field's name and how to compile its values; negated fields are made from the same line. */
interface FieldKind<V> {
  readonly positive: keyof AuthorizationMatch
  readonly negative: keyof AuthorizationMatch
  /** @returns the compiled value, or undefined when it cannot be one */
  readonly compile: (value: V) => Matcher | undefined
  readonly format: (value: V) => string
  readonly actual: (facts: ConnectionFacts) => string
}

type Matcher = (facts: ConnectionFacts) => boolean

const NO_IDENTITY = 'no identity'

const principals: FieldKind<StringMatch> = {
  positive: 'principals',
  negative: 'notPrincipals',
  compile: (match) => (facts) => facts.principal !== undefined && matchesString(match, facts.principal),
  format: formatStringMatch,
  actual: (facts) => facts.principal ?? NO_IDENTITY,
}

const namespaces: FieldKind<StringMatch> = {
  positive: 'namespaces',
  negative: 'notNamespaces',
  compile: (match) => (facts) => facts.identity !== undefined && matchesString(match, facts.identity.namespace),
  format: formatStringMatch,
  actual: (facts) => facts.identity?.namespace ?? NO_IDENTITY,
}

const serviceAccounts: FieldKind<ServiceAccountMatch> = {
  positive: 'serviceAccounts',
  negative: 'notServiceAccounts',
  // The trust domain is ignored, as ztunnel does.
  compile: (match) => (facts) =>
    facts.identity !== undefined &&
    facts.identity.namespace === match.namespace &&
    facts.identity.serviceAccount === match.serviceAccount,
  format: (match) => `${match.namespace}/${match.serviceAccount}`,
  actual: (facts) => (facts.identity ? `${facts.identity.namespace}/${facts.identity.serviceAccount}` : NO_IDENTITY),
}

const sourceIps = ipField(
  'sourceIps',
  'notSourceIps',
  (facts) => facts.source,
  (facts) => facts.init.sourceIp,
)
const destinationIps = ipField(
  'destinationIps',
  'notDestinationIps',
  (facts) => facts.destination,
  (facts) => facts.init.destinationIp,
)

const destinationPorts: FieldKind<number> = {
  positive: 'destinationPorts',
  negative: 'notDestinationPorts',
  compile: (port) =>
    Number.isInteger(port) && port >= 0 && port <= 65_535 ? (facts) => facts.destinationPort === port : undefined,
  format: String,
  actual: (facts) => String(facts.destinationPort),
}

function ipField(
  positive: 'sourceIps' | 'destinationIps',
  negative: 'notSourceIps' | 'notDestinationIps',
  address: (facts: ConnectionFacts) => IpAddress | undefined,
  actual: (facts: ConnectionFacts) => string,
): FieldKind<string> {
  const contains =
    (cidr: Cidr): Matcher =>
    (facts) => {
      const ip = address(facts)
      return ip !== undefined && cidrContains(cidr, ip)
    }
  return {
    positive,
    negative,
    compile: (text) => {
      const cidr = parseCidr(text)
      return cidr && contains(cidr)
    },
    format: (text) => {
      const cidr = parseCidr(text)
      return cidr ? formatCidr(cidr) : text
    },
    actual,
  }
}

/** Cheap tests first: ports are a comparison, addresses may have to be parsed. */
const FIELDS = [destinationPorts, namespaces, serviceAccounts, principals, sourceIps, destinationIps] as const

/**
 * Compiles the fields of a match that are not empty.
 * @param onInvalid told about each value that is no value of its field; such a value never matches
 */
export function compileMatch(match: AuthorizationMatch, onInvalid: (reason: string) => void): readonly Predicate[] {
  return FIELDS.flatMap((kind) => [
    ...compileField(kind as FieldKind<unknown>, kind.positive, match, onInvalid),
    ...compileField(kind as FieldKind<unknown>, kind.negative, match, onInvalid),
  ])
}

function compileField(
  kind: FieldKind<unknown>,
  field: keyof AuthorizationMatch,
  match: AuthorizationMatch,
  onInvalid: (reason: string) => void,
): Predicate[] {
  const values: readonly unknown[] = match[field] ?? []
  if (values.length === 0) return []
  const matchers = values.flatMap((value) => {
    const matcher = kind.compile(value)
    if (!matcher) onInvalid(`${field}: ${kind.format(value)} is not valid`)
    return matcher ? [matcher] : []
  })
  const any = anyOf(matchers)
  const negated = field === kind.negative
  return [
    {
      field,
      values: values.map((value) => kind.format(value)),
      test: negated ? (facts) => !any(facts) : any,
      actual: kind.actual,
    },
  ]
}

function anyOf(matchers: readonly Matcher[]): Matcher {
  const [only] = matchers
  if (only && matchers.length === 1) return only
  return (facts) => {
    for (const matches of matchers) if (matches(facts)) return true
    return false
  }
}

/** As an AuthorizationPolicy would write it: `a*`, `*b`, `*`. */
function formatStringMatch(match: StringMatch): string {
  if ('exact' in match) return match.exact
  if ('prefix' in match) return `${match.prefix}*`
  if ('suffix' in match) return `*${match.suffix}`
  return '*'
}
