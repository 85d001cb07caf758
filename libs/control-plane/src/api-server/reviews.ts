import { defineKind, type KindDefinition } from '@ambient-lab/api'
import { mayDo } from './authorization.ts'
import type { ApiServerHooks, CreateHandler } from './hooks.ts'

/**
 * The questions that clients ask about themselves: `kubectl auth can-i`, `kubectl auth whoami`, and k9s before each of
 * its menus. Create-only kinds, answered from the same rule that guards every request.
 */
const ANYTHING = { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } as const

function review(group: string, kind: string): KindDefinition {
  const plural = `${kind.toLowerCase()}s`
  const schema = { type: 'object', properties: { spec: ANYTHING, status: ANYTHING } } as const
  return defineKind({ group, version: 'v1', kind, plural, scope: 'Cluster', schema, columns: [] })
}

const AUTHORIZATION = 'authorization.k8s.io'
const AUTHENTICATION = 'authentication.k8s.io'

const canI: CreateHandler = async ({ object, user }) => {
  const allowed = mayDo(user, nonResourcePath(object.spec))
  return { ...object, status: { allowed, ...(!allowed && { reason: 'only system:masters may use this API' }) } }
}

const rules: CreateHandler = async ({ object, user }) => {
  const everything = mayDo(user, '')
  const resourceRules = everything ? [{ verbs: ['*'], apiGroups: ['*'], resources: ['*'] }] : []
  const nonResourceRules = everything ? [{ verbs: ['*'], nonResourceURLs: ['*'] }] : []
  return { ...object, status: { resourceRules, nonResourceRules, incomplete: false } }
}

const whoAmI: CreateHandler = async ({ object, user }) => ({
  ...object,
  status: { userInfo: { username: user.name, groups: user.groups } },
})

function nonResourcePath(spec: unknown): string {
  const attributes = (spec as { nonResourceAttributes?: { path?: unknown } } | undefined)?.nonResourceAttributes
  return typeof attributes?.path === 'string' ? attributes.path : ''
}

/** Adds the reviews to what is served. */
export function withReviews(
  kinds: readonly KindDefinition[],
  hooks: ApiServerHooks,
): { kinds: readonly KindDefinition[]; hooks: ApiServerHooks } {
  const own: readonly [KindDefinition, CreateHandler][] = [
    [review(AUTHORIZATION, 'SelfSubjectAccessReview'), canI],
    [review(AUTHORIZATION, 'SelfSubjectRulesReview'), rules],
    [review(AUTHENTICATION, 'SelfSubjectReview'), whoAmI],
  ]
  const createOnly = Object.fromEntries(own.map(([{ group, plural }, handler]) => [`${group}/${plural}`, handler]))
  return {
    kinds: [...kinds, ...own.map(([definition]) => definition)],
    hooks: { ...hooks, createOnly: { ...createOnly, ...hooks.createOnly } },
  }
}
