/**
 * RFC 7386: objects are merged, `null` removes, everything else replaces. Neither input is changed.
 * @see https://www.rfc-editor.org/rfc/rfc7386#section-2
 */
export function mergePatch(target: unknown, patch: unknown): unknown {
  if (!isObject(patch)) return patch
  const merged: Record<string, unknown> = Object.create(null)
  if (isObject(target)) Object.assign(merged, target)
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete merged[key]
    else merged[key] = mergePatch(merged[key], value)
  }
  // Back to an ordinary object; a key named __proto__ stays data.
  return Object.defineProperties({}, Object.getOwnPropertyDescriptors(merged))
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
