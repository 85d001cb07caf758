import { type Gateway, type ObjectKey, objectKey, type Resource } from '@ambient-lab/api'
import {
  AUTHORIZATION_POLICIES,
  ENVOY_FILTERS,
  GATEWAYS,
  PODS,
  RATE_LIMIT_POLICIES,
  REQUEST_AUTHENTICATIONS,
  SERVICE_ENTRIES,
  SERVICES,
} from '../stored-kinds.ts'
import { attachedTo } from './dependencies.ts'
import { references, type TargetId } from './target-index.ts'
import type { ObjectChange, Touched } from './translation.ts'
import type { TranslationView } from './view.ts'

type Touch = (change: ObjectChange, view: TranslationView) => Touched
type Guarded = typeof SERVICES | typeof SERVICE_ENTRIES | typeof PODS

type ChainPolicies =
  | typeof AUTHORIZATION_POLICIES
  | typeof REQUEST_AUTHENTICATIONS
  | typeof ENVOY_FILTERS
  | typeof RATE_LIMIT_POLICIES

const WORDS: Readonly<Record<Guarded, string>> = {
  [SERVICES]: 'Service',
  [SERVICE_ENTRIES]: 'ServiceEntry',
  [PODS]: '',
}

/** Objects whose chains a policy is part of: those that it names, and all behind a waypoint or a class that it names. */
export function guardedBy(kind: Guarded): Record<ChainPolicies, Touch> {
  const touch: Touch = (change, view) => ({
    keys: targetsOf(change, view).flatMap((target) => {
      const named = keyAfter(`${WORDS[kind]} `, target)
      return named === undefined
        ? gatewaysOf(target, view).flatMap((gateway) => attachedTo(kind, gateway, view))
        : [named]
    }),
  })
  return ofEach(touch)
}

function ofEach(touch: Touch): Record<ChainPolicies, Touch> {
  return {
    [AUTHORIZATION_POLICIES]: touch,
    [REQUEST_AUTHENTICATIONS]: touch,
    [ENVOY_FILTERS]: touch,
    [RATE_LIMIT_POLICIES]: touch,
  }
}

/** Gateways that a policy names, and those that it holds for without naming any. */
export const touchGateways: Touch = (change, view) => {
  const targets = targetsOf(change, view).flatMap((target) => gatewaysOf(target, view))
  const states = statesOf(change)
  const untargeted = states.some((policy) => references(policy).length === 0)
  const { namespace } = change.object.metadata
  const beside = untargeted ? view.list(GATEWAYS, namespace === view.mesh.rootNamespace ? undefined : namespace) : []
  return { keys: [...targets, ...beside].map(({ metadata }) => objectKey(metadata)) }
}

export const guardedGateways = ofEach(touchGateways)

function targetsOf(change: ObjectChange, view: TranslationView): TargetId[] {
  return [...new Set(statesOf(change).flatMap((policy) => view.targets.targetsOf(policy)))]
}

function statesOf({ object, previous }: ObjectChange): Resource[] {
  return [object, previous].filter((state): state is Resource => state !== undefined)
}

function keyAfter(prefix: string, id: string): ObjectKey | undefined {
  return prefix !== ' ' && id.startsWith(prefix) ? id.slice(prefix.length) : undefined
}

export function gatewaysOf(target: TargetId, view: TranslationView): Gateway[] {
  const key = keyAfter('Gateway ', target)
  if (key !== undefined) {
    const gateway = view.get(GATEWAYS, key)
    return gateway ? [gateway] : []
  }
  const className = keyAfter('GatewayClass ', target)
  return className === undefined ? [] : view.list(GATEWAYS).filter(({ spec }) => spec?.gatewayClassName === className)
}
