/** The value of a query parameter, decoded; undefined when it is not there. The first of several counts. */
export function queryParameter(query: string, name: string): string | undefined {
  for (let start = 0; start <= query.length; ) {
    const ampersand = query.indexOf('&', start)
    const end = ampersand < 0 ? query.length : ampersand
    const equals = query.indexOf('=', start)
    const nameEnd = equals >= 0 && equals < end ? equals : end
    if (decodeComponent(query.slice(start, nameEnd)) === name) {
      return nameEnd === end ? '' : decodeComponent(query.slice(nameEnd + 1, end))
    }
    start = end + 1
  }
  return undefined
}

/** A path without some parameters of its query, and without a query when none is left. */
export function withoutQueryParameters(path: string, names: readonly string[]): string {
  const question = path.indexOf('?')
  if (question < 0) return path
  const kept = path
    .slice(question + 1)
    .split('&')
    .filter((pair) => !names.includes(decodeComponent(pair.split('=', 1)[0]!)))
  return kept.length === 0 ? path.slice(0, question) : `${path.slice(0, question)}?${kept.join('&')}`
}

/** A path whose query has each of the parameters once, with that value: in the place of others of the name, at the end. */
export function withQueryParameters(
  path: string,
  parameters: readonly (readonly [name: string, value: string])[],
): string {
  let result = path
  for (const [name, value] of parameters) {
    const rest = withoutQueryParameters(result, [name])
    result = `${rest}${rest.includes('?') ? '&' : '?'}${encodeURIComponent(name)}=${encodeURIComponent(value)}`
  }
  return result
}

/** Percent escapes only: a plus stays one, as in Envoy. Text with a broken escape stays as it is. */
function decodeComponent(text: string): string {
  if (!text.includes('%')) return text
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
