import { CodedError } from '@ambient-lab/std'

export interface LabelSelectorRequirement {
  readonly key: string
  readonly operator: 'In' | 'NotIn' | 'Exists' | 'DoesNotExist'
  readonly values?: readonly string[]
}

/** Kubernetes' LabelSelector: both parts must hold; an empty selector matches everything. */
export interface LabelSelector {
  readonly matchLabels?: Readonly<Record<string, string>>
  readonly matchExpressions?: readonly LabelSelectorRequirement[]
}

type Labels = Readonly<Record<string, string>> | undefined

export function matchesLabels(selector: LabelSelector, labels: Labels): boolean {
  return (
    matchesEvery(selector.matchLabels ?? {}, labels) &&
    (selector.matchExpressions ?? []).every((requirement) => matchesRequirement(requirement, labels))
  )
}

/** The plain form, of a Service's or a policy's selector: every pair must be there. An empty map matches everything. */
export function matchesEvery(wanted: Readonly<Record<string, string>>, labels: Labels): boolean {
  return Object.entries(wanted).every(([key, value]) => labels !== undefined && labels[key] === value)
}

function matchesRequirement({ key, operator, values = [] }: LabelSelectorRequirement, labels: Labels): boolean {
  const value = labels !== undefined && Object.hasOwn(labels, key) ? labels[key] : undefined
  if (operator === 'Exists') return value !== undefined
  if (operator === 'DoesNotExist') return value === undefined
  if (operator === 'In') return value !== undefined && values.includes(value)
  return value === undefined || !values.includes(value)
}

const KEY = '(?:[a-z0-9](?:[-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?'
const VALUE = '(?:[A-Za-z0-9](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?)?'
const EQUALITY = new RegExp(`^(${KEY})\\s*(==|=|!=)\\s*(${VALUE})$`)
const SET = new RegExp(`^(${KEY})\\s+(in|notin)\\s*\\(([^()]*)\\)$`)
const PRESENCE = new RegExp(`^(!?)\\s*(${KEY})$`)
const SET_VALUE = new RegExp(`^${VALUE}$`)

/**
 * kubectl's grammar: `app=web,tier!=db,env in (dev, test),region notin (eu),ready,!old`.
 * @throws CodedError SELECTOR_SYNTAX naming the part that does not parse
 */
export function parseLabelSelector(text: string): LabelSelector {
  if (text.trim() === '') return {}
  return { matchExpressions: splitOutsideParentheses(text).map(parseRequirement) }
}

function parseRequirement(part: string): LabelSelectorRequirement {
  const equality = EQUALITY.exec(part)
  if (equality) {
    const [, key = '', operator, value = ''] = equality
    return { key, operator: operator === '!=' ? 'NotIn' : 'In', values: [value] }
  }
  const set = SET.exec(part)
  if (set) {
    const values = set[3]!.split(',').map((value) => value.trim())
    const bad = values.find((value) => !SET_VALUE.test(value))
    if (bad !== undefined) throw syntaxError(part, `${bad} is not a label value`)
    return { key: set[1]!, operator: set[2] === 'in' ? 'In' : 'NotIn', values }
  }
  const presence = PRESENCE.exec(part)
  if (presence) return { key: presence[2]!, operator: presence[1] === '!' ? 'DoesNotExist' : 'Exists' }
  throw syntaxError(part, 'want key=value, key!=value, key in (a,b), key notin (a,b), key or !key')
}

function splitOutsideParentheses(text: string): string[] {
  const parts: string[] = []
  let depth = 0
  let start = 0
  for (let index = 0; index < text.length; index++) {
    if (text[index] === '(') depth++
    if (text[index] === ')') depth--
    if (text[index] === ',' && depth === 0) {
      parts.push(text.slice(start, index).trim())
      start = index + 1
    }
  }
  return [...parts, text.slice(start).trim()]
}

/** `{app: web}` → `app=web`; `<none>` for an empty one, as kubectl's columns show it. */
export function formatLabelSelector(selector: LabelSelector | undefined): string {
  const parts = [
    ...Object.entries(selector?.matchLabels ?? {}).map(([key, value]) => `${key}=${value}`),
    ...(selector?.matchExpressions ?? []).map(formatRequirement),
  ]
  return parts.length > 0 ? parts.join(',') : '<none>'
}

function formatRequirement({ key, operator, values = [] }: LabelSelectorRequirement): string {
  if (operator === 'Exists') return key
  if (operator === 'DoesNotExist') return `!${key}`
  return `${key} ${operator === 'In' ? 'in' : 'notin'} (${values.join(',')})`
}

export interface FieldRequirement {
  /** Dotted path from the object's root: `status.phase`. */
  readonly path: string
  readonly value: string
  readonly negated: boolean
}

/**
 * Kubernetes' field selector: `spec.nodeName=n1,status.phase!=Failed`. Any path is taken; a missing field equals ''.
 * @throws CodedError SELECTOR_SYNTAX
 */
export function parseFieldSelector(text: string): readonly FieldRequirement[] {
  if (text.trim() === '') return []
  return text.split(',').map((part) => {
    const match = /^\s*([A-Za-z][\w.]*)\s*(==|=|!=)\s*(.*?)\s*$/.exec(part)
    if (!match) throw syntaxError(part, 'want path=value or path!=value')
    return { path: match[1]!, value: match[3]!, negated: match[2] === '!=' }
  })
}

export function matchesFields(requirements: readonly FieldRequirement[], object: object): boolean {
  return requirements.every(({ path, value, negated }) => (fieldText(object, path) === value) !== negated)
}

function fieldText(object: object, path: string): string {
  let value: unknown = object
  for (const key of path.split('.')) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key)) return ''
    value = (value as Record<string, unknown>)[key]
  }
  return value === undefined || value === null ? '' : String(value)
}

function syntaxError(part: string, why: string): CodedError {
  return new CodedError('SELECTOR_SYNTAX', `selector part "${part.trim()}": ${why}`)
}
