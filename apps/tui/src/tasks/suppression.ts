import { FINDING_CODES, type Finding, findingKind } from '@ambient-lab/api'
import { nearest } from '../cli/nearest.ts'
import { didYouMean, usageError } from '../cli/usage-error.ts'

/** What nobody wants to hear: a code, and objects as `Kind name.namespace` with `*` for anything. */
export type Suppression = (finding: Pick<Finding, 'code' | 'object'>) => boolean

/** `AM0104=AuthorizationPolicy ledger-*.shop`, istioctl's grammar. @throws CodedError USAGE */
export function parseSuppression(text: string): Suppression {
  const [, code, pattern] = /^([A-Za-z0-9]+)=(.+)$/.exec(text) ?? []
  if (code === undefined || pattern === undefined) {
    throw usageError(`-S "${text}" is not CODE=KIND NAME.NAMESPACE`, '-S "AM0104=AuthorizationPolicy ledger-deny.shop"')
  }
  if (!findingKind(code)) {
    const suggestion = nearest(code.toUpperCase(), Object.keys(FINDING_CODES))
    throw usageError(`-S "${text}": there is no code ${code}${didYouMean(suggestion)}`, 'ambient explain codes')
  }
  const wanted = new RegExp(`^${pattern.split('*').map(literal).join('.*')}$`)
  return ({ code: found, object }) => found === code && wanted.test(objectText(object))
}

/** `AuthorizationPolicy ledger-deny.shop` */
export function objectText({ kind, name, namespace }: Finding['object']): string {
  return `${kind} ${name}${namespace === undefined ? '' : `.${namespace}`}`
}

function literal(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
}
