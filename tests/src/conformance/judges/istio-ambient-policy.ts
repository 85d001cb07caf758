import type { AuthorizationPolicy, PeerAuthentication, Resource } from '@ambient-lab/api'
import {
  convertAuthorizationPolicy,
  convertedPolicy,
  isWorkloadLevel,
  MESH_CONFIG_DEFAULT,
  PEER_AUTHENTICATIONS,
  TranslationView,
} from '@ambient-lab/control-plane'
import type { Authorization } from '@ambient-lab/xds'
import { readDocuments } from '../documents.ts'
import { allOf, canonicalJson, same } from '../expectation.ts'
import { type CorpusCase, defineJudge, type JudgeContext, PASSED, skipped, type Verdict } from '../judge.ts'
import { ObjectList, type TypedObject } from '../object-list.ts'

export interface AmbientPolicyCase extends CorpusCase {
  /** File of policies that act together. */
  readonly input: string
  /** File of the policy that ztunnel gets; empty: none. */
  readonly expected: string
  readonly policy: AuthorizationPolicy
  readonly expectedStatusMessage: { readonly reason: string; readonly message: string } | null
  /** Whether any rule is left that can match. */
  readonly effectiveRules?: boolean
}

/** istiod's own tests of what ztunnel gets, and of what it says about what it left out. */
export default defineJudge<AmbientPolicyCase>({
  corpus: 'istio-ambient-policy',
  async judge(item, { folder }) {
    switch (item.area) {
      case 'authorizationpolicy': {
        const [policy] = (await readInput(folder, item.input)) as AuthorizationPolicy[]
        const { authorization } = convertAuthorizationPolicy(policy!, MESH_CONFIG_DEFAULT)
        return same(inIstiosShape(authorization), await readExpected(folder, item.expected))
      }
      case 'peerauthentication': {
        const converted = convert((await readInput(folder, item.input)) as PeerAuthentication[])
        return same(inIstiosShape(converted), await readExpected(folder, item.expected))
      }
      case 'status':
        return judgeStatus(item)
      default:
        return skipped(`no judge for area "${item.area}"`)
    }
  },
})

function judgeStatus({ policy, expectedStatusMessage, effectiveRules }: AmbientPolicyCase): Verdict {
  const { authorization, finding } = convertAuthorizationPolicy(policy, MESH_CONFIG_DEFAULT)
  const canMatch = (authorization?.rules ?? []).some(({ clauses }) =>
    clauses.every(({ matches }) => matches.some((match) => Object.keys(match).length > 0)),
  )
  return allOf(
    same(finding ?? null, expectedStatusMessage),
    effectiveRules === undefined ? PASSED : same(canMatch, effectiveRules),
  )
}

/** The upstream table converts the policy with a selector, or the only one. */
function convert(policies: readonly PeerAuthentication[]): Authorization | undefined {
  const objects = policies.map((policy): TypedObject => [PEER_AUTHENTICATIONS, policy])
  const view = new TranslationView(new ObjectList(objects), MESH_CONFIG_DEFAULT)
  return convertedPolicy(policies.find(isWorkloadLevel) ?? policies[0]!, view)
}

/** Policies of the upstream files that name no namespace are in one without a name. */
async function readInput(folder: JudgeContext['folder'], file: string): Promise<Resource[]> {
  const documents = await readDocuments<Resource>(folder, file)
  return documents.map((document) => ({ ...document, metadata: { namespace: '', ...document.metadata } }))
}

async function readExpected(folder: JudgeContext['folder'], file: string): Promise<unknown> {
  const [expected] = await readDocuments<Readonly<Record<string, unknown>>>(folder, file)
  return expected && sortRules(expected)
}

/** The proto's JSON: groups > rules > matches, addresses as bytes, zero values left out. */
function inIstiosShape(authorization: Authorization | undefined): unknown {
  if (!authorization) return undefined
  const { name, namespace, scope, action, rules } = authorization
  return sortRules({
    name,
    ...(namespace && { namespace }),
    ...(scope !== 'GLOBAL' && { scope }),
    ...(action !== 'ALLOW' && { action }),
    groups: rules.map(({ clauses }) => ({
      rules: clauses.map(({ matches }) => ({ matches: matches.map(matchInIstiosShape) })),
    })),
  })
}

function matchInIstiosShape(match: object): unknown {
  const entries = Object.entries(match).map(([field, values]: [string, unknown[]]) => [
    field,
    values.map((value) => {
      if (/Ips$/i.test(field)) return cidrInIstiosShape(String(value))
      return typeof value === 'object' && value && 'presence' in value ? { presence: {} } : value
    }),
  ])
  return Object.fromEntries(entries)
}

function cidrInIstiosShape(cidr: string): { address: string; length: number } {
  const [address = '', length] = cidr.split('/')
  return { address: Buffer.from(address.split('.').map(Number)).toString('base64'), length: Number(length) }
}

/** Rules of a group are ANDed: their order says nothing. */
function sortRules(policy: Readonly<Record<string, unknown>>): unknown {
  const groups = (policy.groups as { rules: unknown[] }[] | undefined) ?? []
  const sorted = groups.map(({ rules }) => ({
    rules: rules.toSorted((a, b) => (canonicalJson(a) < canonicalJson(b) ? -1 : 1)),
  }))
  return { ...policy, groups: sorted }
}
