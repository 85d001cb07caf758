import type { ServiceAccountMatch, StringMatch } from '@ambient-lab/xds'
import { parseCidr } from './cidr.ts'

/** As every field of a policy has it: `*` is presence, `abc*` a prefix, `*abc` a suffix, all else exact. */
export function stringMatch(text: string): StringMatch {
  if (text === '*') return { presence: true }
  if (text.startsWith('*')) return { suffix: text.slice(1) }
  if (text.endsWith('*')) return { prefix: text.slice(0, -1) }
  return { exact: text }
}

/** `namespace/account`, or an account of the policy's namespace. */
export function serviceAccountMatch(text: string, policyNamespace: string): ServiceAccountMatch {
  const slash = text.indexOf('/')
  if (slash < 0) return { namespace: policyNamespace, serviceAccount: text }
  return { namespace: text.slice(0, slash), serviceAccount: text.slice(slash + 1) }
}

/** What does not parse is skipped in silence, as istiod does. */
export function cidrs(blocks: readonly string[] | undefined): string[] | undefined {
  return blocks?.flatMap((block) => parseCidr(block) ?? [])
}

/** The same for ports. */
export function ports(texts: readonly string[] | undefined): number[] | undefined {
  return texts?.flatMap((text) => (/^\d{1,5}$/.test(text) && Number(text) <= 65_535 ? Number(text) : []))
}
