import { existsSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { type AuthorizationPolicy, type PeerAuthentication, parseYaml, type Resource } from '@ambient-lab/api'
import type { Authorization } from '@ambient-lab/xds'
import { describe, expect, it } from 'vitest'
import { PEER_AUTHENTICATIONS } from '../stored-kinds.ts'
import { convertAuthorizationPolicy } from './authorization.ts'
import { isWorkloadLevel } from './mutual-tls.ts'
import { convertedPolicy } from './peer-authentication.ts'
import { viewOf } from './view.conformance.ts'

/** istiod's own tests of what ztunnel gets, as data: beside the repository, or where AMBIENT_CORPUS says. */
const CORPUS = resolve(
  ...[import.meta.dirname, '../../../..', process.env.AMBIENT_CORPUS ?? '../shared/corpus', 'istio-ambient-policy'],
)
const ROOT_NAMESPACE = 'istio-system'

interface Item {
  readonly id: string
  readonly area: string
  readonly name?: string
  readonly input: string
  readonly expected: string
  readonly policy: AuthorizationPolicy
  readonly expectedStatusMessage: { readonly reason: string; readonly message: string } | null
  readonly effectiveRules?: boolean
}

const items: readonly Item[] = existsSync(CORPUS)
  ? JSON.parse(readFileSync(join(CORPUS, 'cases.json'), 'utf8')).items
  : []
const ofArea = (area: string) => items.filter((item) => item.area === area).map((item) => [item.id, item] as const)

if (items.length === 0)
  it.skip('istiod’s policy conversion: no corpus here (AMBIENT_CORPUS names its folder)', () => {})

describe.runIf(items.length > 0)('policies reach ztunnel as istiod sends them', () => {
  it.each(ofArea('authorizationpolicy'))('%s', async (_, item) => {
    const [policy] = await readInput(item)
    const { authorization } = convertAuthorizationPolicy(policy as AuthorizationPolicy, ROOT_NAMESPACE)
    expect(inIstiosShape(authorization)).toEqual(await readExpected(item))
  })

  it.each(ofArea('peerauthentication'))('%s', async (_, item) => {
    const policies = (await readInput(item)) as PeerAuthentication[]
    const view = viewOf(policies.map((policy) => [PEER_AUTHENTICATIONS, policy]))
    // The upstream table converts the policy with a selector, or the only one.
    const subject = policies.find(isWorkloadLevel) ?? policies[0]!
    expect(inIstiosShape(convertedPolicy(subject, view))).toEqual(await readExpected(item))
  })

  it.each(ofArea('status'))('%s', (_, { policy, expectedStatusMessage, effectiveRules }) => {
    const { authorization, finding } = convertAuthorizationPolicy(policy, ROOT_NAMESPACE)
    expect(finding ?? null).toEqual(expectedStatusMessage)
    if (effectiveRules === undefined) return
    const canMatch = (authorization?.rules ?? []).some(({ clauses }) =>
      clauses.every(({ matches }) => matches.some((match) => Object.keys(match).length > 0)),
    )
    expect(canMatch).toBe(effectiveRules)
  })
})

async function readDocuments(path: string): Promise<unknown[]> {
  const texts = readFileSync(join(CORPUS, path), 'utf8').split(/^---$/m)
  return (await Promise.all(texts.map((text) => parseYaml(text)))).filter(Boolean)
}

/** Policies of the upstream files that name no namespace are in one without a name. */
async function readInput(item: Item): Promise<Resource[]> {
  const documents = (await readDocuments(item.input)) as Resource[]
  return documents.map((document) => ({ ...document, metadata: { namespace: '', ...document.metadata } }))
}

async function readExpected(item: Item): Promise<unknown> {
  const [expected] = (await readDocuments(item.expected)) as [Record<string, unknown> | undefined]
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
function sortRules(policy: Record<string, unknown>): unknown {
  const groups = (policy.groups as { rules: unknown[] }[] | undefined) ?? []
  const text = (value: unknown) => JSON.stringify(value, (_, part) => (isPlain(part) ? sortKeys(part) : part))
  const sorted = groups.map(({ rules }) => ({ rules: rules.toSorted((a, b) => (text(a) < text(b) ? -1 : 1)) }))
  return { ...policy, groups: sorted }
}

function isPlain(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function sortKeys(value: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
}
