import {
  type AuthorizationPolicy,
  objectKey,
  type PathCheckpoint,
  type PathReview,
  type PathReviewStatus,
} from '@ambient-lab/api'
import type { ApiClient } from '@ambient-lab/lab'
import { type CallOutcome, type CapturedRequest, callHttp, callTcp } from './captured-call.ts'
import { type Enforcement, type EnforcementState, type SecurityPolicy, targetsOf } from './enforcement.ts'
import {
  callersOf,
  isAboutCaller,
  PLAIN,
  type ProofCaller,
  type ProofTarget,
  proofRequests,
  proofTargets,
} from './proof-candidates.ts'
import { PATH_REVIEWS } from './resource-types.ts'

/** What real traffic showed. */
export interface Proof {
  /** How many of the calls met what was expected of them. */
  readonly held: number
  readonly calls: number
  readonly expected: 'refused' | 'let in' | 'plaintext cut'
}

/** A call whose end is known before: this policy decides about it. */
interface Case {
  readonly caller: ProofCaller
  readonly target: ProofTarget
  readonly request: CapturedRequest
  /** What a request that is refused is answered; undefined: connections are judged, or whoever refuses is not known. */
  readonly status: number | undefined
  readonly refused: boolean
}

export interface ProofInit {
  readonly client: ApiClient
  readonly state: EnforcementState
  readonly calls: number
  readonly signal: AbortSignal
}

const CASES_MAX = 4
const REVIEWS_MAX = 96
/** Requests that change nothing, so that they may be let in for a proof. */
const SAFE_METHODS = ['GET', 'HEAD', 'OPTIONS']

/**
 * Sends calls that this policy decides about, and counts how many end as it says. Which those are, and how they end,
 * the proxies are asked before (PathReview). Of a policy that nobody enforces: calls that it would deny.
 * @returns undefined where no caller of the lab meets the policy
 */
export async function prove(
  policy: SecurityPolicy,
  enforcement: Enforcement,
  init: ProofInit,
): Promise<Proof | undefined> {
  const cases =
    enforcement.enforcedAt.length > 0
      ? await decidedCases(policy, enforcement, init)
      : await passingCases(unenforcedCases(policy, enforcement, init.state), init)
  if (cases.length === 0) return undefined
  let held = 0
  for (let call = 0; call < init.calls; call += 1) {
    init.signal.throwIfAborted()
    const tried = cases[call % cases.length]!
    if (isAsExpected(tried, await send(tried))) held += 1
  }
  const word = policy.kind === 'PeerAuthentication' ? 'plaintext cut' : 'refused'
  return { held, calls: init.calls, expected: cases[0]!.refused ? word : 'let in' }
}

/**
 * Callers outside the mesh that reach what the policy's waypoint guards without it: they speak plaintext to the pods.
 * The proxies are asked; a ztunnel that cuts plaintext lets none through.
 */
export async function goingRound(
  policy: SecurityPolicy,
  enforcement: Enforcement,
  init: ProofInit,
): Promise<readonly string[]> {
  if (enforcement.enforcedAt.length === 0 || targetsOf(policy).length === 0) return []
  const outside = callersOf(init.state.pods).filter(({ captured }) => !captured)
  const found = new Set<string>()
  for (const target of proofTargets(policy, enforcement, init.state)) {
    for (const caller of outside) {
      const status = await review(init, caller, target, PLAIN)
      const isGuarded = status?.checkpoints.some(({ at }) => at.startsWith('waypoint ')) ?? true
      if (status?.allowed && !isGuarded) found.add(`${caller.name}.${caller.namespace}`)
    }
  }
  return [...found]
}

async function decidedCases(policy: SecurityPolicy, enforcement: Enforcement, init: ProofInit): Promise<Case[]> {
  const refused: Case[] = []
  const letIn: Case[] = []
  let reviews = 0
  for (const target of proofTargets(policy, enforcement, init.state)) {
    for (const request of target.protocol === 'HTTP' ? proofRequests(policy) : proofRequests(policy).slice(0, 1)) {
      for (const caller of callersOf(init.state.pods)) {
        if (reviews === REVIEWS_MAX || refused.length === CASES_MAX) break
        reviews += 1
        const status = await review(init, caller, target, request)
        const verdict = status && verdictOf(policy, status)
        if (!verdict) continue
        const one = { caller, target, request, status: status.httpStatus, refused: verdict === 'refused' }
        if (verdict === 'refused') refused.push(one)
        else if (letIn.length < CASES_MAX && SAFE_METHODS.includes(request.method)) letIn.push(one)
      }
    }
  }
  return refused.length > 0 ? refused : letIn
}

/** Undefined where no way can be reviewed, as to a node that is away. */
async function review(
  { client, signal }: ProofInit,
  caller: ProofCaller,
  target: ProofTarget,
  request: CapturedRequest,
): Promise<PathReviewStatus | undefined> {
  const asked: PathReview = {
    apiVersion: 'ambient.lab/v1',
    kind: 'PathReview',
    metadata: { name: 'enforced' },
    spec: { source: { name: caller.name, namespace: caller.namespace }, target: target.review, request },
  }
  try {
    return (await client.create(PATH_REVIEWS, asked, { signal })).status
  } catch {
    signal.throwIfAborted()
    return undefined
  }
}

/** What this very policy made of it; undefined when others decided. */
export function verdictOf(
  policy: SecurityPolicy,
  { allowed, checkpoints }: Pick<PathReviewStatus, 'allowed' | 'checkpoints'>,
): 'refused' | 'let in' | undefined {
  const decisive = checkpoints.find(({ verdict }) => verdict === 'denied')
  if (decisive) return isBy(policy, decisive) ? 'refused' : undefined
  if (!allowed || policy.kind !== 'AuthorizationPolicy') return undefined
  const matched = checkpoints.some(
    ({ point, policies = [] }) =>
      point === 'allow' && policies.some((one) => one.matched && one.policy === objectKey(policy.metadata)),
  )
  return matched ? 'let in' : undefined
}

function isBy(policy: SecurityPolicy, { point, policies = [] }: PathCheckpoint): boolean {
  if (policy.kind === 'RequestAuthentication') return point === 'jwt'
  const key = objectKey(policy.metadata)
  if (policy.kind === 'PeerAuthentication') {
    const { namespace, name } = policy.metadata
    const own = `${namespace}/converted_peer_authentication_${name}`
    return policies.some((one) => one.matched && (one.policy === own || STATIC_STRICT.test(one.policy)))
  }
  return policies.some((one) => one.policy === key && !one.dryRun && (point === 'allow' || one.matched))
}

/** What every STRICT without exceptions becomes. */
const STATIC_STRICT = /\/istio_converted_static_strict$/

/** Those that nobody else refuses: a refusal would say nothing about the policy. */
async function passingCases(cases: readonly Case[], init: ProofInit): Promise<Case[]> {
  const passing: Case[] = []
  for (const one of cases.slice(0, REVIEWS_MAX)) {
    if (passing.length === CASES_MAX) break
    const status = await review(init, one.caller, one.target, one.request)
    if (status?.allowed) passing.push(one)
  }
  return passing
}

/** A DENY that is nowhere enforced: what it would deny. */
function unenforcedCases(policy: SecurityPolicy, enforcement: Enforcement, state: EnforcementState): Case[] {
  if (policy.kind !== 'AuthorizationPolicy') return []
  const { action = 'ALLOW', rules = [] } = (policy as AuthorizationPolicy).spec ?? {}
  if (action !== 'DENY') return []
  const { namespace = '' } = policy.metadata
  const targets = proofTargets(policy, enforcement, state)
  const callers = callersOf(state.pods).filter(({ captured }) => captured)
  return targets.flatMap((target) =>
    rules.flatMap((rule) => {
      const one = { ...policy, spec: { rules: [rule] } } as AuthorizationPolicy
      const [request] = proofRequests(one)
      return callers
        .filter((caller) => isAboutCaller(rule, caller, namespace))
        .map((caller) => ({
          ...{ caller, request: request!, refused: true, status: undefined },
          target: { ...target, protocol: 'HTTP' as const },
        }))
    }),
  )
}

function send({ caller, target, request }: Case): Promise<CallOutcome> {
  return target.protocol === 'HTTP'
    ? callHttp(caller.capture, target.place, request)
    : callTcp(caller.capture, target.place)
}

function isAsExpected({ refused, status }: Case, outcome: CallOutcome): boolean {
  if (!refused) return outcome.kind === 'open' || (outcome.kind === 'answered' && outcome.status !== 403)
  // A waypoint answers: a connection that is cut says nothing about it.
  if (status !== undefined) return outcome.kind === 'answered' && outcome.status === status
  return outcome.kind === 'cut' || (outcome.kind === 'answered' && outcome.status === 403)
}
