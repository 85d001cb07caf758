import type { Resource } from '@ambient-lab/api'

const texts = new WeakMap<Resource, string>()

/**
 * An object's JSON, made once and kept as long as the object: what the database stores, a list of ten thousand pods
 * and each of a hundred watchers send is the same text. Right only for objects that are never modified.
 */
export function jsonText(object: Resource): string {
  const known = texts.get(object)
  if (known !== undefined) return known
  const text = JSON.stringify(object)
  texts.set(object, text)
  return text
}
