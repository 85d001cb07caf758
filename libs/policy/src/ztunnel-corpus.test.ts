import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { SpiffeId } from '@ambient-lab/pki'
import { describe, expect, it } from 'vitest'
import type { Authorization, AuthorizationMatch, StringMatch } from './authorization.ts'
import { compilePolicy, policyMatches } from './compiled-policy.ts'
import { ConnectionFacts } from './connection-facts.ts'
import { evaluate } from './evaluate.ts'
import { explain } from './explain.ts'
import { matchesString } from './matchers.ts'
import { PolicySet } from './policy-set.ts'

/** ztunnel's own unit tests as data: `shared/corpus/ztunnel` beside or above the repository, or AMBIENT_CORPUS. */
interface Item {
  readonly id: string
  readonly kind: string
  readonly policy?: CorpusPolicy
  readonly policies?: readonly CorpusPolicy[]
  readonly destination?: { readonly namespace: string; readonly authorizationPolicies?: readonly string[] }
  readonly connection?: { readonly src: string; readonly dst: string; readonly identity?: string }
  readonly matcher?: CorpusStringMatch
  readonly value?: string
  readonly matches?: boolean
  readonly expected?: { readonly allowed: boolean; readonly reason?: string; readonly policy?: string }
}

interface CorpusPolicy {
  readonly name: string
  readonly namespace: string
  readonly scope: 'Global' | 'Namespace' | 'WorkloadSelector'
  readonly action: 'Allow' | 'Deny'
  readonly rules: readonly (readonly (readonly AuthorizationMatch[])[])[]
  readonly dryRun: boolean
}

type CorpusStringMatch = Exclude<StringMatch, { presence: true }> | { readonly presence: object }

function readCorpus(): readonly Item[] {
  const candidates = [process.env.AMBIENT_CORPUS ?? '']
  for (let folder = import.meta.dirname; folder !== dirname(folder); folder = dirname(folder)) {
    candidates.push(join(folder, 'shared', 'corpus'))
  }
  const file = candidates.map((folder) => join(folder, 'ztunnel', 'cases.json')).find((path) => existsSync(path))
  return file ? JSON.parse(readFileSync(file, 'utf8')).items : []
}

const SCOPES = { Global: 'GLOBAL', Namespace: 'NAMESPACE', WorkloadSelector: 'WORKLOAD_SELECTOR' } as const

function toAuthorization(policy: CorpusPolicy): Authorization {
  return {
    name: policy.name,
    namespace: policy.namespace,
    scope: SCOPES[policy.scope],
    action: policy.action === 'Allow' ? 'ALLOW' : 'DENY',
    dryRun: policy.dryRun,
    rules: policy.rules.map((clauses) => ({ clauses: clauses.map((matches) => ({ matches })) })),
  }
}

function toFacts(connection: NonNullable<Item['connection']>): ConnectionFacts {
  const split = (address: string) => /^\[?(.*?)\]?:(\d+)$/.exec(address)!
  return new ConnectionFacts({
    sourceIp: split(connection.src)[1]!,
    destinationIp: split(connection.dst)[1]!,
    destinationPort: Number(split(connection.dst)[2]),
    identity: connection.identity ? toIdentity(connection.identity) : undefined,
  })
}

/** Not pki's strict parser: the corpus has a service account that no SPIFFE id may have. */
function toIdentity(text: string): SpiffeId {
  const [, trustDomain, namespace, serviceAccount] = /^spiffe:\/\/(.+)\/ns\/(.+)\/sa\/(.+)$/.exec(text)!
  return { trustDomain: trustDomain!, namespace: namespace!, serviceAccount: serviceAccount! }
}

const items = readCorpus()
const ofKind = (kind: string) => items.filter((item) => item.kind === kind)

describe.skipIf(items.length === 0)(
  items.length > 0 ? "ztunnel's corpus" : "ztunnel's corpus: skipped, shared/corpus/ztunnel is not on this machine",
  () => {
    it.each(ofKind('policyMatches'))('$id', ({ policy, connection, matches }) => {
      expect(policyMatches(compilePolicy(toAuthorization(policy!)), toFacts(connection!))).toBe(matches)
    })

    it.each(ofKind('stringMatch'))('$id', ({ matcher, value, matches }) => {
      const match: StringMatch = 'presence' in matcher! ? { presence: true } : matcher!
      expect(matchesString(match, value!)).toBe(matches)
    })

    it.each(ofKind('authorize'))('$id', ({ policies, destination, connection, expected }) => {
      const set = PolicySet.empty.with(keepDistinct(policies!), [], (_policy, error) => {
        throw error
      })
      const { namespace, authorizationPolicies = [] } = destination!
      const applicable = set.applicableTo({ namespace, authorizationPolicies })
      const verdict = evaluate(toFacts(connection!), applicable)
      expect(verdict.allowed).toBe(expected!.allowed)
      if (!verdict.allowed) {
        const { policy } = expected!
        expect(verdict.reason).toBe(
          policy ? `explicitly denied by: ${policy}` : 'allow policies exist, but none allowed',
        )
      }
      expect(explain(toFacts(connection!), applicable).verdict).toEqual(verdict)
    })
  },
)

/** Two items share a name with different actions; a set has one policy per key, as a cluster has. */
function keepDistinct(policies: readonly CorpusPolicy[]): Authorization[] {
  return policies.map((policy, index) => {
    const isTwin = policies.findIndex((other) => other.name === policy.name) !== index
    return toAuthorization(isTwin ? { ...policy, name: `${policy.name}-${index}` } : policy)
  })
}
