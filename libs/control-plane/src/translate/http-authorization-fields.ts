import {
  compilePathTemplate,
  type HttpAuthorizationMatch,
  type RequestPrincipalMatch,
  type StringMatch,
} from '@ambient-lab/policy'
import { cidrs, ports, serviceAccountMatch, stringMatch } from './authorization-values.ts'
import type { AuthorizationMesh } from './http-authorization.ts'
import { principalsOfAliases, trustDomainsOfAliases } from './trust-domain-aliases.ts'

type Positive = Exclude<keyof HttpAuthorizationMatch, `not${string}`>

/** A field of a match, by its positive name. */
export type FieldName = Positive

/** A value as it travels; its type follows from the field. */
export type Converted = unknown

type Conversion = { readonly match: Converted } | { readonly problem: string }

interface FieldContext {
  /** Of the policy. */
  readonly namespace: string
  readonly mesh: AuthorizationMesh
}

const HEADERS_KEY = 'request.headers'
const CLAIMS_KEY = 'request.auth.claims'
const METADATA_KEY = 'experimental.envoy.filters.'

const FIELD_OF_KEY: Readonly<Record<string, FieldName>> = {
  'source.ip': 'sourceIps',
  'remote.ip': 'remoteIps',
  'source.namespace': 'namespaces',
  'source.principal': 'principals',
  'source.serviceAccount': 'serviceAccounts',
  'source.trustDomain': 'trustDomains',
  'destination.ip': 'destinationIps',
  'destination.port': 'destinationPorts',
  'connection.sni': 'serverNames',
  'request.auth.principal': 'requestPrincipals',
  'request.auth.audiences': 'claims',
  'request.auth.presenter': 'claims',
}

const HTTP_FIELDS: ReadonlySet<FieldName> = new Set<FieldName>([
  'hosts',
  'methods',
  'paths',
  'headers',
  'requestPrincipals',
  'claims',
])

/** The field that a key of `when` asks; undefined: it is no attribute. */
export function fieldOfKey(key: string): FieldName | undefined {
  if (Object.hasOwn(FIELD_OF_KEY, key)) return FIELD_OF_KEY[key]
  if (key.startsWith(HEADERS_KEY)) return 'headers'
  if (key.startsWith(CLAIMS_KEY)) return 'claims'
  return key.startsWith(METADATA_KEY) ? 'metadata' : undefined
}

/** Whether only somebody who reads requests can answer it. */
export function isHttpField(field: FieldName): boolean {
  return HTTP_FIELDS.has(field)
}

/**
 * The values of one field, each converted or with what is wrong with it.
 * @param written the field's name in the policy, or the key of its condition
 */
export function convertField(
  field: FieldName,
  written: string,
  values: readonly string[],
  { namespace, mesh }: FieldContext,
): readonly Conversion[] {
  const trustDomains = [mesh.trustDomain, ...mesh.trustDomainAliases]
  switch (field) {
    case 'principals':
      return principalsOfAliases(values, trustDomains).map((value) => ({ match: stringMatch(value) }))
    case 'trustDomains':
      return trustDomainsOfAliases(values, trustDomains).map((value) => ({ match: trustDomainMatch(value) }))
    case 'namespaces':
      return values.map((value) => ({ match: namespaceMatch(value) }))
    case 'serviceAccounts':
      return values.map((value) => ({ match: serviceAccountMatch(value, namespace) }))
    case 'sourceIps':
    case 'remoteIps':
    case 'destinationIps':
      return values.map((value) => orProblem(cidrs([value])?.[0], `${value} is no address or CIDR`))
    case 'destinationPorts':
      return values.map((value) => orProblem(ports([value])?.[0], `${value} is no port`))
    case 'paths':
      return values.map(pathMatch)
    case 'headers':
      return headerMatches(written, values)
    case 'claims':
      return claimMatches(written, values)
    case 'requestPrincipals':
      return values.map((value) => ({ match: requestPrincipalMatch(value) }))
    case 'metadata':
      return metadataMatches(written, values)
    default:
      return values.map((value) => ({ match: stringMatch(value) }))
  }
}

function orProblem(match: Converted, problem: string): Conversion {
  return match === undefined ? { problem } : { match }
}

/**
 * Envoy is given a regular expression over the whole identity in which each star reaches across slashes; only a text
 * without stars means what it says. Even that has an exception: the name `sa` also fits a namespace called `ns`.
 */
function namespaceMatch(value: string): Converted {
  if (value === '*') return { presence: true }
  return value.includes('*') || value === 'sa' ? { glob: value } : { exact: value }
}

/** One star, anywhere; more are taken for characters, which no trust domain has. */
function trustDomainMatch(value: string): Converted {
  const stars = value.split('*').length - 1
  if (stars === 0) return { exact: value }
  if (value === '*') return { presence: true }
  return stars === 1 ? { glob: value } : { exact: value }
}

function pathMatch(value: string): Conversion {
  if (!/\{\*\*?\}/.test(value)) return { match: stringMatch(value) }
  return compilePathTemplate(value) ? { match: { template: value } } : { problem: `${value} is no path template` }
}

function headerMatches(key: string, values: readonly string[]): readonly Conversion[] {
  const name = inBrackets(key.slice(HEADERS_KEY.length))
  if (name === undefined) return [{ problem: `${key} is not of the form ${HEADERS_KEY}[name]` }]
  return values.map((value) => ({ match: { name: name.toLowerCase(), value: stringMatch(value) } }))
}

function claimMatches(key: string, values: readonly string[]): readonly Conversion[] {
  const path = claimPath(key)
  if (!path) return [{ problem: `${key} is not of the form ${CLAIMS_KEY}[name]` }]
  return values.map((value) => ({ match: { path, value: stringMatch(value) } }))
}

function claimPath(key: string): readonly string[] | undefined {
  if (key === 'request.auth.audiences') return ['aud']
  if (key === 'request.auth.presenter') return ['azp']
  const brackets = key.slice(CLAIMS_KEY.length)
  const nested = /^(\[[^[\]]*\])+$/.test(brackets)
  if (nested) return brackets.slice(1, -1).split('][')
  const whole = inBrackets(brackets)
  return whole === undefined ? undefined : [whole]
}

/** `experimental.envoy.filters.a.b[c]`; a value in brackets wants a list. */
function metadataMatches(key: string, values: readonly string[]): readonly Conversion[] {
  const bracket = key.indexOf('[')
  if (bracket < 0) return [{ problem: `${key} is not of the form ${METADATA_KEY}NAME[key]` }]
  const filter = key.slice('experimental.'.length, bracket)
  const path = [key.slice(bracket + 1).replace(/\]$/, '')]
  return values.map((value) => {
    const list = value.startsWith('[') && value.endsWith(']')
    const text = list ? value.replace(/^\[+/, '').replace(/\]+$/, '') : value
    return { match: { filter, path, list, value: stringMatch(text) } }
  })
}

/** The issuer may be a URL, so the last slash parts it from the subject. */
function requestPrincipalMatch(value: string): RequestPrincipalMatch {
  const any: StringMatch = { presence: true }
  if (value === '*') return { issuer: any, subject: any }
  const slash = value.lastIndexOf('/')
  const issuer = slash < 0 ? value : value.slice(0, slash)
  const subject = slash < 0 ? '' : value.slice(slash + 1)
  if (value.startsWith('*')) {
    if (slash < 0) return { issuer: any, subject: { suffix: value.slice(1) } }
    return { issuer: issuer === '*' ? any : { suffix: issuer.slice(1) }, subject: { exact: subject } }
  }
  if (value.endsWith('*')) {
    if (slash < 0) return { issuer: { prefix: value.slice(0, -1) }, subject: any }
    return { issuer: { exact: issuer }, subject: subject === '*' ? any : { prefix: subject.slice(0, -1) } }
  }
  return { issuer: { exact: issuer }, subject: { exact: subject } }
}

function inBrackets(text: string): string | undefined {
  return text.startsWith('[') && text.endsWith(']') && text.length > 1 ? text.slice(1, -1) : undefined
}
