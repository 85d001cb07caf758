import type { Facts } from './facts.ts'
import type { MatchField } from './field-kind.ts'
import type { ClaimMatch, HeaderMatch } from './http-authorization.ts'
import { type EnforcementPoint, fieldKind } from './matchers.ts'
import { valueAt } from './values.ts'

/** A value that a field has to list so that it holds. */
export interface FieldValue {
  readonly value: unknown
  /** As a policy would write it. */
  readonly text: string
}

/** What the fields are asked about, and where: the same name is compared otherwise at ztunnel than at a waypoint. */
export interface FieldGround {
  readonly point: EnforcementPoint
  readonly facts: Facts
}

/**
 * The value that makes a positive field hold for these facts and for as few others as possible.
 * @param values those that it has: a header or claim is one that they name
 * @returns undefined when the facts have nothing that the field could list
 */
export function closestValue(
  field: MatchField,
  values: readonly unknown[],
  { point, facts }: FieldGround,
): FieldValue | undefined {
  const value = fittingValue(field, values, facts)
  const kind = fieldKind(point, field)
  return value === undefined || !kind.isValid(value) ? undefined : { value, text: kind.format(value) }
}

/** A negative field without the values that keep it from holding. */
export function withoutValues(
  field: MatchField,
  values: readonly unknown[],
  { point, facts }: FieldGround,
): { readonly values: readonly unknown[]; readonly text: string } | undefined {
  const kind = fieldKind(point, field)
  const kept = values.filter((value) => !kind.compile([value])(facts))
  const gone = values.filter((value) => !kept.includes(value)).map((value) => kind.format(value))
  return gone.length > 0 ? { values: kept, text: `take ${gone.join(', ')}` } : undefined
}

function fittingValue(field: MatchField, values: readonly unknown[], facts: Facts): unknown {
  const { connection, request } = facts
  switch (field) {
    case 'principals':
      return exact(connection.principal)
    case 'namespaces':
      return exact(connection.identity?.namespace)
    case 'trustDomains':
      return exact(connection.identity?.trustDomain)
    case 'serviceAccounts':
      return (
        connection.identity && {
          namespace: connection.identity.namespace,
          serviceAccount: connection.identity.serviceAccount,
        }
      )
    case 'sourceIps':
      return connection.init.sourceIp
    case 'destinationIps':
      return connection.init.destinationIp
    case 'remoteIps':
      return facts.remoteIp
    case 'destinationPorts':
      return connection.destinationPort
    case 'serverNames':
      return exact(connection.serverName === '' ? undefined : connection.serverName)
    case 'methods':
      return exact(request?.view.method)
    case 'hosts':
      return exact(request?.host)
    case 'paths':
      return exact(request?.path)
    case 'requestPrincipals':
      return requestPrincipal(facts)
    case 'headers':
      return header(values as readonly HeaderMatch[], facts)
    case 'claims':
      return claim(values as readonly ClaimMatch[], facts)
    default:
      return undefined
  }
}

function exact(text: string | undefined): unknown {
  return text === undefined ? undefined : { exact: text }
}

function requestPrincipal({ request }: Facts): unknown {
  const { iss, sub } = request?.view.jwt ?? {}
  return typeof iss === 'string' && typeof sub === 'string' ? { issuer: exact(iss), subject: exact(sub) } : undefined
}

function header(values: readonly HeaderMatch[], { request }: Facts): unknown {
  for (const { name } of values) {
    const text = request?.header(name)
    if (text !== undefined) return { name, value: exact(text) }
  }
  return undefined
}

function claim(values: readonly ClaimMatch[], { request }: Facts): unknown {
  for (const { path } of values) {
    const found = valueAt(request?.view.jwt, path)
    const text = Array.isArray(found) ? found.find((element) => typeof element === 'string') : found
    if (typeof text === 'string') return { path, value: exact(text) }
  }
  return undefined
}
