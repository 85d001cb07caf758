import type { Checkpoint } from '@ambient-lab/xds'
import type { RequestHead } from '../waypoint/kept-request.ts'

/** Header lines that are credentials by their name. */
const SECRET_NAMES: readonly string[] = ['authorization', 'proxy-authorization', 'cookie', 'x-api-key']
/** A signed token, wherever it is. */
const TOKEN = /(?:^|\s)eyJ[\w-]*\.[\w-]+\.[\w-]*$/
/** A text this long is the secret wherever it stands; a shorter one may be part of any word. */
const DISTINCT_LENGTH_MIN = 8
const HIDDEN = '(hidden)'

/**
 * What a review says of a request that somebody sent, without what only its sender should know: credentials, and the
 * query, which may hold a token.
 */
export function withoutSecrets(checkpoints: readonly Checkpoint[], { headers, path }: RequestHead): Checkpoint[] {
  const lines = [...headers].filter(([name, value]) => SECRET_NAMES.includes(name) || TOKEN.test(value))
  const question = path.indexOf('?')
  const query = question < 0 ? '' : path.slice(question)
  const texts = [...lines.map(([, value]) => value), ...lines.map(([, value]) => bare(value)), query]
    .filter(({ length }) => length >= DISTINCT_LENGTH_MIN)
    .sort((a, b) => b.length - a.length)
  const hide = (text: string): string => {
    const named = lines.reduce(
      (some, [name, value]) => some.replaceAll(`${name}: ${value}`, `${name}: ${HIDDEN}`),
      text.endsWith(query) ? text.slice(0, text.length - query.length) : text,
    )
    return texts.reduce((some, secret) => some.replaceAll(secret, HIDDEN), named)
  }
  return checkpoints.map(({ policies, fix, also, ...checkpoint }) => ({
    ...checkpoint,
    saw: hide(checkpoint.saw),
    reason: hide(checkpoint.reason),
    ...(fix && { fix: fix.map(hide) }),
    ...(also && { also: also.map(hide) }),
    ...(policies && {
      policies: policies.map((policy) => ({
        ...policy,
        fields: policy.fields.map((field) => ({ ...field, got: hide(field.got) })),
      })),
    }),
  }))
}

/** `Bearer x` → `x` */
function bare(value: string): string {
  return value.slice(value.lastIndexOf(' ') + 1)
}
