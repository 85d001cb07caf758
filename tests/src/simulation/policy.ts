import type { AuthorizationPolicy, AuthorizationPolicyRule } from '@ambient-lab/api'
import type { Random } from '@ambient-lab/std'
import type { Place } from './ledger.ts'

export const ROOT_NAMESPACE = 'istio-system'

/** What a policy is meant to do, in the few words that the simulation uses: judged here, by itself, in ten lines. */
export interface PolicyIntent {
  readonly name: string
  readonly namespace: string
  readonly action: 'ALLOW' | 'DENY'
  /** Value of the label `app`; undefined: the whole namespace, or the mesh. */
  readonly app: string | undefined
  /** Service accounts of namespace `default`; undefined: anybody. */
  readonly accounts: readonly string[] | undefined
  /** Container ports; undefined: every port. */
  readonly ports: readonly number[] | undefined
}

/** Who asks to be let in. */
export interface Caller {
  /** Proven by mutual TLS; undefined on plain connections. */
  readonly identity: string | undefined
}

export function concerns(intent: PolicyIntent, place: Pick<Place, 'namespace' | 'labels'>): boolean {
  if (intent.namespace !== ROOT_NAMESPACE && intent.namespace !== place.namespace) return false
  return intent.app === undefined || place.labels.app === intent.app
}

/** Istio's order: a DENY that matches denies; then an ALLOW has to match if there is any. */
export function isDenied(
  intents: readonly PolicyIntent[],
  caller: Caller,
  place: Pick<Place, 'namespace' | 'labels'>,
  port: number,
): boolean {
  const applicable = intents.filter((intent) => concerns(intent, place))
  const matches = ({ accounts, ports }: PolicyIntent) =>
    (accounts?.some((account) => caller.identity === identityOf('default', account)) ?? true) &&
    (ports?.includes(port) ?? true)
  if (applicable.some((intent) => intent.action === 'DENY' && matches(intent))) return true
  const allows = applicable.filter(({ action }) => action === 'ALLOW')
  return allows.length > 0 && !allows.some(matches)
}

export function identityOf(namespace: string, account: string): string {
  return `spiffe://cluster.local/ns/${namespace}/sa/${account}`
}

export function policyManifest(intent: PolicyIntent): AuthorizationPolicy {
  const { name, namespace, action, app, accounts, ports } = intent
  const principals = accounts?.map((account) => identityOf('default', account).replace('spiffe://', ''))
  const rule: AuthorizationPolicyRule = {
    ...(principals && { from: [{ source: { principals } }] }),
    ...(ports && { to: [{ operation: { ports: ports.map(String) } }] }),
  }
  return {
    apiVersion: 'security.istio.io/v1',
    kind: 'AuthorizationPolicy',
    metadata: { name, namespace },
    spec: { ...(app && { selector: { matchLabels: { app } } }), action, rules: [rule] },
  }
}

/** A policy about the given services and callers: mostly a DENY of one caller at one service. */
export function drawPolicy(
  random: Random,
  name: string,
  cast: { readonly apps: readonly string[]; readonly accounts: readonly string[]; readonly ports: readonly number[] },
): PolicyIntent {
  const app = random.integer(4) === 0 ? undefined : random.pick(cast.apps)
  const action = random.integer(3) === 0 ? 'ALLOW' : 'DENY'
  const some = (items: readonly string[]) => {
    const chosen = items.filter(() => random.integer(2) === 0)
    return chosen.length > 0 ? chosen : [random.pick(items)]
  }
  return {
    name,
    namespace: app === undefined && random.integer(2) === 0 ? ROOT_NAMESPACE : 'default',
    action,
    app,
    accounts: random.integer(5) === 0 ? undefined : some(cast.accounts),
    ports: random.integer(3) === 0 ? [random.pick(cast.ports)] : undefined,
  }
}
