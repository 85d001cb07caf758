import type { Gateway, GroupVersionResource, HttpRoute, Pod, Resource, Service } from '@ambient-lab/api'
import { CodedError } from '@ambient-lab/std'
import type { CommandContext } from '../cli/command.ts'
import { usageError } from '../cli/usage-error.ts'
import {
  actionOf,
  askedAt,
  type Enforcement,
  type EnforcementState,
  enforcementOf,
  KIND_SHORT,
  type SecurityPolicy,
} from './enforcement.ts'
import { ingressRound } from './ingress-round.ts'
import { namespacesOf, rowsText } from './list-objects.ts'
import { goingRound, type Proof, prove } from './prove.ts'
import { GATEWAYS, HTTP_ROUTES, PODS, SERVICES } from './resource-types.ts'

/** One policy, who enforces it, and what traffic showed. */
export interface EnforcedRow extends Enforcement {
  readonly policy: string
  readonly namespace: string
  readonly kind: keyof typeof KIND_SHORT
  readonly action: string
  readonly askedAt: string
  readonly proof?: Proof
}

const CALLS_MAX = 10_000

const security = (resource: string): GroupVersionResource => ({ group: 'security.istio.io', version: 'v1', resource })
const POLICY_TYPES: readonly (readonly [keyof typeof KIND_SHORT, GroupVersionResource])[] = [
  ['AuthorizationPolicy', security('authorizationpolicies')],
  ['PeerAuthentication', security('peerauthentications')],
  ['RequestAuthentication', security('requestauthentications')],
]
const SERVICE_ENTRIES: GroupVersionResource = {
  group: 'networking.istio.io',
  version: 'v1',
  resource: 'serviceentries',
}

/**
 * The policies of the namespaces that are meant, or the one that is named.
 * @throws CodedError NOT_FOUND when there is none
 */
export async function enforcedRows(context: CommandContext): Promise<readonly EnforcedRow[]> {
  const { args, flags, signal } = context
  const client = await context.api()
  const state = await readState(context)
  const namespaces = namespacesOf(context)
  const [wanted] = args
  const isMeant = ({ metadata }: SecurityPolicy) =>
    (namespaces[0] === undefined || namespaces.includes(metadata.namespace)) &&
    (wanted === undefined || metadata.name === wanted)
  const policies = state.policies.filter(isMeant)
  if (policies.length === 0) {
    const where = namespaces[0] === undefined ? 'the lab' : `namespace ${namespaces.join(', ')}`
    throw new CodedError('NOT_FOUND', `${where} has no policy${wanted === undefined ? '' : ` ${wanted}`}`, {
      next: 'ambient enforced -A',
    })
  }
  const init = { client, state, calls: callsOf(context), signal }
  const rows: EnforcedRow[] = []
  for (const policy of policies) {
    const said = enforcementOf(policy, state)
    const enforcement = passedBy(said, await goingRound(policy, said, init), ingressRound(policy, said, state))
    const proof = flags.boolean('prove') ? await prove(policy, enforcement, init) : undefined
    rows.push(rowOf(policy, enforcement, proof))
  }
  return rows
}

/** @throws CodedError USAGE */
function callsOf({ flags }: CommandContext): number {
  const calls = flags.number('times') ?? 0
  if (Number.isInteger(calls) && calls >= 1 && calls <= CALLS_MAX) return calls
  throw usageError(`--times ${calls} is no number of calls`, `--times N, 1 to ${CALLS_MAX}`)
}

/** @param callers outside the mesh @param gateways that let requests in */
function passedBy(said: Enforcement, callers: readonly string[], gateways: readonly string[]): Enforcement {
  const notes = [
    ...(callers.length > 0 ? [`${callers.join(', ')} outside the mesh: plaintext goes round the waypoint`] : []),
    ...(gateways.length > 0
      ? [`ingress by ${gateways.join(', ')} goes round the waypoint: istio.io/ingress-use-waypoint is not true`]
      : []),
  ]
  return notes.length === 0 ? said : { ...said, state: 'PARTLY', code: 'AM0108', note: notes.join('; ') }
}

async function readState(context: CommandContext): Promise<EnforcementState> {
  const client = await context.api()
  const all = async <R extends Resource>(type: GroupVersionResource): Promise<readonly R[]> =>
    (await client.list<R>(type, { signal: context.signal })).items
  const [pods, services, serviceEntries, gateways, routes, ...policies] = await Promise.all([
    all<Pod>(PODS),
    all<Service>(SERVICES),
    all(SERVICE_ENTRIES),
    all<Gateway>(GATEWAYS),
    all<HttpRoute>(HTTP_ROUTES),
    // Objects of a list carry no kind in Kubernetes.
    ...POLICY_TYPES.map(async ([kind, type]) => (await all<SecurityPolicy>(type)).map((one) => ({ ...one, kind }))),
  ])
  return { pods, services, serviceEntries, gateways, routes, policies: policies.flat() }
}

/** Traffic has the last word. */
export function rowOf(policy: SecurityPolicy, enforcement: Enforcement, proof: Proof | undefined): EnforcedRow {
  const { name, namespace = '' } = policy.metadata
  const said = {
    ...{ policy: name, namespace, kind: policy.kind as EnforcedRow['kind'] },
    ...{ action: actionOf(policy), askedAt: askedAt(policy), ...enforcement },
  }
  if (!proof) return said
  if (proof.held === proof.calls || enforcement.state !== 'ok') return { ...said, proof }
  const note = `${proof.calls - proof.held} of ${proof.calls} calls did not end as the proxies said they would`
  return { ...said, proof, state: proof.held === 0 ? 'NOT ENFORCED' : 'PARTLY', note }
}

const TITLES = ['POLICY', 'KIND', 'ACTION', 'ASKED AT', 'ENFORCED AT', 'PROOF', 'STATE', 'NOTE']

export function formatEnforced(rows: readonly EnforcedRow[]): string {
  const hasNamespaces = new Set(rows.map(({ namespace }) => namespace)).size > 1
  const cells = rows.map(
    ({ policy, namespace, kind, action, askedAt: asked, enforcedAt, proof, state, code, note }) => [
      hasNamespaces ? `${policy}.${namespace}` : policy,
      KIND_SHORT[kind],
      action,
      asked,
      enforcedAt.join(','),
      proof && `${proof.held}/${proof.calls} ${proof.expected}`,
      state,
      [code, note].filter(Boolean).join(' '),
    ],
  )
  return rowsText(TITLES, cells)
}
