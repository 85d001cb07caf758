import type { StringMatch } from './authorization.ts'
import { CONNECTION_FIELDS, NO_IDENTITY } from './connection-fields.ts'
import type { Facts } from './facts.ts'
import {
  addressField,
  anchorOf,
  type Dimension,
  type FactsPredicate,
  type FieldKind,
  globField,
  textField,
} from './field-kind.ts'
import type {
  ClaimMatch,
  HeaderMatch,
  MetadataMatch,
  RequestPrincipalMatch,
  TemplateMatch,
} from './http-authorization.ts'
import { compilePathTemplate } from './path-template.ts'
import { anyOf, anyText, formatText, isStringMatch, isTextMatch, type TextMatch, textPredicate } from './text-match.ts'
import { isRecord, isTextList, valueAt } from './values.ts'

const NO_REQUEST = 'no HTTP'

const identityNamespaces = namespacesByIdentity()

const trustDomains = globField({
  positive: 'trustDomains',
  negative: 'notTrustDomains',
  textOf: (facts) => facts.connection.identity?.trustDomain,
  none: NO_IDENTITY,
})

const remoteIps = addressField({
  positive: 'remoteIps',
  negative: 'notRemoteIps',
  addressOf: (facts) => facts.remote,
  actual: (facts) => facts.remoteIp,
})

const serverNames = textField({
  positive: 'serverNames',
  negative: 'notServerNames',
  textOf: (facts) => facts.connection.serverName,
  none: '',
})

const methods = textField({
  positive: 'methods',
  negative: 'notMethods',
  textOf: (facts) => facts.request?.view.method,
  none: NO_REQUEST,
  mayBeEmpty: true,
})

const hosts = textField({
  positive: 'hosts',
  negative: 'notHosts',
  textOf: (facts) => facts.request?.host,
  none: NO_REQUEST,
  ignoreCase: true,
  mayBeEmpty: true,
})

const paths: FieldKind<StringMatch | TemplateMatch> = {
  positive: 'paths',
  negative: 'notPaths',
  isValid: (value): value is StringMatch | TemplateMatch =>
    isStringMatch(value) ||
    (isRecord(value) && typeof value.template === 'string' && compilePathTemplate(value.template) !== undefined),
  compile: (values) => {
    const texts = values.filter((value) => isStringMatch(value))
    const templates = values.flatMap((value) => ('template' in value ? [compilePathTemplate(value.template)!] : []))
    const matches = anyOf([
      ...(texts.length > 0 ? [anyText(texts)] : []),
      ...templates.map((template) => (path: string) => template.matches(path)),
    ])
    return ({ request }) => request !== undefined && matches(request.path)
  },
  format: (value) => ('template' in value ? value.template : formatText(value)),
  actual: ({ request }) => request?.path ?? NO_REQUEST,
  anchor: (values) =>
    anchorOf(
      { name: 'paths', textsOf: ({ request }) => request?.path },
      values.map((value) => ('template' in value ? { prefix: compilePathTemplate(value.template)!.head } : value)),
    ),
}

const headers: FieldKind<HeaderMatch> = {
  positive: 'headers',
  negative: 'notHeaders',
  isValid: (value): value is HeaderMatch =>
    isRecord(value) && typeof value.name === 'string' && isStringMatch(value.value),
  compile: (values) => anyOf(values.map(headerPredicate)),
  format: ({ name, value }) => `${name}: ${formatText(value)}`,
  actual: ({ request }, values) =>
    distinct(values.map(({ name }) => name))
      .map((name) => `${name}: ${request?.header(name) ?? '(absent)'}`)
      .join(', '),
  anchor: (values) => {
    const [name = '', ...more] = distinct(values.map((value) => value.name))
    const dimension: Dimension = { name: `header ${name}`, textsOf: ({ request }) => request?.header(name) }
    return more.length > 0
      ? undefined
      : anchorOf(
          dimension,
          values.map(({ value }) => value),
        )
  },
}

function headerPredicate({ name, value }: HeaderMatch): FactsPredicate {
  if ('presence' in value) return ({ request }) => request?.header(name) !== undefined
  const matches = textPredicate(value)
  return ({ request }) => {
    const text = request?.header(name)
    return text !== undefined && matches(text)
  }
}

const requestPrincipals: FieldKind<RequestPrincipalMatch> = {
  positive: 'requestPrincipals',
  negative: 'notRequestPrincipals',
  isValid: (value): value is RequestPrincipalMatch =>
    isRecord(value) && isStringMatch(value.issuer) && isStringMatch(value.subject),
  compile: (values) => anyOf(values.map(requestPrincipalPredicate)),
  format: ({ issuer, subject }) => `${formatText(issuer)}/${formatText(subject)}`,
  actual: ({ request }) => {
    const jwt = request?.view.jwt
    return jwt ? `${String(jwt.iss ?? '')}/${String(jwt.sub ?? '')}` : 'no token'
  },
  anchor: (values) =>
    anchorOf(
      { name: 'claim sub', textsOf: ({ request }) => claimTexts(request?.view.jwt?.sub) },
      values.map(({ subject }) => subject),
    ),
}

function requestPrincipalPredicate({ issuer, subject }: RequestPrincipalMatch): FactsPredicate {
  const [isIssuer, isSubject] = [textPredicate(issuer), textPredicate(subject)]
  return ({ request }) => {
    const jwt = request?.view.jwt
    if (!jwt) return false
    const { iss, sub } = jwt
    return typeof iss === 'string' && typeof sub === 'string' && isSubject(sub) && isIssuer(iss)
  }
}

const claims: FieldKind<ClaimMatch> = {
  positive: 'claims',
  negative: 'notClaims',
  isValid: (value): value is ClaimMatch => isRecord(value) && isTextList(value.path) && isStringMatch(value.value),
  compile: (values) => anyOf(values.map(claimPredicate)),
  format: ({ path, value }) => `${formatPath(path)}: ${formatText(value)}`,
  actual: ({ request }, values) => {
    const jwt = request?.view.jwt
    if (!jwt) return 'no token'
    const found = values.map(({ path }) => `${formatPath(path)}: ${JSON.stringify(valueAt(jwt, path)) ?? '(absent)'}`)
    return distinct(found).join(', ')
  },
  anchor: (values) => {
    const [name = '', ...more] = distinct(values.map(({ path }) => formatPath(path)))
    if (more.length > 0) return undefined
    const path = values[0]?.path ?? []
    return anchorOf(
      { name: `claim ${name}`, textsOf: ({ request }) => claimTexts(valueAt(request?.view.jwt, path)) },
      values.map(({ value }) => value),
    )
  },
}

function claimPredicate({ path, value }: ClaimMatch): FactsPredicate {
  const matches = textPredicate(value)
  const [name] = path
  const read = path.length === 1 ? (jwt: object) => ownValue(jwt, name!) : (jwt: object) => valueAt(jwt, path)
  return ({ request }) => {
    const jwt = request?.view.jwt
    if (!jwt) return false
    const claim = read(jwt)
    return typeof claim === 'string' ? matches(claim) : Array.isArray(claim) && hasElement(claim, matches)
  }
}

const metadata: FieldKind<MetadataMatch> = {
  positive: 'metadata',
  negative: 'notMetadata',
  isValid: (value): value is MetadataMatch =>
    isRecord(value) &&
    typeof value.filter === 'string' &&
    typeof value.list === 'boolean' &&
    isTextList(value.path) &&
    isStringMatch(value.value),
  compile: (values) => anyOf(values.map(metadataPredicate)),
  format: ({ filter, path, value }) => `${filter}${formatPath(path)}: ${formatText(value)}`,
  actual: ({ request }, values) =>
    values
      .map(({ filter, path }) => JSON.stringify(valueAt(request?.view.metadata?.(filter), path)) ?? '(absent)')
      .join(', '),
}

function metadataPredicate({ filter, path, value, list }: MetadataMatch): FactsPredicate {
  const matches = textPredicate(value)
  return ({ request }) => {
    const found = valueAt(request?.view.metadata?.(filter), path)
    return list ? Array.isArray(found) && hasElement(found, matches) : typeof found === 'string' && matches(found)
  }
}

/** Namespaces as Envoy has them: a glob reaches to the end of the identity. */
function namespacesByIdentity(): FieldKind<TextMatch> {
  const plain = CONNECTION_FIELDS.find(({ positive }) => positive === 'namespaces') as FieldKind<TextMatch>
  return {
    ...plain,
    isValid: isTextMatch,
    compile: (values) => {
      const exact = values.filter((value) => !('glob' in value))
      const globs = values.flatMap((value) => ('glob' in value ? [{ glob: `*/ns/${value.glob}/*` }] : []))
      const isWithin = anyText(globs)
      return anyOf<Facts>([
        ...(exact.length > 0 ? [plain.compile(exact)] : []),
        ({ connection: { principal } }) => principal !== undefined && isWithin(principal),
      ])
    },
  }
}

function ownValue(of: object, name: string): unknown {
  return Object.hasOwn(of, name) ? (of as Readonly<Record<string, unknown>>)[name] : undefined
}

function claimTexts(claim: unknown): string | readonly unknown[] | undefined {
  return typeof claim === 'string' || Array.isArray(claim) ? claim : undefined
}

function hasElement(list: readonly unknown[], matches: (text: string) => boolean): boolean {
  for (const element of list) if (typeof element === 'string' && matches(element)) return true
  return false
}

function formatPath(path: readonly string[]): string {
  return path.map((name) => `[${name}]`).join('')
}

function distinct(texts: readonly string[]): readonly string[] {
  return [...new Set(texts)]
}

/** Fields of a policy at a waypoint: those of a connection, and what needs HTTP. Cheap tests first. */
export const REQUEST_FIELDS = [
  methods,
  paths,
  hosts,
  identityNamespaces,
  ...CONNECTION_FIELDS.filter(({ positive }) => positive !== 'namespaces'),
  trustDomains,
  serverNames,
  headers,
  requestPrincipals,
  claims,
  remoteIps,
  metadata,
] as readonly FieldKind<unknown>[]
