import type { HeaderModifier, HeaderOperations } from '@ambient-lab/api'
import type { HeaderMutation, HeaderValue } from '@ambient-lab/xds'

/** Of Gateway API filters, one after the other; undefined: nothing to do. */
export function modifierMutation(modifiers: readonly HeaderModifier[]): HeaderMutation | undefined {
  return mutation({
    remove: modifiers.flatMap(({ remove = [] }) => remove),
    set: modifiers.flatMap(({ set = [] }) => set),
    add: modifiers.flatMap(({ add = [] }) => add),
  })
}

/** Of a VirtualService; `host` among them is no header but the request's authority. */
export function istioMutation(operations: HeaderOperations | undefined): HeaderMutation | undefined {
  if (!operations) return undefined
  const values = (entries: Readonly<Record<string, string>> = {}) =>
    Object.entries(entries).flatMap(([name, value]) => (isAuthority(name) ? [] : { name, value }))
  return mutation({ remove: operations.remove ?? [], set: values(operations.set), add: values(operations.add) })
}

/** The authority that a `set` of request headers asks for. */
export function authorityOf(operations: HeaderOperations | undefined): string | undefined {
  return Object.entries(operations?.set ?? {}).find(([name]) => isAuthority(name))?.[1]
}

function isAuthority(name: string): boolean {
  return name === ':authority' || name.toLowerCase() === 'host'
}

function mutation(lists: {
  readonly remove: readonly string[]
  readonly set: readonly HeaderValue[]
  readonly add: readonly HeaderValue[]
}): HeaderMutation | undefined {
  const lower = ({ name, value }: HeaderValue) => ({ name: name.toLowerCase(), value })
  const remove = lists.remove.map((name) => name.toLowerCase())
  const [set, add] = [lists.set.map(lower), lists.add.map(lower)]
  if (remove.length + set.length + add.length === 0) return undefined
  return {
    ...(remove.length > 0 && { remove }),
    ...(set.length > 0 && { set }),
    ...(add.length > 0 && { add }),
  }
}
