import type { JwtProvider } from './jwt-requirement.ts'
import type { RequestView } from './request-facts.ts'

/** Where tokens are looked for when a provider does not say: what Envoy does then. */
const DEFAULT_HEADER = { name: 'authorization', prefix: 'Bearer ' }
const DEFAULT_PARAM = 'access_token'

/** A token and where it was found. */
export interface FoundToken {
  readonly text: string
  readonly header?: string
  readonly param?: string
}

/** Finds the tokens of one provider in a request. */
export type TokenFinder = (request: RequestView) => readonly FoundToken[]

const NONE: readonly FoundToken[] = []

/** In the order in which Envoy verifies them: cookies, parameters, headers, each by name, backwards. */
export function tokenFinder({ from }: JwtProvider): TokenFinder {
  const isDefault = from.headers.length + from.params.length + from.cookies.length === 0
  const byName = (a: string, b: string) => (a < b ? 1 : -1)
  const headers = (isDefault ? [DEFAULT_HEADER] : from.headers)
    .map(({ name, prefix }) => ({ name: name.toLowerCase(), prefix }))
    .sort((a, b) => byName(a.name + a.prefix, b.name + b.prefix))
  const params = (isDefault ? [DEFAULT_PARAM] : [...from.params]).sort(byName)
  const cookies = [...from.cookies].sort(byName)
  return (request) => {
    let found: FoundToken[] | undefined
    const add = (token: FoundToken) => {
      found ??= []
      found.push(token)
    }
    if (cookies.length > 0) {
      const header = request.header('cookie') ?? ''
      for (const name of cookies) addText(cookieValue(header, name), {}, add)
    }
    const query = params.length > 0 ? queryOf(request.path) : ''
    if (query !== '') for (const param of params) addText(paramValue(query, param), { param }, add)
    for (const { name, prefix } of headers) addText(headerToken(request.header(name), prefix), { header: name }, add)
    return found ?? NONE
  }
}

function addText(text: string | undefined, place: Omit<FoundToken, 'text'>, add: (token: FoundToken) => void): void {
  if (text !== undefined) add({ text, ...place })
}

/** The prefix may stand anywhere; what follows it counts from the first character that a token can have. */
function headerToken(value: string | undefined, prefix: string): string | undefined {
  if (value === undefined || prefix === '') return value
  const at = value.indexOf(prefix)
  if (at < 0) return undefined
  let start = at + prefix.length
  while (start < value.length && !isTokenCharacter(value.charCodeAt(start))) start += 1
  return start < value.length ? value.slice(start) : value
}

/** Base64url and the dot. */
function isTokenCharacter(code: number): boolean {
  const isDigit = code >= 48 && code <= 57
  const isUpper = code >= 65 && code <= 90
  const isLower = code >= 97 && code <= 122
  return isDigit || isUpper || isLower || code === 45 || code === 46 || code === 95
}

/** Undefined without such a parameter. The first counts. */
function paramValue(query: string, name: string): string | undefined {
  // Most queries have no token: they are not taken apart, unless the name might be there in escapes.
  if (!query.includes(name) && !query.includes('%')) return undefined
  return new URLSearchParams(query).get(name) ?? undefined
}

function queryOf(path: string): string {
  const mark = path.indexOf('?')
  if (mark < 0) return ''
  const hash = path.indexOf('#', mark)
  return path.slice(mark + 1, hash < 0 ? undefined : hash)
}

function cookieValue(header: string, name: string): string | undefined {
  for (const part of header.split(';')) {
    const equals = part.indexOf('=')
    if (equals < 0 || part.slice(0, equals).trim() !== name) continue
    const value = part.slice(equals + 1).trim()
    return value.length >= 2 && value.startsWith('"') && value.endsWith('"') ? value.slice(1, -1) : value
  }
  return undefined
}
